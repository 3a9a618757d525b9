//! The user's own `git`: the one place that runs it.

use std::fs::File;
use std::io::{IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::error::advice_on;
use crate::{Error, Result};

/// The oldest version of git that has every option that this crate uses: `fetch --no-write-fetch-head` and `fetch --stdin` are the newest.
pub const OLDEST_GIT: (u32, u32) = (2, 29);

/// How long one run may take: enough for a large fetch and for a person who types a passphrase.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);
/// How long git may take to end its own helpers before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// What names another repository, as a hook that runs us has set it: `git rev-parse --local-env-vars`, and what a hook of a push adds. Two
/// of that list are kept, as git keeps them for submodules: `GIT_CONFIG_PARAMETERS` and `GIT_CONFIG_COUNT` hold the settings that a person
/// gives for one command (`git -c`), such as credentials, and cannot name a repository.
const LOCAL: [&str; 16] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// One run of git.
#[derive(Clone, Debug)]
pub(crate) struct Run<'a> {
    folder: &'a Path,
    arguments: Vec<&'a str>,
    environment: Vec<(&'a str, String)>,
    input: Option<&'a [u8]>,
    limit: Duration,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    /// What it printed on standard error, or its exit status when it printed nothing.
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn is_success(&self) -> bool {
        self.code == Some(0)
    }
}

impl<'a> Run<'a> {
    /// A run in a folder.
    pub(crate) fn new(folder: &'a Path, arguments: &[&'a str], limit: Duration) -> Self {
        Self { folder, arguments: arguments.to_vec(), environment: Vec::new(), input: None, limit }
    }

    /// The same with a variable more.
    pub(crate) fn env(mut self, name: &'a str, value: String) -> Self {
        self.environment.push((name, value));
        self
    }

    /// The same with this on standard input, which is empty otherwise.
    pub(crate) fn input(mut self, input: &'a [u8]) -> Self {
        self.input = Some(input);
        self
    }

    /// Runs it; its standard output. `command` stands for it in messages, since arguments may hold passwords.
    ///
    /// # Errors
    /// As [`end`](Self::end), and [`Error::Git`] when it fails.
    pub(crate) fn output(self, command: &str) -> Result<Vec<u8>> {
        let done = self.end(command)?;
        if done.is_success() { Ok(done.stdout) } else { Err(failed(command, done.stderr)) }
    }

    /// Runs it to its end, however that is.
    ///
    /// A person at a terminal may be asked for a passphrase there, by ssh, and may press Ctrl-C: git stays in the foreground process group
    /// of this program. Otherwise it gets a group of its own, which is killed as a whole when time is up.
    ///
    /// # Errors
    /// [`Error::NoGit`], [`Error::TimedOut`], [`Error::Io`].
    pub(crate) fn end(self, command: &str) -> Result<Done> {
        let attended = std::io::stdin().is_terminal();
        let (mut stdout, mut stderr) = (temporary(&[])?, temporary(&[])?);
        let mut git = Command::new("git");
        git.arg("-C").arg(self.folder).args(&self.arguments);
        for variable in LOCAL {
            git.env_remove(variable);
        }
        // Messages that can be told apart, and no question that nobody answers.
        git.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").envs(self.environment);
        git.stdin(match self.input {
            Some(input) => temporary(input)?.into(),
            None => Stdio::null(),
        });
        // Files instead of pipes: a helper that stays, such as ssh's master connection, would keep a pipe open.
        git.stdout(duplicate(&stdout)?).stderr(duplicate(&stderr)?);
        if !attended {
            git.process_group(0);
        }
        let mut child = git.spawn().map_err(Error::NoGit)?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let (sender, ended) = mpsc::channel();
        std::thread::spawn(move || sender.send(child.wait()));
        let status = match ended.recv_timeout(self.limit) {
            Ok(status) => status.map_err(Error::io("waiting for git"))?,
            Err(_) => {
                // The thread above still waits for it, so the id has not gone to another process.
                if let Some(pid) = pid {
                    kill(pid, attended, &ended);
                }
                return Err(Error::TimedOut { command: command.to_owned(), seconds: self.limit.as_secs() });
            }
        };
        let said = String::from_utf8_lossy(&content(&mut stderr)?).trim().to_owned();
        Ok(Done {
            code: status.code(),
            stdout: content(&mut stdout)?,
            stderr: if said.is_empty() { status.to_string() } else { said },
        })
    }
}

/// Ends git and what it started. In its own group all of them are killed; in ours git is asked first, since it then ends its helpers.
fn kill<T>(pid: Pid, attended: bool, ended: &mpsc::Receiver<T>) {
    if attended {
        let _ = kill_process(pid, Signal::TERM);
        if ended.recv_timeout(GRACE).is_err() {
            let _ = kill_process(pid, Signal::KILL);
        }
    } else {
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = ended.recv_timeout(GRACE);
    }
}

pub(crate) fn failed(command: &str, stderr: String) -> Error {
    Error::Git { command: command.to_owned(), advice: advice_on(&stderr), stderr }
}

/// The one line that a command printed. Only its end is cut: a folder's name may begin with a space.
pub(crate) fn line(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim_end_matches(['\n', '\r']).to_owned()
}

/// What git printed on standard error as a part of one sentence: lines joined, without git's own prefixes, empty brackets and the colon of
/// a line that nothing follows.
pub(crate) fn one_line(stderr: &str) -> String {
    let lines = stderr.lines().map(|line| {
        let line = line.trim();
        let line = ["error:", "fatal:", "warning:"].iter().find_map(|prefix| line.strip_prefix(prefix)).unwrap_or(line);
        line.trim().trim_end_matches([':', '?', '.', ';']).trim()
    });
    let lines: Vec<&str> = lines.filter(|line| line.chars().any(char::is_alphanumeric)).collect();
    if lines.is_empty() { "git did not say why".to_owned() } else { lines.join("; ") }
}

/// A file without a name that holds `content`, at its beginning.
fn temporary(content: &[u8]) -> Result<File> {
    let failed = "making a temporary file";
    let mut file = tempfile::tempfile().map_err(Error::io(failed))?;
    file.write_all(content).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(Error::io(failed))?;
    Ok(file)
}

fn duplicate(file: &File) -> Result<Stdio> {
    Ok(file.try_clone().map_err(Error::io("making a temporary file"))?.into())
}

fn content(file: &mut File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_to_end(&mut bytes))
        .map_err(Error::io("reading what git printed"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_printed_fits_into_a_sentence() {
        for (stderr, said) in [
            ("error: gpg failed to sign the data:\n", "gpg failed to sign the data"),
            ("error: ?\nfatal: failed to write commit object", "failed to write commit object"),
            ("error:", "git did not say why"),
            ("error: a\n\nhint: b?\n", "a; hint: b"),
        ] {
            assert_eq!(one_line(stderr), said, "{stderr:?}");
        }
    }

    #[test]
    fn every_variable_that_names_a_repository_is_taken_away() {
        let run = Run::new(Path::new("."), &["rev-parse", "--local-env-vars"], LIMIT);
        let known = String::from_utf8(run.output("rev-parse").unwrap()).unwrap();
        let settings = ["GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"];
        let missing: Vec<&str> =
            known.lines().filter(|name| !LOCAL.contains(name) && !settings.contains(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
