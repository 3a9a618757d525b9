//! The CNCF's registry on loopback, with its storage in a temporary folder.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use slipway_loop::programs::given;
use tempfile::TempDir;

/// A running registry.
pub struct Registry {
    child: Child,
    folder: TempDir,
    /// `127.0.0.1:<port>`
    pub address: String,
}

/// Who has access.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// Everybody.
    Anyone,
    /// The user `someone` with the password `secret`.
    Password,
}

/// `someone:secret` as a line of an htpasswd file, hashed by bcrypt.
const PASSWORDS: &str = "someone:$2b$05$V9elYv37MmyRphII3ReFAeUSGoeNuWCbkPt0Fg1ST0U76uLk5M7IW\n";

impl Registry {
    /// Starts a registry on a free port and waits until it answers.
    pub fn start(access: Access) -> Result<Self> {
        let program = given("SLIPWAY_REGISTRY")?;
        let folder = tempfile::tempdir()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let at = folder.path().display();
        let auth = match access {
            Access::Anyone => String::new(),
            Access::Password => {
                std::fs::write(folder.path().join("passwords"), PASSWORDS)?;
                format!("auth:\n  htpasswd: {{realm: test, path: {at}/passwords}}\n")
            }
        };
        let configuration = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {at}/data}}\n  delete: {{enabled: true}}\n\
             http: {{addr: '{address}'}}\n{auth}"
        );
        let file = folder.path().join("config.yml");
        std::fs::write(&file, configuration)?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let child = Command::new(&program)
            .arg("serve")
            .arg(&file)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} is missing: `make test-images` builds it", program.display()))?;
        let mut new = Self { child, folder, address };
        let begun = Instant::now();
        while std::net::TcpStream::connect(&new.address).is_err() {
            if let Some(status) = new.child.try_wait()? {
                bail!("the registry ended with {status}:\n{}", new.log());
            }
            ensure!(begun.elapsed() < Duration::from_secs(30), "the registry does not answer:\n{}", new.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(new)
    }

    /// The registry's log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The folder with its storage.
    pub fn data(&self) -> std::path::PathBuf {
        Path::new(self.folder.path()).join("data/docker/registry/v2")
    }

    /// Whether a tag exists.
    pub fn has_tag(&self, repository: &str, tag: &str) -> bool {
        self.data().join("repositories").join(repository).join("_manifests/tags").join(tag).exists()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
