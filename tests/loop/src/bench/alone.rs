//! A model server of the benchmark's own, of which it knows the process: beside the one of the loop, with the same models.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use super::{cores, large};
use crate::demo::Addresses;
use crate::programs::program;

/// The model that the loop has trained.
pub const MODEL: &str = "mnist";
/// Longer than a start takes, or a change of the version.
const PATIENCE: Duration = Duration::from_secs(60);
/// The lists of models in service: one of two versions of [`MODEL`], and the larger network.
const LIST: &str = "models.yaml";
const LARGE_LIST: &str = "large.yaml";
/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);

/// Where such a server finds its models: a registry, a cache that has them already, and a list with one of two versions.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
    mlflow: String,
    /// Version and digest of each; the first one is in service.
    versions: [(String, String); 2],
}

impl Place {
    /// Creates it in `folder`, from a loop that has trained two versions.
    pub async fn new(addresses: &Addresses, folder: &Path) -> Result<Self> {
        let folder = folder.join("alone");
        std::fs::create_dir_all(&folder)?;
        let state = addresses.kubeconfig.parent().context("the state folder")?;
        let copied = Command::new("cp").arg("-r").arg(state.join("cache/server")).arg(folder.join("cache")).output()?;
        ensure!(copied.status.success(), "cp: {}", String::from_utf8_lossy(&copied.stderr));
        std::fs::write(folder.join(LARGE_LIST), large::put(&folder.join("cache"))?)?;
        let url = format!("{}/api/2.0/mlflow/model-versions/search?filter=name%3D'{MODEL}'", addresses.mlflow);
        let client = reqwest::Client::builder().no_proxy().build()?;
        let found: Value = client.get(url).send().await?.error_for_status()?.json().await?;
        let mut versions = found["model_versions"].as_array().into_iter().flatten().filter_map(|version| {
            let digest = version["tags"].as_array()?.iter().find(|tag| tag["key"] == "slipway.digest")?;
            Some((version["version"].as_str()?.to_owned(), digest["value"].as_str()?.to_owned()))
        });
        let two = versions.next().zip(versions.next());
        let (one, other) = two.with_context(|| format!("two versions are needed to swap them: {found}"))?;
        let mut place = Self { folder, mlflow: addresses.mlflow.clone(), versions: [one, other] };
        place.write()?;
        // both are in the cache from now on
        let server = Alone::start(&place, None)?;
        for _ in 0..2 {
            place.swap()?;
            server.has(&place)?;
        }
        Ok(place)
    }

    /// Puts the other version into service.
    pub fn swap(&mut self) -> Result<()> {
        self.versions.reverse();
        self.write()
    }

    /// The version in service.
    pub fn version(&self) -> &str {
        &self.versions[0].0
    }

    fn write(&self) -> Result<()> {
        let [(version, digest), _] = &self.versions;
        let list = format!("models:\n  - name: {MODEL}\n    version: \"{version}\"\n    digest: {digest}\n");
        let written = self.folder.join("models.yaml.new");
        std::fs::write(&written, list)?;
        Ok(std::fs::rename(written, self.folder.join(LIST))?)
    }
}

/// What a server gets that is to be overloaded. It serves the larger network.
#[derive(Clone, Copy, Debug)]
pub struct Narrow {
    /// Its only core.
    pub core: usize,
    /// How many requests may wait.
    pub queue: usize,
}

/// A running server, ended when this is dropped.
#[derive(Debug)]
pub struct Alone {
    child: Child,
    /// Where it answers.
    pub address: SocketAddr,
    /// From its start until it was ready.
    pub ready: Duration,
}

impl Alone {
    /// Starts it, and waits until it is ready.
    pub fn start(place: &Place, narrow: Option<Narrow>) -> Result<Self> {
        let mut command = Command::new(program("slipway-server")?);
        command
            .env("SLIPWAY_LISTEN", "127.0.0.1:0")
            .env_remove("SLIPWAY_LISTEN_INTERNAL")
            .env("SLIPWAY_MODELS", place.folder.join(if narrow.is_some() { LARGE_LIST } else { LIST }))
            .env("SLIPWAY_CACHE", place.folder.join("cache"))
            .env("MLFLOW_TRACKING_URI", &place.mlflow)
            .env("NO_PROXY", "127.0.0.1,localhost")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(place.folder.join("server.log"))?);
        if let Some(Narrow { queue, .. }) = narrow {
            command.env("SLIPWAY_QUEUE", queue.to_string());
        }
        let begun = Instant::now();
        let child = spawn(&mut command, narrow.map(|narrow| narrow.core))?;
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), ready: Duration::ZERO };
        let stdout = server.child.stdout.take().context("stdout is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).with_context(|| format!("the server said {line:?}"))?;
        server.address = said["listening"].as_str().context("no address")?.parse()?;
        while !server.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            ensure!(begun.elapsed() < PATIENCE, "the server is not ready within {PATIENCE:?}");
            std::thread::sleep(LOOK);
        }
        server.ready = begun.elapsed();
        Ok(server)
    }

    /// Waits until the version in service is that of the list.
    pub fn has(&self, place: &Place) -> Result<()> {
        let begun = Instant::now();
        loop {
            let answer = self.get(&format!("/v2/models/{MODEL}")).unwrap_or_default();
            let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let said: Value = serde_json::from_str(body).unwrap_or_default();
            if said["versions"][0] == place.version() {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "version {} is not in service: {answer}", place.version());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it answers on a connection of its own; `None` if it does not.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// The memory that it has now.
    pub fn memory(&self) -> Result<Memory> {
        let maps = std::fs::read_to_string(format!("/proc/{}/smaps", self.child.id()));
        Memory::of(&maps.context("this system has no /proc")?)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A child runs where the thread does that starts it.
fn spawn(command: &mut Command, core: Option<usize>) -> Result<Child> {
    let Some(core) = core else { return command.spawn().context("cannot start the server") };
    let started = std::thread::scope(|scope| {
        let starting = scope.spawn(|| -> Result<Child> {
            cores::stay_on(core)?;
            command.spawn().context("cannot start the server")
        });
        starting.join()
    });
    started.map_err(|_| anyhow!("a thread panicked"))?
}

/// The memory of a process, in MiB.
#[derive(Debug, Default, PartialEq)]
pub struct Memory {
    /// All pages that are in memory, also those that other processes share.
    pub resident: f64,
    /// Without the pages of libtorch's files, most of which are read from disk again when they are needed.
    pub without_libtorch: f64,
    /// Pages that other processes have too count for their part.
    pub share: f64,
}

impl Memory {
    /// From the text of `/proc/<pid>/smaps`.
    fn of(maps: &str) -> Result<Self> {
        let (mut memory, mut libtorch) = (Self::default(), false);
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let Some(first) = words.next() else { continue };
            let mut mib = || -> Result<f64> { Ok(words.next().context("a size")?.parse::<f64>()? / 1024.0) };
            match first {
                "Rss:" => {
                    let size = mib()?;
                    memory.resident += size;
                    memory.without_libtorch += if libtorch { 0.0 } else { size };
                }
                "Pss:" => memory.share += mib()?,
                first if !first.ends_with(':') => {
                    libtorch = ["/libtorch", "/libc10", "/libgomp"].iter().any(|name| line.contains(name));
                }
                _ => {}
            }
        }
        ensure!(memory.resident > 0.0, "no memory in /proc/<pid>/smaps");
        Ok(memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_libtorch_are_told_apart() {
        let maps = "7f00-7f10 r-xp 00000000 fe:00 9 /a/lib/libtorch_cpu.so\nRss: 2048 kB\nPss: 1024 kB\nVmFlags: rd ex\n\
                    7f10-7f20 rw-p 00000000 00:00 0\nSize: 9 kB\nRss: 1024 kB\nPss: 1024 kB\nPss_Dirty: 512 kB\n";
        let memory = Memory { resident: 3.0, without_libtorch: 1.0, share: 2.0 };
        assert_eq!(Memory::of(maps).unwrap(), memory);
        assert!(Memory::of("").is_err());
    }
}
