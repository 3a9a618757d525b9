//! What is needed of git, by its own program: reading trees, making commits from them, fetching and pushing.

mod read;
mod remote;
mod write;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::error::advice;
use crate::{Error, Result};

/// A repository, with or without a work tree. Every call is a process of its own, so a `Git` may be used by many threads at once.
#[derive(Clone, Debug)]
pub struct Git {
    root: PathBuf,
    environment: Vec<(String, String)>,
}

/// What a hook that runs us has set; it would name another repository, or objects that are gone when the hook ends.
/// From `git rev-parse --local-env-vars`, without the configuration that a person gives for one command.
const OF_ANOTHER: [&str; 10] = [
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_SHALLOW_FILE",
];

impl Git {
    /// The repository that `folder` lies in.
    ///
    /// # Errors
    /// [`Error::NotARepository`]; [`Error::Git`] when git will not use it, such as another user's; [`Error::NoGit`].
    pub fn open(folder: &Path) -> Result<Self> {
        let mut git = Self { root: folder.to_owned(), environment: Vec::new() };
        let found = git.output(&["rev-parse", "--git-dir"], &[], None)?;
        if !found.status.success() {
            let stderr = said(&found);
            // Others, such as a repository of another user, have advice of their own.
            if stderr.contains("not a git repository") || stderr.contains("cannot change to") {
                return Err(Error::NotARepository(folder.to_owned()));
            }
            return Err(failed("rev-parse --git-dir", stderr));
        }
        // A bare repository has no top; its folder is as good.
        let top = git.output(&["rev-parse", "--show-toplevel"], &[], None)?;
        if top.status.success() {
            git.root = PathBuf::from(line(&top.stdout));
        }
        Ok(git)
    }

    /// The top of the work tree; of a bare repository its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The same with a variable more for git, in place of the process's own, which all tests share.
    #[cfg(test)]
    pub(crate) fn with_env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs git; its standard output.
    pub(crate) fn run(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        input: Option<&[u8]>,
    ) -> Result<Vec<u8>> {
        let done = self.output(arguments, environment, input)?;
        if done.status.success() {
            return Ok(done.stdout);
        }
        // The subcommand comes after `-c <setting>`.
        let command = if arguments.first() == Some(&"-c") { arguments.get(2) } else { arguments.first() };
        Err(failed(command.copied().unwrap_or_default(), said(&done)))
    }

    /// Runs git; what it printed and how it ended.
    pub(crate) fn output(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        input: Option<&[u8]>,
    ) -> Result<Output> {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.root).args(arguments);
        for variable in OF_ANOTHER {
            command.env_remove(variable);
        }
        // Messages that can be told apart; no question that nobody answers.
        command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.envs(environment.iter().copied());
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(Error::NoGit)?;
        // From another thread: git answers while it is still being asked.
        let writing = input.zip(child.stdin.take()).map(|(input, mut pipe)| {
            let input = input.to_vec();
            std::thread::spawn(move || pipe.write_all(&input))
        });
        let done = child.wait_with_output().map_err(|source| Error::Io { what: "waiting for git", source })?;
        // A git that did not want it all has said so by its exit code.
        let _ = writing.map(std::thread::JoinHandle::join);
        Ok(done)
    }
}

pub(crate) fn failed(command: &str, stderr: String) -> Error {
    Error::Git { command: command.to_owned(), advice: advice(&stderr), stderr }
}

/// The one line that a command printed. Only its end is cut: a folder's name may begin with a space.
pub(crate) fn line(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim_end_matches(['\n', '\r']).to_owned()
}

pub(crate) fn said(done: &Output) -> String {
    let text = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    if text.is_empty() { done.status.to_string() } else { text }
}
