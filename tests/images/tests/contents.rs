//! What images contain, and what they must not contain.

use anyhow::{Context, Result, ensure};
use slipway_images::built::{ALL, Image, image};
use slipway_loop::programs::{fresh_clone, given, program, repository};

const MB: u64 = 1_000_000;

#[test]
fn trainer_and_server_share_almost_all_and_what_is_compiled_is_small() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clone = folder.path().join("clone");
    fresh_clone(&clone)?;
    let trainer = Image::build(&clone, "trainer", &folder.path().join("trainer"))?.layers();
    let server = Image::build(&clone, "server", &folder.path().join("server"))?.layers();
    let shared: u64 = trainer.iter().filter(|(digest, _)| server.contains_key(*digest)).map(|(_, size)| size).sum();
    for (name, layers) in [("trainer", &trainer), ("server", &server)] {
        let size: u64 = layers.values().sum();
        ensure!(size <= 200 * MB, "{name} has {size} bytes");
        ensure!(shared * 10 >= size * 9, "{name} shares {shared} of {size} bytes");
    }
    // a program and the base that it needs
    let manager = Image::build(&clone, "training-manager", &folder.path().join("training-manager"))?.layers();
    let size: u64 = manager.values().sum();
    ensure!(size <= 30 * MB, "training-manager has {size} bytes");
    let monitor = Image::build(&clone, "dataset-monitor", &folder.path().join("dataset-monitor"))?.layers();
    let size: u64 = monitor.values().sum();
    ensure!(size <= 40 * MB, "dataset-monitor has {size} bytes");
    // each worker of each job starts one of these
    for program in ["slipway-trainer", "slipway-launch"] {
        let size = std::fs::metadata(given("SLIPWAY_BIN")?.join(program))?.len();
        ensure!(size <= 20 * MB, "{program} has {size} bytes");
    }
    // as it is downloaded: the clients of S3, GitHub and git are 6 MB of it, the readers of Parquet, pictures and archives 2; reports, the
    // history and pipelines are in it as well
    let slipway = std::fs::metadata(given("SLIPWAY_DIST")?)?.len();
    ensure!(slipway <= 27 * MB, "slipway has {slipway} bytes");
    Ok(())
}

#[test]
fn no_shell_no_secret_and_nothing_of_this_machine() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clone = folder.path().join("clone");
    fresh_clone(&clone)?;
    let home = std::env::var("HOME")?;
    let here: Vec<String> = vec![
        given("LIBTORCH")?.display().to_string(),
        given("SLIPWAY_BIN")?.display().to_string(),
        repository().canonicalize()?.display().to_string(),
        clone.display().to_string(),
    ];
    // short enough to be where someone else compiled a wheel, too
    let homes: Vec<String> = [".cargo", ".cache", ".rustup"].map(|name| format!("{home}/{name}")).into();
    for name in ALL {
        let layout = Image::build(&clone, name, &folder.path().join(name))?;
        let mut wrong = Vec::new();
        let config = layout.config.to_string();
        wrong.extend(here.iter().filter(|path| config.contains(path.as_str())).map(|path| format!("config: {path}")));
        layout.files(|path, header, content| {
            let program = path.rsplit('/').next().unwrap_or_default();
            if path.contains("/bin/")
                && ["sh", "bash", "dash", "busybox", "gcc", "cc", "c++", "ld", "apt", "dpkg"].contains(&program)
            {
                wrong.push(format!("{path} is a shell, a compiler or a package manager"));
            }
            // what a clone, a person or a tool leaves behind
            if [".git", ".env", "id_rsa", ".netrc", ".npmrc", ".pypirc", "config.json.bak"].contains(&program)
                || path.contains("/.docker/")
            {
                wrong.push(format!("{path} may be a secret"));
            }
            let homes = if path.contains("/dist-packages/") { &[][..] } else { &homes[..] };
            let found = here.iter().chain(homes).filter(|text| contains(content, text.as_bytes()));
            wrong.extend(found.map(|text| format!("{path} holds {text}")));
            if header.mtime().ok() != Some(0) {
                wrong.push(format!("{path} has a time"));
            }
            if header.mode().is_ok_and(|mode| mode & 0o6000 != 0) {
                wrong.push(format!("{path} runs as someone else"));
            }
        })?;
        ensure!(wrong.is_empty(), "{name}: {wrong:#?}");
        ensure!(layout.config["config"]["User"] == "65532:65532", "{config}");
    }
    Ok(())
}

/// Whether the bytes contain the text. Searches for the first byte first, because whole libraries are searched.
fn contains(content: &[u8], text: &[u8]) -> bool {
    let mut rest = content;
    while let Some(at) = rest.iter().position(|byte| *byte == text[0]) {
        rest = &rest[at..];
        if rest.starts_with(text) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

#[test]
fn an_image_says_where_it_comes_from() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clone = folder.path().join("clone");
    fresh_clone(&clone)?;
    for name in ALL {
        let layout = Image::build(&clone, name, &folder.path().join(name))?;
        let manifest = oci_spec::image::ImageManifest::from_file(layout.blob(&layout.digest)?)?;
        let config = oci_spec::image::ImageConfiguration::from_file(layout.blob(manifest.config().digest().as_ref())?)?;
        ensure!(manifest.layers().len() == config.rootfs().diff_ids().len(), "{name}: another number of layers");
        let labels = &layout.config["config"]["Labels"];
        for label in ["source", "revision", "version", "licenses", "title", "created"] {
            ensure!(labels[format!("org.opencontainers.image.{label}")].is_string(), "{name} has no {label}: {labels}");
        }
        let commit = labels["org.opencontainers.image.revision"].as_str().context("a revision")?;
        ensure!(commit.len() == 40, "{commit}");
        let referrers = layout.referrers()?;
        ensure!(referrers.len() == 2, "{name}: {referrers:?}");
        let (_, bill) = referrers.iter().find(|(kind, _)| kind.contains("cyclonedx")).context("a bill of materials")?;
        let components: Vec<&str> = bill["components"]
            .as_array()
            .context("components")?
            .iter()
            .filter_map(|one| one["purl"].as_str())
            .collect();
        let expected: &[&str] = match name {
            "trainer" | "server" => &["pkg:deb/debian/libc6@", "pkg:cargo/tch@0.26", "pkg:generic/libtorch@2.13.0"],
            "mlflow" => &[
                "pkg:deb/debian/python3.11@",
                "pkg:pypi/mlflow@3.17.2",
                "pkg:pypi/psycopg2-binary@",
                "pkg:pypi/boto3@",
            ],
            "training-manager" => &["pkg:deb/debian/libc6@", "pkg:cargo/kube@", "pkg:cargo/octocrab@"],
            "dataset-monitor" => &["pkg:deb/debian/libc6@", "pkg:cargo/kube@", "pkg:cargo/aws-sdk-s3@"],
            _ => &["pkg:pypi/streamlit@1.67"],
        };
        for start in expected {
            ensure!(components.iter().any(|one| one.starts_with(start)), "{name} has no {start}: {components:?}");
        }
        let (_, statement) = referrers.iter().find(|(kind, _)| kind.contains("in-toto")).context("a statement")?;
        ensure!(statement["predicateType"] == "https://slsa.dev/provenance/v1", "{statement}");
        ensure!(
            statement["subject"][0]["digest"]["sha256"] == layout.digest.trim_start_matches("sha256:"),
            "{statement}"
        );
        let text = statement.to_string();
        ensure!(text.contains(commit) && text.contains(&format!("apps/{name}/image.lock")), "{text}");
    }
    Ok(())
}

#[test]
fn several_platforms_make_an_index_and_none_is_left_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clone = folder.path().join("clone");
    fresh_clone(&clone)?;
    let output = image(&clone, &["build", "demo-ui", "--platform", "linux/amd64,linux/arm64"])?;
    ensure!(output["platforms"].as_array().map(Vec::len) == Some(2), "{output}");
    let done = std::process::Command::new(program("slipway")?)
        .arg("--repo")
        .arg(&clone)
        .args(["image", "build", "server", "--platform", "linux/amd64,linux/arm64"])
        .output()?;
    let output = String::from_utf8_lossy(&done.stderr);
    // built natively on arm64 it is amd64 that is missing
    ensure!(
        done.status.code() == Some(5) && output.contains("cannot be built for linux/") && output.contains("--target"),
        "{output}"
    );
    Ok(())
}
