//! The repository that Argo CD follows, and a person's clone of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use slipway_forge::BareForge;
use slipway_loop::programs::fresh_clone;
use tempfile::TempDir;

/// A clone, and the bare repository that is its forge.
#[derive(Debug)]
pub struct Repository {
    _folder: TempDir,
    root: PathBuf,
    forge: PathBuf,
}

impl Repository {
    /// Clones the forge, which is made if it is missing. An empty forge first gets this repository's commit, and the changes that
    /// `first` makes.
    pub(crate) fn open(forge: &Path, first: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        make_forge(forge)?;
        let folder = tempfile::tempdir()?;
        let root = folder.path().join("slipway");
        let repository = Self { root: root.clone(), forge: forge.to_owned(), _folder: folder };
        if fs::exists(forge.join("refs/heads/main"))? {
            run(Command::new("git").args(["clone", "--quiet"]).arg(forge).arg(&root))?;
            repository.configure()?;
            return Ok(repository);
        }
        fresh_clone(&root)?;
        repository.configure()?;
        repository.git(&["checkout", "--quiet", "-B", "main"])?;
        first(&root)?;
        repository.git(&["add", "--all"])?;
        repository.git(&["commit", "--quiet", "--message", "My repository and images"])?;
        repository.push()?;
        Ok(repository)
    }

    /// The work tree.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The bare repository.
    #[must_use]
    pub fn forge(&self) -> &Path {
        &self.forge
    }

    /// Runs git in the work tree and returns its output.
    ///
    /// # Errors
    /// If it fails; the error holds its message.
    pub fn git(&self, arguments: &[&str]) -> Result<String> {
        run(Command::new("git").arg("-C").arg(&self.root).args(arguments))
    }

    /// The commit of the forge's main.
    ///
    /// # Errors
    /// If the forge has no main.
    pub fn main(&self) -> Result<String> {
        Ok(run(Command::new("git").arg("-C").arg(&self.forge).args(["rev-parse", "refs/heads/main"]))?
            .trim()
            .to_owned())
    }

    /// Resets the work tree to the forge's main.
    ///
    /// # Errors
    /// If git fails.
    pub fn pull(&self) -> Result<()> {
        self.git(&["fetch", "--quiet", &self.forge.display().to_string(), "main"])?;
        self.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"])?;
        self.git(&["clean", "--quiet", "-fd"]).map(drop)
    }

    /// Changes files on the newest main and pushes them. Returns the commits of main before and after.
    ///
    /// # Errors
    /// If `edit` fails or changes nothing.
    pub(crate) fn change(&self, message: &str, edit: impl FnOnce(&Path) -> Result<()>) -> Result<(String, String)> {
        self.pull()?;
        let before = self.main()?;
        edit(&self.root)?;
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", message])?;
        self.push()?;
        Ok((before, self.main()?))
    }

    /// Merges a pull request as a person does. Returns the commits of main before and after.
    ///
    /// # Errors
    /// If it is not open, or has conflicts.
    pub(crate) fn merge(&self, number: u64) -> Result<(String, String)> {
        let before = self.main()?;
        BareForge::open(&self.forge)?.merge(number)?;
        self.pull()?;
        Ok((before, self.main()?))
    }

    fn push(&self) -> Result<()> {
        self.git(&["push", "--quiet", &self.forge.display().to_string(), "HEAD:refs/heads/main"]).map(drop)
    }

    fn configure(&self) -> Result<()> {
        self.git(&["config", "user.name", "Ada"])?;
        self.git(&["config", "user.email", "ada@example.org"]).map(drop)
    }
}

/// Makes an empty forge, unless there is one.
pub(crate) fn make_forge(forge: &Path) -> Result<()> {
    run(Command::new("git").args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(forge)).map(drop)
}

/// Runs a command to its end and returns its output.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let done = command.stdin(Stdio::null()).output().with_context(|| format!("running {command:?}"))?;
    // findings are results, so they are on standard output
    let (errors, result) = (String::from_utf8_lossy(&done.stderr), String::from_utf8_lossy(&done.stdout));
    ensure!(done.status.success(), "{command:?} ended with {}:\n{errors}{result}", done.status);
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
