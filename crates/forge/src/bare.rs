//! A bare repository on this machine as a forge: pull requests are refs.
//!
//! `refs/pull/<n>/head` is the change, as on GitHub; `refs/slipway/pull/<n>` a blob with its record. Refs that belong
//! together change together, and each change says which value it replaces, so two processes never undo each other's work.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::git::{failed, said};
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
/// As on GitHub.
const PULLS: &str = "refs/pull/";
const RECORDS: &str = "refs/slipway/pull/";
/// How often something begins again because another process was first.
const ATTEMPTS: usize = 20;

impl BareForge {
    /// The bare repository at `path`.
    ///
    /// # Errors
    /// [`Error::NotARepository`]; [`Error::NotBare`] for one with a work tree, or a folder inside a repository.
    pub fn open(path: &Path) -> Result<Self> {
        let git = Git::open(path)?;
        let facts = git.run(&["rev-parse", "--is-bare-repository", "--absolute-git-dir"], &[], None)?;
        let facts = String::from_utf8_lossy(&facts).into_owned();
        let folder = facts.strip_prefix("true\n").map(|folder| Path::new(folder.trim_end_matches('\n')));
        // Git looks in the folders above too: a forge that is gone must not become the repository around it.
        let same = |folder: &Path| Some(folder.canonicalize().ok()? == path.canonicalize().ok()?);
        if folder.and_then(same) != Some(true) {
            return Err(Error::NotBare(path.to_owned()));
        }
        Ok(Self { git, path: path.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a pull request for a branch that is here. The same branch at the same commit gives the one that is open already.
    ///
    /// # Errors
    /// [`Error::NoBranch`]; [`Error::Git`] when the repository cannot be written.
    pub fn open_pull_request(&self, request: &PullRequest) -> Result<Opened> {
        let head = self.git.resolve(&format!("refs/heads/{}", request.branch))?.ok_or_else(|| Error::NoBranch {
            remote: self.path.display().to_string(),
            branch: request.branch.clone(),
        })?;
        let record = Record {
            title: request.title.clone(),
            body: request.body.clone(),
            branch: request.branch.clone(),
            state: PullRequestState::Open,
            merge_commit: None,
        };
        let blob = self.write(&record)?;
        // Another process may take the number first; it may even be this very request.
        for _ in 0..ATTEMPTS {
            let (known, last) = self.known()?;
            let same = |one: &&Opened| one.branch == request.branch && one.head == head && one.is_open();
            if let Some(opened) = known.iter().find(same) {
                return Ok(opened.clone());
            }
            let number = last + 1;
            let refs = [(head_ref(number), &*head, ABSENT), (record_ref(number), &*blob, ABSENT)];
            if self.replace(&refs)? {
                return Ok(self.opened(number, record, head));
            }
        }
        Err(Error::Busy { what: format!("a number for the pull request of {}", request.branch) })
    }

    /// All pull requests by number. Three processes, however many there are.
    ///
    /// # Errors
    /// When a record is damaged.
    pub fn list(&self) -> Result<Vec<Opened>> {
        Ok(self.known()?.0)
    }

    /// All pull requests by number, and the last number that is taken.
    fn known(&self) -> Result<(Vec<Opened>, u64)> {
        let listing =
            self.git.run(&["for-each-ref", "--format=%(objectname) %(refname)", RECORDS, PULLS], &[], None)?;
        let (mut records, mut heads) = (BTreeMap::new(), BTreeMap::new());
        for (id, name) in String::from_utf8_lossy(&listing).lines().filter_map(|line| line.split_once(' ')) {
            if let Some(number) = name.strip_prefix(RECORDS).and_then(|number| number.parse::<u64>().ok()) {
                records.insert(number, id.to_owned());
            } else if let Some(number) = name.strip_prefix(PULLS).and_then(|rest| rest.strip_suffix("/head")) {
                heads.insert(number.to_owned(), id.to_owned());
            }
        }
        let ids: Vec<&str> = records.values().map(String::as_str).collect();
        let texts = self.git.blobs(&ids)?;
        let mut all = Vec::with_capacity(records.len());
        for (number, text) in records.keys().copied().zip(texts) {
            // The head is written first, but git may have passed its place before.
            let head = match heads.remove(&number.to_string()) {
                Some(head) => Some(head),
                None => self.git.resolve(&head_ref(number))?,
            };
            // One whose head is gone is nothing to merge; its number stays taken.
            if let Some(head) = head {
                all.push(self.opened(number, parse(number, &text)?, head));
            }
        }
        Ok((all, records.keys().next_back().copied().unwrap_or(0)))
    }

    /// One pull request.
    ///
    /// # Errors
    /// [`Error::NoPullRequest`]; when its record is damaged.
    pub fn get(&self, number: u64) -> Result<Opened> {
        let (record, _) = self.read(number)?;
        let head = self.git.resolve(&head_ref(number))?.ok_or_else(|| no_head(number))?;
        Ok(self.opened(number, record, head))
    }

    /// Merges a pull request into main with a merge commit, whose id it gives. In a repository without main its head becomes main.
    ///
    /// # Errors
    /// [`Error::NoPullRequest`], [`Error::NotOpen`], [`Error::Conflict`], [`Error::Busy`]; [`Error::Git`] when the repository cannot be
    /// written.
    pub fn merge(&self, number: u64) -> Result<String> {
        for _ in 0..ATTEMPTS {
            let (mut record, blob) = self.read(number)?;
            if record.state != PullRequestState::Open {
                return Err(Error::NotOpen { number, state: record.state.to_string() });
            }
            let head = self.git.resolve(&head_ref(number))?.ok_or_else(|| no_head(number))?;
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
            record.state = PullRequestState::Merged;
            record.merge_commit = Some(merged.clone());
            let after = self.write(&record)?;
            let main = main.as_deref().unwrap_or(ABSENT);
            if self.replace(&[(MAIN.to_owned(), &merged, main), (record_ref(number), &after, &blob)])? {
                return Ok(merged);
            }
        }
        Err(Error::Busy { what: format!("a merge of pull request #{number}") })
    }

    fn merged_tree(&self, number: u64, main: &str, head: &str) -> Result<String> {
        let arguments = ["merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", main, head];
        let done = self.git.output(&arguments, &[], None)?;
        let text = String::from_utf8_lossy(&done.stdout);
        let mut parts = text.split('\0').filter(|part| !part.is_empty());
        let tree = parts.next().unwrap_or_default().to_owned();
        match done.status.code() {
            Some(0) => Ok(tree),
            // 1 is a conflict; the files follow the tree
            Some(1) => Err(Error::Conflict { number, files: parts.collect::<Vec<_>>().join(", ") }),
            _ => Err(failed("merge-tree", said(&done))),
        }
    }

    /// Sets refs, given as name, new value and old value, all or none; says whether they still had their old values.
    fn replace(&self, refs: &[(String, &str, &str)]) -> Result<bool> {
        let lines: String = refs.iter().map(|(name, new, old)| format!("update {name} {new} {old}\n")).collect();
        let done = self.git.output(&["update-ref", "--stdin"], &[], Some(lines.as_bytes()))?;
        if done.status.success() {
            return Ok(true);
        }
        let stderr = said(&done);
        // Its value is another, it has come or gone, or another process holds its lock. Anything else will not pass by itself.
        let moved = ["but expected", "reference already exists", "unable to resolve reference", ".lock': File exists"];
        if moved.iter().any(|words| stderr.contains(words)) { Ok(false) } else { Err(failed("update-ref", stderr)) }
    }

    /// A record with its blob's id.
    fn read(&self, number: u64) -> Result<(Record, String)> {
        let blob = self.git.object(&record_ref(number))?.ok_or(Error::NoPullRequest(number))?;
        let text = self.git.blobs(&[&blob])?.pop().unwrap_or_default();
        Ok((parse(number, &text)?, blob))
    }

    fn write(&self, record: &Record) -> Result<String> {
        // Strings alone: serialising them cannot fail.
        self.git.write_blob(&serde_json::to_vec_pretty(record).unwrap_or_default())
    }

    fn opened(&self, number: u64, record: Record, head: String) -> Opened {
        let Record { title, branch, state, .. } = record;
        Opened { number, url: format!("{} ({})", self.path.display(), head_ref(number)), branch, title, head, state }
    }
}

fn record_ref(number: u64) -> String {
    format!("{RECORDS}{number}")
}

fn head_ref(number: u64) -> String {
    format!("{PULLS}{number}/head")
}

fn parse(number: u64, text: &[u8]) -> Result<Record> {
    serde_json::from_slice(text).map_err(|error| Error::Malformed { number, reason: error.to_string() })
}

fn no_head(number: u64) -> Error {
    Error::Malformed { number, reason: format!("{} is gone", head_ref(number)) }
}
