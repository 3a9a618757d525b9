//! Pushes to the CNCF's registry and pulls from it, also over a bad network.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use slipway_images::built::{image, run};
use slipway_images::proxy::Proxy;
use slipway_images::registry::{Access, Registry};
use slipway_loop::programs::{fresh_clone, program};
use slipway_oci::{Descriptor, Document, Layout, LayoutWriter, Manifest, Platform, media_type};
use slipway_registry::{Options, combine, pull, push};

/// Builds the server's image as a layout.
fn server(folder: &std::path::Path) -> Result<slipway_images::built::Image> {
    let clone = folder.join("clone");
    fresh_clone(&clone)?;
    slipway_images::built::Image::build(&clone, "server", &folder.join("server"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_in_comes_out_by_digest_with_what_refers_to_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (built, registry) = (server(folder.path())?, Registry::start(Access::Anyone)?);
    let layout = Layout::open(&folder.path().join("server"))?;
    let to = format!("{}/acme/server:1.0", registry.address);

    let first = push(&layout, &to, &Options::default(), |_| ()).await?;
    ensure!(
        first.digest.to_string() == built.digest
            && first.image == format!("{}/acme/server@{}", registry.address, built.digest)
    );
    // the two documents share an empty configuration
    ensure!(first.there <= 2 && first.sent > 20_000_000, "{first:?}");
    ensure!(registry.has_tag("acme/server", "1.0"));
    // all of it is there now
    let second = push(&layout, &to, &Options::default(), |_| ()).await?;
    ensure!(second.sent == 0 && second.there == first.sent + first.there, "{second:?}");

    let copy = folder.path().join("copy");
    let pulled = pull(&first.image, &copy, &Options::default()).await?;
    ensure!(pulled.digest.to_string() == built.digest);
    let copied = slipway_images::built::Image::open(&copy)?;
    for digest in built.layers().keys() {
        ensure!(std::fs::read(built.blob(digest)?)? == std::fs::read(copied.blob(digest)?)?, "{digest}");
    }

    // this registry has no list of its own: the tag that stands for it
    let tag = built.digest.replace(':', "-");
    let url = format!("http://{}/v2/acme/server/manifests/{tag}", registry.address);
    let accept = "application/vnd.oci.image.index.v1+json";
    let client = slipway_http::loopback(std::time::Duration::from_secs(30))?;
    let answer = client.get(url).header("Accept", accept).send().await?;
    let referrers: Value = answer.error_for_status()?.json().await?;
    let mut kinds: Vec<&str> = referrers["manifests"]
        .as_array()
        .context("referrers")?
        .iter()
        .filter_map(|one| one["artifactType"].as_str())
        .collect();
    kinds.sort_unstable();
    ensure!(kinds == ["application/vnd.cyclonedx+json", "application/vnd.in-toto+json"], "{referrers}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_connection_in_the_middle_loses_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (built, registry) = (server(folder.path())?, Registry::start(Access::Anyone)?);
    let layout = Layout::open(&folder.path().join("server"))?;
    let largest = built.layers().values().max().copied().context("a layer")?;

    // cut three times within the largest layer, each attempt of it a third further
    let proxy = Proxy::start(registry.address.clone(), largest / 3, 3).await?;
    let pushed = push(&layout, &format!("{}/acme/server:1.0", proxy.address), &Options::default(), |_| ()).await?;
    ensure!(proxy.cut() == 3, "{} cuts", proxy.cut());
    ensure!(pushed.digest.to_string() == built.digest && registry.has_tag("acme/server", "1.0"));

    let proxy = Proxy::start(registry.address.clone(), largest / 3, 3).await?;
    let from = format!("{}/acme/server@{}", proxy.address, built.digest);
    pull(&from, &folder.path().join("copy"), &Options::default()).await?;
    ensure!(proxy.cut() == 3, "{} cuts", proxy.cut());
    let copied = slipway_images::built::Image::open(&folder.path().join("copy"))?;
    ensure!(copied.digest == built.digest && copied.layers() == built.layers());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_fails_leaves_no_tag_and_the_next_one_goes_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (built, registry) = (server(folder.path())?, Registry::start(Access::Anyone)?);
    let layout = Layout::open(&folder.path().join("server"))?;
    let largest = built.layers().values().max().copied().context("a layer")?;

    let always = Proxy::start(registry.address.clone(), largest / 2, usize::MAX).await?;
    let options = Options { attempts: 2, ..Options::default() };
    let error = push(&layout, &format!("{}/acme/server:1.0", always.address), &options, |_| ()).await.err();
    let error = error.context("it cannot have worked")?.to_string();
    ensure!(error.contains("failed 2 times") && error.contains("run this again to continue"), "{error}");
    ensure!(!registry.has_tag("acme/server", "1.0"), "a tag points at something incomplete");

    let pushed = push(&layout, &format!("{}/acme/server:1.0", registry.address), &Options::default(), |_| ()).await?;
    ensure!(pushed.there > 0, "what arrived before is sent again: {pushed:?}");
    ensure!(registry.has_tag("acme/server", "1.0"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_pushes_with_the_usual_credentials() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clone = folder.path().join("clone");
    fresh_clone(&clone)?;
    let registry = Registry::start(Access::Password)?;
    let to = format!("{}/acme", registry.address);
    let push = |credentials: &str| -> Result<Command> {
        let docker = folder.path().join("docker");
        std::fs::create_dir_all(&docker)?;
        std::fs::write(
            docker.join("config.json"),
            format!(r#"{{"auths": {{"{}": {credentials}}}}}"#, registry.address),
        )?;
        let mut command = Command::new(program("slipway")?);
        command.arg("--repo").arg(&clone).args(["-o", "json", "image", "push", "server", "--tag", "1.0", "--to", &to]);
        command.env("DOCKER_CONFIG", docker);
        Ok(command)
    };
    // nobody:nothing
    let refused = push(r#"{"auth": "bm9ib2R5Om5vdGhpbmc="}"#)?.output()?;
    let output = String::from_utf8_lossy(&refused.stdout).into_owned();
    ensure!(refused.status.code() == Some(6) && output.contains("docker login"), "{output}");
    ensure!(!registry.has_tag("acme/server", "1.0"));
    // someone:secret
    let pushed = run(&mut push(r#"{"auth": "c29tZW9uZTpzZWNyZXQ="}"#)?)?;
    let built = image(&clone, &["build", "server"])?;
    ensure!(pushed["digest"] == built["digest"] && pushed["tag"] == "1.0", "{pushed}");
    ensure!(registry.has_tag("acme/server", "1.0"));

    // and what was pushed is pinned
    let overlay = clone.join("overlays/local/server/kustomization.yaml");
    std::fs::write(&overlay, "images:\n  - name: slipway/server\n")?;
    image(&clone, &["pin", pushed["image"].as_str().context("an image")?])?;
    let text = std::fs::read_to_string(&overlay)?;
    ensure!(text.contains(&format!("digest: {}", pushed["digest"].as_str().context("a digest")?)), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_builds_on_another_by_digest() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (built, registry) = (server(folder.path())?, Registry::start(Access::Anyone)?);
    let layout = Layout::open(&folder.path().join("server"))?;
    let base = push(&layout, &format!("{}/acme/server", registry.address), &Options::default(), |_| ()).await?;

    let clone = folder.path().join("clone");
    std::fs::create_dir_all(clone.join("apps/other"))?;
    let declaration = format!(
        "apiVersion: slipway.dev/v1alpha1\nkind: Image\nmetadata: {{name: other}}\nspec:\n  base: {{oci: '{}'}}\n  \
         files: [{{path: experiments, to: /experiments}}]\n  entrypoint: [/usr/local/bin/slipway-server]\n",
        base.image
    );
    std::fs::write(clone.join("apps/other/image.yaml"), declaration)?;
    image(&clone, &["lock", "other"])?;
    let other = slipway_images::built::Image::build(&clone, "other", &folder.path().join("other"))?;
    let below: Vec<&Value> = built.manifest["layers"].as_array().context("layers")?.iter().collect();
    let all: Vec<&Value> = other.manifest["layers"].as_array().context("layers")?.iter().collect();
    ensure!(all[..below.len()] == below && all.len() == below.len() + 1, "{}", other.manifest);
    let environment = other.config["config"]["Env"].to_string();
    ensure!(environment.contains("SLIPWAY_LISTEN=0.0.0.0:8080"), "the base's environment is gone: {environment}");
    Ok(())
}

/// A small image for a platform, with an SBOM that refers to it.
fn small(folder: &std::path::Path, platform: Platform) -> Result<Layout> {
    let writer = LayoutWriter::open(folder)?;
    let config = json!({ "architecture": platform.architecture(), "os": platform.os() });
    let config = writer.put(&Document::new(media_type::CONFIG, &config))?;
    let layer = Descriptor::new(media_type::LAYER, writer.blobs().put(platform.machine().as_bytes())?, 0);
    let layer = Descriptor { size: platform.machine().len() as u64, ..layer };
    let image = writer.put(&Manifest::new(config, vec![layer]).document())?;
    let empty = writer.put(&Document::new(media_type::EMPTY, &json!({})))?;
    let sbom = Document::new("application/vnd.cyclonedx+json", &json!({ "platform": platform }));
    let about = Manifest {
        artifact_type: Some(sbom.media_type.to_owned()),
        subject: Some(image.clone()),
        ..Manifest::new(empty, vec![writer.put(&sbom)?])
    };
    let about = writer.put(&about.document())?;
    Ok(writer.finish(vec![image, about])?)
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_two_machines_become_one_index_and_keep_what_refers_to_them() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = Registry::start(Access::Anyone)?;
    let repository = format!("{}/acme/server", registry.address);
    let mut pushed = Vec::new();
    for platform in Platform::ALL {
        let layout = small(&folder.path().join(platform.architecture()), platform)?;
        pushed.push((platform, push(&layout, &repository, &Options::default(), |_| ()).await?));
    }
    let lists = || {
        let tags = pushed.iter().map(|(_, image)| image.digest.to_string().replace(':', "-"));
        let paths = tags.map(|tag| registry.data().join("repositories/acme/server/_manifests/tags").join(tag));
        paths.map(|path| std::fs::read_to_string(path.join("current/link"))).collect::<Result<Vec<String>, _>>()
    };
    let before = lists()?;
    let index = || -> Result<Value> {
        let images = pushed.iter().rev().map(|(_, image)| image.image.as_str());
        run(Command::new(program("slipway")?)
            .current_dir(folder.path())
            .args(["-o", "json", "image", "index", "--tag", "1.0"])
            .args(images))
    };
    let first = index()?;
    ensure!(registry.has_tag("acme/server", "1.0") && first[0]["image"].is_string(), "{first}");
    ensure!(before == lists()?, "what refers to the images has changed");
    ensure!(index()? == first, "the second run makes another index");

    // the whole index can be pulled, and it holds both images
    let copy = folder.path().join("copy");
    let pulled = pull(first[0]["image"].as_str().context("an image")?, &copy, &Options::default()).await?;
    let copied = Layout::open(&copy)?;
    let entries: Vec<Descriptor> = copied.references(&pulled)?;
    ensure!(entries.len() == 2, "{entries:?}");
    for (entry, (platform, image)) in entries.iter().zip(&pushed) {
        ensure!(entry.digest == image.digest && entry.platform.as_ref().is_some_and(|of| of == platform), "{entry:?}");
        ensure!(first[0]["platforms"][platform.to_string()] == image.digest.to_string(), "{first}");
    }

    // a manifest that the disk has damaged
    let lost = pushed[0].1.digest;
    let blob = registry.data().join("blobs/sha256").join(&lost.hex()[..2]).join(lost.hex()).join("data");
    let mut bytes = std::fs::read(&blob)?;
    *bytes.last_mut().context("bytes")? ^= 1;
    std::fs::write(&blob, bytes)?;
    let images: Vec<String> = pushed.iter().map(|(_, image)| image.image.clone()).collect();
    let options = Options { attempts: 1, ..Options::default() };
    let error = combine(&images, Some("1.0"), &options).await.err().context("a damaged manifest is in an index")?;
    ensure!(error.is_unavailable() && error.to_string().contains(&lost.to_string()), "{error}");
    Ok(())
}
