//! Fetching without the program git, from git's own `git http-backend` and from servers that misbehave.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod cache;
mod fetching;
mod hostile;
mod limits;
mod server;
mod tokens;

use std::path::Path;

use slipway_git::{HttpRemote, Repository};
use slipway_repositories::{Repositories, git};
use tempfile::TempDir;

use server::Server;

/// The branch that most tests fetch.
pub(crate) const MAIN: &str = "refs/heads/main";

/// A repository that is served, and an empty mirror.
pub(crate) struct Served {
    pub(crate) origin: Repositories,
    pub(crate) server: Server,
    pub(crate) mirror: Repository,
    _folder: TempDir,
}

impl Served {
    pub(crate) async fn new() -> Self {
        let origin = Repositories::new();
        let server = Server::start(origin.folder.path()).await;
        let folder = tempfile::tempdir().unwrap();
        let mirror = Repository::open_cache(&folder.path().join("mirror.git")).unwrap();
        Self { origin, server, mirror, _folder: folder }
    }

    pub(crate) fn remote(&self) -> HttpRemote {
        HttpRemote::new(&format!("{}/forge.git", self.server.url)).unwrap()
    }

    /// Makes a commit with these files in the work tree, and pushes it to a branch.
    pub(crate) fn push(&self, files: &[(&str, &[u8])], branch: &str) -> String {
        commit(&self.origin.work, files);
        git(&self.origin.work, &["push", "--quiet", "--force", "../forge.git", &format!("HEAD:{branch}")]);
        git(&self.origin.work, &["rev-parse", "HEAD"])
    }

    /// What the mirror holds, as the real git sees it: references, and whether everything is there.
    pub(crate) fn check(&self) -> String {
        check(self.mirror.root())
    }

    /// The files of the mirror besides its objects and references, which a fetch that broke off must not leave.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let objects = std::fs::read_dir(self.mirror.root().join("objects")).unwrap();
        let packs = std::fs::read_dir(self.mirror.root().join("objects/pack")).into_iter().flatten();
        let names = objects.chain(packs).map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "pack" && name != "info" && !is_pack(name) && name.len() != 2).collect()
    }
}

fn is_pack(name: &str) -> bool {
    name.starts_with("pack-") && (name.ends_with(".pack") || name.ends_with(".idx"))
}

pub(crate) fn check(mirror: &Path) -> String {
    git(mirror, &["fsck", "--full", "--strict", "--no-dangling"]);
    git(mirror, &["for-each-ref", "--format=%(refname) %(objectname)"])
}

/// Makes a commit with these files.
pub(crate) fn commit(work: &Path, files: &[(&str, &[u8])]) {
    for (path, content) in files {
        std::fs::write(work.join(path), content).unwrap();
    }
    git(work, &["add", "."]);
    git(work, &["commit", "--quiet", "--allow-empty", "-m", "another"]);
}
