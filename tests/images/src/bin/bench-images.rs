//! `make bench-images`: sizes, start-up and rebuilds of the images, beside the same in Python from the same wheels.
//!
//! Usage: `bench-images [ROUNDS]` (default: 5). Prints a table to standard error and JSON to standard output.
#![expect(clippy::print_stderr, reason = "the table is for the person at the terminal")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use slipway_images::built::{ALL, Image};
use slipway_images::container::{options, tar};
use slipway_images::containerd::Containerd;
use slipway_loop::programs::{fresh_clone, given, program, repository};

/// The libraries that PyTorch's Linux build links to and never calls on a CPU.
const CUDA: [&str; 12] = [
    "cublas.so.13",
    "cublasLt.so.13",
    "cudnn.so.9",
    "cufft.so.12",
    "cufile.so.0",
    "curand.so.10",
    "cusolver.so.12",
    "cusparse.so.12",
    "cusparseLt.so.0",
    "nccl.so.2",
    "nvrtc.so.13",
    "nvshmem_host.so.3",
];

fn main() -> Result<()> {
    let rounds: usize =
        std::env::args().nth(1).map_or(Ok(5), |text| text.parse()).context("ROUNDS must be a number")?;
    let containerd = Containerd::start()?;
    let clone = containerd.folder().join("clone");
    fresh_clone(&clone)?;
    python(&clone)?;
    let mut sizes = Vec::new();
    for name in ALL.into_iter().chain(["python"]) {
        eprintln!("building {name}");
        let layout = Image::build(&clone, name, &containerd.folder().join(name))?;
        let mut unpacked = 0;
        layout.files(|_, _, content| unpacked += content.len() as u64)?;
        sizes.push((name, layout.layers().values().sum::<u64>(), unpacked, layout.layers()));
    }
    let mut figures: Vec<(String, Vec<f64>)> = Vec::new();
    let images: Vec<(&str, String)> = ["trainer", "server", "python"]
        .into_iter()
        .map(|name| Ok((name, containerd.import(&tar(&clone, name, containerd.folder())?)?)))
        .collect::<Result<_>>()?;
    let [(_, trainer), (_, server), (_, python)] = images.as_slice() else { unreachable!("three were asked for") };
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        let mut add = |name: &str, value: Duration| match figures.iter_mut().find(|(other, _)| other == name) {
            Some((_, values)) => values.push(value.as_secs_f64()),
            None => figures.push((name.to_owned(), vec![value.as_secs_f64()])),
        };
        add("trainer: until it looks at its job", until_it_ends(&containerd, trainer, &[])?);
        add(
            "trainer in Python: the same",
            until_it_ends(&containerd, python, &["/usr/bin/python3.11", "/app/trainer.py"])?,
        );
        add("server: until /healthz answers", until_it_answers(&containerd, server, &[])?);
        add(
            "server in Python: the same",
            until_it_answers(&containerd, python, &["/usr/bin/python3.11", "/app/server.py"])?,
        );
        for name in ALL {
            add(&format!("build {name}, nothing changed"), build(&clone, name, None)?.0);
        }
        let target = containerd.folder().join(format!("target-{round}"));
        let (time, layers) = build(&clone, "server", Some(&target))?;
        let old = sizes.iter().find(|(name, ..)| *name == "server").context("the server's layers")?;
        let same = layers.keys().filter(|digest| old.3.contains_key(*digest)).count();
        ensure!(same + 1 == layers.len(), "more than the application's layer changed");
        add("build server, its program changed", time);
    }
    eprintln!("\n| Image | Compressed | Unpacked |\n|---|---|---|");
    for (name, compressed, unpacked, _) in &sizes {
        eprintln!("| {name} | {:.1} MB | {:.1} MB |", *compressed as f64 / 1e6, *unpacked as f64 / 1e6);
    }
    eprintln!("\n| Seconds | Minimum | Median | Maximum |\n|---|---|---|---|");
    for (name, values) in &mut figures {
        values.sort_by(f64::total_cmp);
        let (first, middle, last) = (values[0], values[values.len() / 2], values[values.len() - 1]);
        eprintln!("| {name} | {first:.2} | {middle:.2} | {last:.2} |");
    }
    let slipway = std::fs::metadata(given("SLIPWAY_DIST")?)?.len();
    eprintln!("\nslipway: {:.1} MB", slipway as f64 / 1e6);
    let sizes: Vec<_> =
        sizes.iter().map(|(name, size, all, _)| json!({"image": name, "compressed": size, "unpacked": all})).collect();
    println!("{}", json!({"rounds": rounds, "slipway": slipway, "images": sizes, "seconds": figures}));
    Ok(())
}

/// Declares and locks the Python image in the clone.
fn python(clone: &Path) -> Result<()> {
    let (from, to) = (repository().join("tests/images/python"), clone.join("apps/python"));
    std::fs::create_dir_all(to.join("lib"))?;
    for name in ["image.yaml", "server.py", "trainer.py"] {
        std::fs::copy(from.join(name), to.join(name))?;
    }
    std::fs::write(to.join("slipway-lazy.pth"), "import os, sys; sys.setdlopenflags(os.RTLD_LAZY)\n")?;
    for name in CUDA {
        let name = format!("lib{name}");
        succeed(
            Command::new("c++")
                .args(["-shared", "-x", "c", "/dev/null", "-o"])
                .arg(to.join("lib").join(&name))
                .arg(format!("-Wl,-soname,{name}")),
        )?;
    }
    let read = |path: PathBuf| std::fs::read_to_string(&path).with_context(|| path.display().to_string());
    let mlflow = read(clone.join("apps/mlflow/requirements.lock"))?;
    let torch = read(clone.join("tools/setup/requirements-torch.lock"))?;
    let mut all = pins(&mlflow);
    // versions as the mlflow image has them
    all.extend(pins(&torch).into_iter().filter(|(name, _)| !pins(&mlflow).iter().any(|(other, _)| other == name)));
    let all: String = all.into_iter().map(|(_, text)| text).collect();
    std::fs::write(to.join("requirements.lock"), all)?;
    succeed(Command::new(program("slipway")?).arg("--repo").arg(clone).args([
        "image",
        "lock",
        "python",
        "--platform",
        "linux/amd64",
    ]))?;
    succeed(Command::new("git").arg("-C").arg(clone).args(["add", "--force", "apps/python"]))
}

/// The pins of a requirements file: each name with its lines.
fn pins(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match (line.split_once("=="), found.last_mut()) {
            (Some((name, _)), _) if !line.starts_with(' ') => found.push((name.to_owned(), format!("{line}\n"))),
            (_, Some((_, lines))) => lines.push_str(&format!("{line}\n")),
            _ => {}
        }
    }
    found
}

fn succeed(command: &mut Command) -> Result<()> {
    let done = command.output()?;
    ensure!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// The time from `ctr run` to its end, for a program without a job.
fn until_it_ends(containerd: &Containerd, image: &str, arguments: &[&str]) -> Result<Duration> {
    let mut command = containerd.ctr();
    command.args(["run", "--rm"]).args(options()).args([image, "measured"]).args(arguments);
    let begun = Instant::now();
    let done = command.output()?;
    let time = begun.elapsed();
    let output = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    ensure!(output.contains("SLIPWAY_TRIAL is not set"), "{output}");
    Ok(time)
}

/// The time from `ctr run` to an answer.
fn until_it_answers(containerd: &Containerd, image: &str, arguments: &[&str]) -> Result<Duration> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let listen = format!("127.0.0.1:{port}");
    let models = containerd.folder().join("models.yaml");
    std::fs::write(&models, "models: []\n")?;
    let mut command = containerd.ctr();
    command.args(["run", "--rm"]).args(options());
    command.args(["--mount", &format!("type=bind,src={},dst=/models.yaml,options=rbind:ro", models.display())]);
    command.args(["--env", &format!("SLIPWAY_LISTEN={listen}"), "--env", "SLIPWAY_MODELS=/models.yaml"]);
    command.args([
        "--env",
        "SLIPWAY_CACHE=/tmp/cache",
        "--env",
        "MLFLOW_TRACKING_URI=http://127.0.0.1:1",
        image,
        "measured",
    ]);
    let begun = Instant::now();
    let mut child =
        command.args(arguments).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn()?;
    let asks = || -> Result<bool> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&listen)?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    while !asks().unwrap_or(false) {
        ensure!(child.try_wait()?.is_none(), "the server ended");
        ensure!(begun.elapsed() < Duration::from_secs(120), "the server does not answer");
        std::thread::sleep(Duration::from_millis(5));
    }
    let time = begun.elapsed();
    containerd.does(&["tasks", "kill", "--signal", "SIGKILL", "measured"])?;
    child.wait()?;
    Ok(time)
}

/// A build into the cache's layout; with a folder, of a server whose program is another.
fn build(
    clone: &Path,
    name: &str,
    changed: Option<&Path>,
) -> Result<(Duration, std::collections::BTreeMap<String, u64>)> {
    let mut command = Command::new(program("slipway")?);
    command.arg("--repo").arg(clone).args(["-o", "json", "image", "build", name]);
    if let Some(target) = changed {
        let (release, program) = (target.join("release"), format!("slipway-{name}"));
        std::fs::create_dir_all(&release)?;
        let mut bytes = std::fs::read(given("SLIPWAY_BIN")?.join(&program))?;
        // after the end of what the loader reads
        bytes.extend_from_slice(target.display().to_string().as_bytes());
        std::fs::write(release.join(&program), bytes)?;
        command.env("CARGO_TARGET_DIR", target);
    }
    let begun = Instant::now();
    succeed(&mut command)?;
    let time = begun.elapsed();
    Ok((time, Image::open(&given("SLIPWAY_CACHE_FOLDER")?.join("images").join(name))?.layers()))
}
