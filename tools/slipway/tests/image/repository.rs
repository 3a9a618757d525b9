//! A small repository with one image `thing`, a cache of its own and a mirror.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use slipway_digest::Digest;
use slipway_image::{Archive, Lock, Locked, Package, Platform, Wheel};
use slipway_repositories::git;
use tempfile::TempDir;

use crate::archives::deb;
use crate::mirror::{Answer, Mirror};
pub(crate) use crate::ran::Ran;

pub(crate) const DECLARATION: &str = "apiVersion: slipway.dev/v1alpha1
kind: Image
metadata:
  name: thing
spec:
  base:
    debian: {suite: bookworm, packages: [thing-data]}
  files:
    - {binary: thing, to: /usr/local/bin/thing}
  entrypoint: [/usr/local/bin/thing]
";

/// The path of the package on the mirror.
pub(crate) const DEB: &str = "pool/main/t/thing-data_1.0_all.deb";

pub(crate) struct Repository {
    folder: TempDir,
    pub(crate) mirror: Mirror,
    pub(crate) locked: Locked,
}

impl Repository {
    pub(crate) fn new() -> Self {
        let deb = deb("thing-data", "1.0", "/usr/share/thing/data", b"some data");
        let package = Package {
            name: "thing-data".to_owned(),
            version: "1.0".to_owned(),
            archive: Archive::Debian,
            path: DEB.to_owned(),
            sha256: Digest::of(&deb),
            size: deb.len() as u64,
        };
        let locked = Locked { debian: vec![package], wheels: Vec::new() };
        let new = Self { folder: tempfile::tempdir().unwrap(), mirror: Mirror::start(), locked };
        new.mirror.set(DEB, Answer::Whole(deb));
        let package = "[workspace.package]\nversion = \"1.2.3\"\nlicense = \"MIT\"\n[package]\nname = \"thing\"\nversion = \"1.2.3\"\n";
        new.write("Cargo.toml", package);
        new.write("Cargo.lock", "version = 4\n\n[[package]]\nname = \"thing\"\nversion = \"1.2.3\"\n");
        new.write("src/main.rs", "fn main() {}\n");
        new.write("experiments/README.md", "");
        new.write("apps/thing/image.yaml", DECLARATION);
        fs::create_dir_all(new.path("target/release")).unwrap();
        // any program will do, such as this test's own
        fs::copy("/proc/self/exe", new.path("target/release/thing")).unwrap();
        new.lock();
        git(&new.root(), &["init", "--quiet"]);
        new.commit();
        new
    }

    /// Writes a lock for the current declaration.
    pub(crate) fn lock(&self) {
        let declared = slipway_image::named(&self.root(), &["thing".to_owned()]).unwrap().remove(0);
        let inputs = slipway_image::lock_inputs(&declared).unwrap();
        let platforms = BTreeMap::from([(Platform::of_this_machine(), self.locked.clone())]);
        self.write("apps/thing/image.lock", &Lock { version: 1, inputs, platforms }.to_text().unwrap());
    }

    pub(crate) fn lock_wheel(&mut self, file: &str, sha256: Digest) {
        let wheel = Wheel { name: "thing".into(), version: "1.0".into(), file: file.into(), sha256 };
        self.locked.wheels = vec![wheel];
        self.lock();
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path("work")
    }

    /// A path outside the repository.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    pub(crate) fn commit(&self) {
        git(&self.root(), &["add", "-A"]);
        git(&self.root(), &["commit", "--quiet", "-m", "change"]);
    }

    /// The command line in this repository, with a cache of its own.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        self.prepare(command.arg("image").args(arguments));
        command
    }

    pub(crate) fn prepare(&self, command: &mut Command) {
        command
            .current_dir(self.root())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env("SLIPWAY_DEBIAN_MIRROR", &self.mirror.url)
            .env("SLIPWAY_DEBIAN_SECURITY_MIRROR", &self.mirror.url)
            .env("PIP_NO_INDEX", "1");
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Runs a command that must fail with this code; returns its error output.
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code(), code, "{ran:?}");
        ran.errors()
    }

    /// Builds the image; returns its digest.
    pub(crate) fn build(&self) -> String {
        let ran = self.run(&["build", "thing", "-o", "json"]);
        assert_eq!(ran.code(), 0, "{ran:?}");
        ran.json()["digest"].as_str().unwrap().to_owned()
    }
}

/// Every path below a folder.
pub(crate) fn everything(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        }
        found.push(path);
    }
    found
}
