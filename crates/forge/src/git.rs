//! What is needed of git, by its own program: reading trees, making commits from them, fetching and pushing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::{Error, Result};

/// A repository, with or without a work tree.
#[derive(Clone, Debug)]
pub struct Git {
    root: PathBuf,
}

/// Who commits when git has not been told.
const NOBODY: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "Slipway"),
    ("GIT_AUTHOR_EMAIL", "slipway@localhost"),
    ("GIT_COMMITTER_NAME", "Slipway"),
    ("GIT_COMMITTER_EMAIL", "slipway@localhost"),
];

/// A name for what was fetched that no person uses.
const FETCHED: &str = "refs/slipway/fetched";

impl Git {
    /// The repository that `folder` lies in.
    ///
    /// # Errors
    /// [`Error::NotARepository`], or when git is not installed.
    pub fn open(folder: &Path) -> Result<Self> {
        let git = Self { root: folder.to_owned() };
        let known = git.output(&["rev-parse", "--git-dir"], &[], None)?;
        if known.status.success() { Ok(git) } else { Err(Error::NotARepository(folder.to_owned())) }
    }

    /// The commit that a revision names; none when there is no such revision.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn resolve(&self, revision: &str) -> Result<Option<String>> {
        let name = format!("{revision}^{{commit}}");
        let done = self.output(&["rev-parse", "--verify", "--quiet", "--end-of-options", &name], &[], None)?;
        Ok(done.status.success().then(|| line(&done.stdout)))
    }

    /// The commit of HEAD; none before the first.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn head(&self) -> Result<Option<String>> {
        self.resolve("HEAD")
    }

    /// The id of a revision's tree.
    ///
    /// # Errors
    /// When there is no such revision.
    pub fn tree_of(&self, revision: &str) -> Result<String> {
        Ok(line(&self.run(
            &["rev-parse", "--verify", "--end-of-options", &format!("{revision}^{{tree}}")],
            &[],
            None,
        )?))
    }

    /// Every file below `folder` at a revision, by path from the repository's top. Links and submodules are left out.
    ///
    /// # Errors
    /// When there is no such revision.
    pub fn read_all(&self, revision: &str, folder: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        let listing =
            self.run(&["ls-tree", "-r", "-z", "--full-tree", revision, "--", &format!("{folder}/")], &[], None)?;
        let mut names = Vec::new();
        for entry in listing.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            // <mode> blob <id>\t<path>
            let text = String::from_utf8_lossy(entry);
            let Some((facts, path)) = text.split_once('\t') else { continue };
            let mut facts = facts.split(' ');
            if let (Some("100644" | "100755"), Some("blob"), Some(id)) = (facts.next(), facts.next(), facts.next()) {
                names.push((path.to_owned(), id.to_owned()));
            }
        }
        self.blobs(names)
    }

    /// Many blobs by one process.
    fn blobs(&self, names: Vec<(String, String)>) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut files = BTreeMap::new();
        if names.is_empty() {
            return Ok(files);
        }
        let pipe = |source| Error::Io { what: "talking to git cat-file", source };
        let mut child = self
            .command(&["cat-file", "--batch"], &[])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::NoGit)?;
        let (Some(mut asks), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(pipe(std::io::Error::other("no pipe")));
        };
        let questions: String = names.iter().map(|(_, id)| format!("{id}\n")).collect();
        // From another thread: git answers while it is still being asked.
        let asking = std::thread::spawn(move || asks.write_all(questions.as_bytes()));
        let mut answers = BufReader::new(answers);
        for (path, id) in names {
            let mut header = String::new();
            answers.read_line(&mut header).map_err(pipe)?;
            // <id> blob <size>
            let size = header.trim_end().rsplit(' ').next().and_then(|size| size.parse::<usize>().ok());
            let Some(size) = size else {
                return Err(Error::Git {
                    command: "cat-file".to_owned(),
                    said: format!("{id} of {path}: {}", header.trim_end()),
                });
            };
            let mut content = vec![0; size + 1];
            answers.read_exact(&mut content).map_err(pipe)?;
            content.pop();
            files.insert(path, content);
        }
        drop(answers);
        let _ = asking.join();
        let _ = child.wait();
        Ok(files)
    }

    /// The newest commit up to a revision that changed a file; none when no commit did.
    ///
    /// # Errors
    /// When there is no such revision.
    pub fn last_commit_of(&self, revision: &str, path: &str) -> Result<Option<String>> {
        let found =
            line(&self.run(&["rev-list", "-1", revision, "--", &format!(":(top,literal){path}")], &[], None)?);
        Ok((!found.is_empty()).then_some(found))
    }

    /// Whether these files, by path from the repository's top, are committed as they are in the work tree.
    ///
    /// # Errors
    /// When there is no work tree.
    pub fn is_clean(&self, paths: &[&str]) -> Result<bool> {
        if paths.is_empty() {
            return Ok(true);
        }
        let mut arguments = vec!["status", "--porcelain", "-z", "--untracked-files=all", "--"];
        let paths: Vec<String> = paths.iter().map(|path| format!(":(top,literal){path}")).collect();
        arguments.extend(paths.iter().map(String::as_str));
        Ok(self.run(&arguments, &[("GIT_OPTIONAL_LOCKS", "0")], None)?.is_empty())
    }

    /// Makes a commit on top of `base` in which the files of `changes` are replaced, or removed where there is none. No ref moves.
    /// When nothing changes it is `base` itself. The committer is who git is told it is, else "Slipway".
    ///
    /// # Errors
    /// [`Error::Path`] for a path that cannot be in a commit; when git refuses.
    pub fn commit(
        &self,
        base: Option<&str>,
        changes: &BTreeMap<String, Option<Vec<u8>>>,
        message: &str,
    ) -> Result<String> {
        let folder = tempfile::tempdir().map_err(|source| Error::Io { what: "making a temporary folder", source })?;
        let index = folder.path().join("index").display().to_string();
        // An index of its own: the user's stays as it is.
        let aside = [("GIT_INDEX_FILE", index.as_str())];
        if let Some(base) = base {
            self.run(&["read-tree", base], &aside, None)?;
        }
        let mut lines: Vec<u8> = Vec::new();
        for (path, content) in changes {
            check_path(path)?;
            let (mode, id) = match content {
                Some(bytes) => ("100644", line(&self.run(&["hash-object", "-w", "--stdin"], &[], Some(bytes))?)),
                None => ("0", "0".repeat(40)),
            };
            lines.extend(format!("{mode} {id}\t{path}").into_bytes());
            lines.push(0);
        }
        self.run(&["update-index", "-z", "--index-info"], &aside, Some(&lines))?;
        let tree = line(&self.run(&["write-tree"], &aside, None)?);
        if let Some(base) = base
            && self.tree_of(base)? == tree
        {
            return self
                .resolve(base)?
                .ok_or_else(|| Error::Git { command: "rev-parse".to_owned(), said: base.to_owned() });
        }
        self.commit_tree(&tree, base.as_slice(), message)
    }

    pub(crate) fn commit_tree(&self, tree: &str, parents: &[&str], message: &str) -> Result<String> {
        let mut arguments = vec!["commit-tree", tree];
        for parent in parents {
            arguments.extend(["-p", parent]);
        }
        let known = std::env::var_os("GIT_COMMITTER_EMAIL").is_some()
            || self.output(&["config", "user.email"], &[], None)?.status.success();
        let environment: &[(&str, &str)] = if known { &[] } else { &NOBODY };
        Ok(line(&self.run(&arguments, environment, Some(message.as_bytes()))?))
    }

    /// Fetches a branch of a remote (its name, a URL or a path) and gives its commit. No branch of this repository moves.
    ///
    /// # Errors
    /// [`Error::NoBranch`]; when the remote cannot be reached.
    pub fn fetch(&self, remote: &str, branch: &str) -> Result<String> {
        // A ref for each process, so that two at once do not meet.
        let here = format!("{FETCHED}/{}", std::process::id());
        let refspec = format!("+refs/heads/{branch}:{here}");
        let done = self.output(
            &["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options", remote, &refspec],
            &[],
            None,
        )?;
        if !done.status.success() {
            let said = said(&done);
            if said.contains("couldn't find remote ref") {
                return Err(Error::NoBranch { remote: remote.to_owned(), branch: branch.to_owned() });
            }
            return Err(Error::Git { command: format!("fetch {remote}"), said });
        }
        let commit = line(&self.run(&["rev-parse", "--verify", &here], &[], None)?);
        self.run(&["update-ref", "-d", &here], &[], None)?;
        Ok(commit)
    }

    /// Puts a commit on a branch of a remote. A branch that is elsewhere already is not moved backwards.
    ///
    /// # Errors
    /// When the remote refuses or cannot be reached, with what it said.
    pub fn push(&self, remote: &str, commit: &str, branch: &str) -> Result<()> {
        let refspec = format!("{commit}:refs/heads/{branch}");
        let done = self.output(&["push", "--quiet", "--end-of-options", remote, &refspec], &[], None)?;
        if done.status.success() {
            return Ok(());
        }
        Err(Error::Git { command: format!("push {remote} {branch}"), said: said(&done) })
    }

    /// A remote's URL; none when there is no remote of this name.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn remote_url(&self, name: &str) -> Result<Option<String>> {
        let done = self.output(&["remote", "get-url", "--", name], &[], None)?;
        Ok(done.status.success().then(|| line(&done.stdout)))
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
        Err(Error::Git { command: (*arguments.first().unwrap_or(&"")).to_owned(), said: said(&done) })
    }

    pub(crate) fn output(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        input: Option<&[u8]>,
    ) -> Result<Output> {
        let mut command = self.command(arguments, environment);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.spawn().map_err(Error::NoGit)?;
        let writing = input.zip(child.stdin.take()).map(|(input, mut pipe)| {
            let input = input.to_vec();
            std::thread::spawn(move || pipe.write_all(&input))
        });
        let done = child.wait_with_output().map_err(|source| Error::Io { what: "waiting for git", source })?;
        // A git that did not want it all has said so by its exit code.
        let _ = writing.map(std::thread::JoinHandle::join);
        Ok(done)
    }

    fn command(&self, arguments: &[impl AsRef<OsStr>], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.root).args(arguments);
        // A hook that runs us has these set, and they would name another repository.
        for variable in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"] {
            command.env_remove(variable);
        }
        // Messages that can be told apart; no question that nobody answers.
        command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
        command.envs(environment.iter().copied());
        command
    }
}

/// Refuses what could leave the tree, or what no line of git's input can hold.
fn check_path(path: &str) -> Result<()> {
    let fine = !path.is_empty()
        && !path.contains('\0')
        && path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git"));
    if fine { Ok(()) } else { Err(Error::Path(path.to_owned())) }
}

fn line(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}

fn said(done: &Output) -> String {
    let text = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    if text.is_empty() { done.status.to_string() } else { text }
}
