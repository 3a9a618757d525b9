//! Git repositories that replace the pinned upstream repositories, built from the modules in Go's module cache.
//!
//! A repository has one commit and one tag, the pinned version; its files are the module's, so folders that are modules of
//! their own are missing. Author and time of the commit are fixed: a module becomes the same commit on every machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::file::at;
use crate::inputs::Inputs;
use crate::progress::Progress;
use crate::{Cache, build};

/// A repository that is replaced.
#[derive(Debug)]
pub struct Repository {
    /// Host, owner and name, as in its URL.
    pub path: &'static str,
    /// The program whose module pins the version.
    program: &'static str,
    /// The module whose files it holds.
    module: &'static str,
}

/// The hosts whose repositories are replaced.
pub const HOSTS: &[&str] = &["github.com"];

/// Every repository of upstream that an Application or a remote base may name.
pub const REPOSITORIES: &[Repository] = &[
    Repository { path: "github.com/argoproj/argo-cd", program: "argocd", module: "github.com/argoproj/argo-cd/v3" },
    Repository { path: "github.com/kubeflow/trainer", program: "jobset", module: "github.com/kubeflow/trainer/v2" },
    Repository {
        path: "github.com/kubernetes-sigs/gateway-api",
        program: "traefik",
        module: "sigs.k8s.io/gateway-api",
    },
    Repository { path: "github.com/kubernetes-sigs/jobset", program: "jobset", module: "sigs.k8s.io/jobset" },
    Repository { path: "github.com/traefik/traefik", program: "traefik", module: "github.com/traefik/traefik/v3" },
];

/// Why a repository could not be created.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error(transparent)]
    File(#[from] crate::file::Error),
    /// git failed.
    #[error("git {arguments} in {}: {output}", folder.display())]
    Git {
        /// Its arguments.
        arguments: String,
        /// The folder in which it ran.
        folder: PathBuf,
        /// What it printed.
        output: String,
    },
    /// A module's folder whose name has no version.
    #[error("{}: this name should end with the module's version", .0.display())]
    NoVersion(PathBuf),
    /// A module of upstream.
    #[error(transparent)]
    Build(#[from] build::Error),
}

type Result<T> = std::result::Result<T, Error>;

/// Creates the repositories that are missing or not of the pinned version.
///
/// # Errors
/// git is missing, a module cannot be downloaded, or the cache cannot be written.
pub fn make(cache: &Cache, progress: &Progress) -> Result<()> {
    let stamp = cache.mirror().join("stamp");
    let key = key()?;
    if fs::read_to_string(&stamp).is_ok_and(|written| written == key) {
        return Ok(());
    }
    for repository in REPOSITORIES {
        let bare = cache.mirror().join(format!("{}.git", repository.path));
        let files = build::module_folder(cache, build::program(repository.program)?, repository.module)?;
        let version = files.to_str().and_then(|path| path.rsplit_once('@'));
        let Some((_, version)) = version else { return Err(Error::NoVersion(files)) };
        let tag = bare.join("refs/tags").join(version);
        if tag.exists() {
            continue;
        }
        let step = progress.step(&format!("mirror of {} {version}", repository.path));
        make_one(&files, &bare, version)?;
        step.done("one commit");
    }
    Ok(fs::write(&stamp, key).map_err(at(&stamp))?)
}

/// A digest of everything that the repositories are built from.
fn key() -> Result<String> {
    let mut inputs = Inputs::default();
    inputs.part(include_str!("mod.rs"));
    for module in ["controllers", "traefik", "argocd"] {
        let pins = build::modules().join(module).join("go.sum");
        inputs.tree(&pins).map_err(at(&pins))?;
    }
    Ok(inputs.digest())
}

/// Makes a cluster's own copy of the mirror, to push to. Packs are hard links. A repository that was copied before stays as it is,
/// and one that was not created yet is left out: a bare node needs none.
///
/// # Errors
/// The folder cannot be written.
pub fn copy(cache: &Cache, to: &Path) -> Result<()> {
    for repository in REPOSITORIES {
        let name = format!("{}.git", repository.path);
        if cache.mirror().join(&name).exists() && !to.join(&name).exists() {
            copy_tree(&cache.mirror().join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}

fn make_one(files: &Path, bare: &Path, version: &str) -> Result<()> {
    let _ = fs::remove_dir_all(bare);
    fs::create_dir_all(bare).map_err(at(bare))?;
    git(bare, &["init", "--quiet", "--bare", "--initial-branch=main", "."])?;
    let folder = format!("--git-dir={}", bare.display());
    // the module's own .gitignore may list files that the module has
    git(files, &[&folder, "--work-tree=.", "add", "--force", "--all", "."])?;
    let tree = git(bare, &["write-tree"])?;
    let commit = git(bare, &["commit-tree", &tree, "-m", version])?;
    git(bare, &["update-ref", "refs/heads/main", &commit])?;
    fs::remove_file(bare.join("index")).map_err(at(bare))?;
    git(bare, &["repack", "-adq"])?;
    // last: a repository that has the tag is complete
    git(bare, &["update-ref", &format!("refs/tags/{version}"), &commit]).map(drop)
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    // without the user's own configuration and the repository that this may run in
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GIT_") {
            command.env_remove(name);
        }
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("GIT_CONFIG_COUNT", "2");
    command.env("GIT_CONFIG_KEY_0", "core.autocrlf").env("GIT_CONFIG_VALUE_0", "false");
    command.env("GIT_CONFIG_KEY_1", "safe.directory").env("GIT_CONFIG_VALUE_1", "*");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "testbed").env(format!("GIT_{who}_EMAIL"), "testbed@slipway.dev");
        command.env(format!("GIT_{who}_DATE"), "2026-01-01T00:00:00Z");
    }
    let output = command.output().map_err(at(Path::new("git")))?;
    if !output.status.success() {
        return Err(Error::Git {
            arguments: arguments.join(" "),
            folder: folder.to_owned(),
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(at(to))?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let path = entry.map_err(at(from))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_tree(&path, &target)?;
        // packs never change; everything else can
        } else if path.extension().is_none_or(|kind| kind != "pack") || fs::hard_link(&path, &target).is_err() {
            fs::copy(&path, &target).map_err(at(&target))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_are_the_same_commit_and_ignored_ones_are_in_it() {
        let work = tempfile::tempdir().unwrap();
        let files = work.path().join("module@v1.2.3");
        fs::create_dir_all(files.join("config")).unwrap();
        fs::write(files.join(".gitignore"), "config/\n").unwrap();
        fs::write(files.join("config/kustomization.yaml"), "resources: []\n").unwrap();
        let commits = ["one.git", "two.git"].map(|name| {
            let bare = work.path().join(name);
            make_one(&files, &bare, "v1.2.3").unwrap();
            assert_eq!(git(&bare, &["show", "v1.2.3:config/kustomization.yaml"]).unwrap(), "resources: []");
            git(&bare, &["rev-parse", "v1.2.3"]).unwrap()
        });
        assert_eq!(commits[0], commits[1]);
        assert!(!files.join(".git").exists(), "a module's folder is Go's, and is left as it was");
    }

    #[test]
    fn a_copy_can_be_pushed_to_and_the_mirror_stays() {
        let work = tempfile::tempdir().unwrap();
        let files = work.path().join("files");
        fs::create_dir(&files).unwrap();
        fs::write(files.join("a"), "a").unwrap();
        let cache = Cache::at(&work.path().join("cache"));
        for repository in REPOSITORIES {
            make_one(&files, &cache.mirror().join(format!("{}.git", repository.path)), "v1").unwrap();
        }
        let to = work.path().join("cluster");
        copy(&cache, &to).unwrap();
        let (own, mirror) =
            (to.join("github.com/kubeflow/trainer.git"), cache.mirror().join("github.com/kubeflow/trainer.git"));
        git(&own, &["update-ref", "refs/heads/pushed", "refs/tags/v1"]).unwrap();
        git(&mirror, &["rev-parse", "--verify", "--quiet", "refs/heads/pushed"]).unwrap_err();
        // what was pushed is not undone by the next start
        copy(&cache, &to).unwrap();
        git(&own, &["rev-parse", "--verify", "--quiet", "refs/heads/pushed"]).unwrap();
    }
}
