//! A bare repository on this machine as a forge: pull requests are refs.
//!
//! `refs/pull/<n>/head` is the change, as on GitHub; `refs/slipway/pull/<n>` a blob with its record. Every change of a ref says which
//! value it replaces, so two processes never undo each other's work.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Git, Opened, PullRequest, PullRequestState, Result};

/// A bare repository on this machine.
#[derive(Clone, Debug)]
pub struct BareForge {
    git: Git,
    path: PathBuf,
}

/// What is kept of a pull request.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    title: String,
    body: String,
    branch: String,
    state: PullRequestState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merge_commit: Option<String>,
}

/// A ref that is not there yet.
const ABSENT: &str = "0000000000000000000000000000000000000000";
const MAIN: &str = "refs/heads/main";
const RECORDS: &str = "refs/slipway/pull/";
/// How often a merge begins again because main has moved.
const ATTEMPTS: usize = 5;

impl BareForge {
    /// The bare repository at `path`.
    ///
    /// # Errors
    /// [`Error::NotARepository`].
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { git: Git::open(path)?, path: path.to_owned() })
    }

    /// Opens a pull request for a branch that is here. The same branch at the same commit gives the one that is open already.
    ///
    /// # Errors
    /// [`Error::NoBranch`].
    pub fn open_pull_request(&self, request: &PullRequest) -> Result<Opened> {
        let head = self.git.resolve(&format!("refs/heads/{}", request.branch))?.ok_or_else(|| Error::NoBranch {
            remote: self.path.display().to_string(),
            branch: request.branch.clone(),
        })?;
        let known = self.list()?;
        if let Some(opened) = known.iter().find(|one| one.branch == request.branch && one.head == head && one.is_open())
        {
            return Ok(opened.clone());
        }
        let record = Record {
            title: request.title.clone(),
            body: request.body.clone(),
            branch: request.branch.clone(),
            state: PullRequestState::Open,
            merge_commit: None,
        };
        let blob = self.write(&record)?;
        let mut number = known.last().map_or(1, |last| last.number + 1);
        // Another process may take the number first; then the next one is tried.
        while !self.replace(&format!("{RECORDS}{number}"), &blob, ABSENT)? {
            number += 1;
        }
        self.git.run(&["update-ref", &format!("refs/pull/{number}/head"), &head], &[], None)?;
        Ok(self.opened(number, record, head))
    }

    /// All pull requests by number.
    ///
    /// # Errors
    /// When a record is damaged.
    pub fn list(&self) -> Result<Vec<Opened>> {
        let names = self.git.run(&["for-each-ref", "--format=%(refname)", RECORDS], &[], None)?;
        let mut numbers: Vec<u64> = String::from_utf8_lossy(&names)
            .lines()
            .filter_map(|name| name.strip_prefix(RECORDS)?.parse().ok())
            .collect();
        numbers.sort_unstable();
        let mut all = Vec::new();
        for number in numbers {
            let (record, _) = self.read(number)?;
            // Between its two refs another process has only the first.
            if let Some(head) = self.head(number)? {
                all.push(self.opened(number, record, head));
            }
        }
        Ok(all)
    }

    /// Merges a pull request into main; the merge commit's id.
    ///
    /// # Errors
    /// [`Error::NotOpen`], [`Error::Conflict`], [`Error::Busy`].
    pub fn merge(&self, number: u64) -> Result<String> {
        let (mut record, blob) = self.read(number)?;
        if record.state != PullRequestState::Open {
            return Err(Error::NotOpen { number, state: record.state.to_string() });
        }
        let head = self.head(number)?.ok_or(Error::NoPullRequest(number))?;
        for _ in 0..ATTEMPTS {
            let main = self.git.resolve(MAIN)?;
            let merged = match &main {
                // The first commit of all.
                None => head.clone(),
                Some(main) => {
                    let tree = self.merged_tree(number, main, &head)?;
                    let message = format!("Merge pull request #{number} from {}\n\n{}\n", record.branch, record.title);
                    self.git.commit_tree(&tree, &[main, &head], &message)?
                }
            };
            if self.replace(MAIN, &merged, main.as_deref().unwrap_or(ABSENT))? {
                record.state = PullRequestState::Merged;
                record.merge_commit = Some(merged.clone());
                // Who changed the record meanwhile merged it too: main holds both.
                self.replace(&format!("{RECORDS}{number}"), &self.write(&record)?, &blob)?;
                return Ok(merged);
            }
        }
        Err(Error::Busy(number))
    }

    fn merged_tree(&self, number: u64, main: &str, head: &str) -> Result<String> {
        let done =
            self.git.output(&["merge-tree", "--write-tree", "--name-only", "--no-messages", main, head], &[], None)?;
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let mut lines = text.lines();
        let tree = lines.next().unwrap_or_default().to_owned();
        match done.status.code() {
            Some(0) => Ok(tree),
            // 1 is a conflict; the files follow the tree
            Some(1) => Err(Error::Conflict {
                number,
                files: lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", "),
            }),
            _ => Err(Error::Git {
                command: "merge-tree".to_owned(),
                said: String::from_utf8_lossy(&done.stderr).trim().to_owned(),
            }),
        }
    }

    /// Sets a ref when it still has its old value; says whether it had.
    fn replace(&self, name: &str, new: &str, old: &str) -> Result<bool> {
        let done = self.git.output(&["update-ref", name, new, old], &[], None)?;
        if done.status.success() {
            return Ok(true);
        }
        let now = self.git.output(&["rev-parse", "--verify", "--quiet", name], &[], None)?;
        let now = String::from_utf8_lossy(&now.stdout).trim().to_owned();
        let now = if now.is_empty() { ABSENT } else { &now };
        if now != old || String::from_utf8_lossy(&done.stderr).contains("cannot lock ref") {
            return Ok(false);
        }
        Err(Error::Git {
            command: format!("update-ref {name}"),
            said: String::from_utf8_lossy(&done.stderr).trim().to_owned(),
        })
    }

    fn head(&self, number: u64) -> Result<Option<String>> {
        self.git.resolve(&format!("refs/pull/{number}/head"))
    }

    /// A record with its blob's id.
    fn read(&self, number: u64) -> Result<(Record, String)> {
        let name = format!("{RECORDS}{number}");
        let known = self.git.output(&["rev-parse", "--verify", "--quiet", &name], &[], None)?;
        if !known.status.success() {
            return Err(Error::NoPullRequest(number));
        }
        let blob = String::from_utf8_lossy(&known.stdout).trim().to_owned();
        let text = self.git.run(&["cat-file", "blob", &blob], &[], None)?;
        let record =
            serde_json::from_slice(&text).map_err(|error| Error::Malformed { number, reason: error.to_string() })?;
        Ok((record, blob))
    }

    fn write(&self, record: &Record) -> Result<String> {
        // Strings alone: serialising them cannot fail.
        let text = serde_json::to_vec_pretty(record).unwrap_or_default();
        let id = self.git.run(&["hash-object", "-w", "--stdin"], &[], Some(&text))?;
        Ok(String::from_utf8_lossy(&id).trim().to_owned())
    }

    fn opened(&self, number: u64, record: Record, head: String) -> Opened {
        let Record { title, branch, state, .. } = record;
        Opened { number, url: format!("{} (refs/pull/{number}/head)", self.path.display()), branch, title, head, state }
    }
}
