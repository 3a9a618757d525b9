//! A bare repository on this machine as a forge: pull requests are references.
//!
//! `refs/pull/<n>/head` is the change, as on GitHub; `refs/slipway/pull/<n>` a blob with its record, and `refs/slipway/report/<n>` one with
//! what was published on it. While a pull request is open, its change is what its branch holds. References that belong together change
//! together, and each change says which value it replaces, so two processes never undo each other's work.

mod merging;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use slipway_git::{Repository, Update};

use crate::{Error, Opened, PullRequest, PullRequestState, Result};

/// A bare repository on this machine.
#[derive(Clone, Debug)]
pub struct BareForge {
    repository: Repository,
    path: PathBuf,
}

/// What is kept of a pull request.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    title: String,
    body: String,
    branch: String,
    /// The branch that it is merged into; of a record without it, the default branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    state: PullRequestState,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    draft: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
    /// Who is asked for a review.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reviewers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merge_commit: Option<String>,
    /// How many commits were merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commits: Option<usize>,
    /// When it was opened, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opened_at: Option<i64>,
}

const BRANCHES: &str = "refs/heads/";
/// As on GitHub.
const PULLS: &str = "refs/pull/";
const RECORDS: &str = "refs/slipway/pull/";
/// How often something begins again because another process was first.
const ATTEMPTS: u32 = 20;
/// The pause before the second attempt; each later one is longer by as much.
const PAUSE: Duration = Duration::from_millis(5);

impl BareForge {
    /// The bare repository at `path`.
    ///
    /// # Errors
    /// [`slipway_git::Error::NotARepository`]; [`Error::NotBare`] for one with a work tree, or a folder inside a repository.
    pub fn open(path: &Path) -> Result<Self> {
        let repository = Repository::open(path)?;
        // Git looks in the folders above too: a forge that is gone must not become the repository around it.
        let canonical = |folder: &Path| folder.canonicalize().ok();
        if !repository.is_bare() || canonical(repository.root()) != canonical(path) {
            return Err(Error::NotBare(path.to_owned()));
        }
        Ok(Self { repository, path: path.to_owned() })
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The branch that pull requests are merged into.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn default_branch(&self) -> Result<String> {
        Ok(self.repository.default_branch()?)
    }

    /// The pull request that brought a commit of the default branch, however it was merged: as the merge of this forge recorded it, by its
    /// commits, by the number in the commit's message, or by the content that it holds. `files` are paths with the ids of their blobs that
    /// the commit brought. Returns `None` if there is none, or several could be it.
    ///
    /// # Errors
    /// When the repository cannot be read, or a record is damaged.
    pub fn pull_request_of(&self, commit: &str, files: &[(&str, &str)]) -> Result<Option<Opened>> {
        let (pull_requests, _) = self.records()?;
        let one = |found: Vec<&(Record, Opened)>| match found.as_slice() {
            [(_, opened)] => Some(opened.clone()),
            _ => None,
        };
        let recorded = pull_requests.iter().filter(|(record, _)| record.merge_commit.as_deref() == Some(commit));
        if let Some(opened) = one(recorded.collect()) {
            return Ok(Some(opened));
        }
        let before = self.repository.first_parent(commit)?;
        let mut merged = Vec::new();
        for pull_request in &pull_requests {
            let head = &pull_request.1.head;
            let is_new = match &before {
                Some(before) => !self.repository.contains(before, head)?,
                None => true,
            };
            if is_new && self.repository.contains(commit, head)? {
                merged.push(pull_request);
            }
        }
        if let Some(opened) = one(merged) {
            return Ok(Some(opened));
        }
        let mut holding = Vec::new();
        for pull_request in &pull_requests {
            let head = &pull_request.1.head;
            // what was begun on top of the commit has its content from there
            let mut holds = !files.is_empty() && !self.repository.contains(head, commit)?;
            for (path, blob) in files {
                holds = holds && self.repository.blob_at(head, path)?.as_deref() == Some(*blob);
            }
            if holds {
                holding.push(pull_request);
            }
        }
        let number = number_in(&self.repository.commit_of(commit)?.message);
        if let Some((_, opened)) = holding.iter().find(|(_, opened)| Some(opened.number) == number) {
            return Ok(Some(opened.clone()));
        }
        Ok(one(holding))
    }

    /// Opens a pull request for a branch that is here. If one is open for the branch already, returns that one; labels and reviewers that it
    /// lacks are added. If an earlier one has merged the commit of the branch, returns that one: nothing is left to merge, and of two who ask at the
    /// same moment the later one must not open a second one.
    ///
    /// # Errors
    /// [`slipway_git::Error::NoBranch`]; [`Error::Busy`]; when the repository cannot be written.
    pub fn open_pull_request(&self, request: &PullRequest) -> Result<Opened> {
        let head = self.repository.reference(&format!("refs/heads/{}", request.branch))?;
        let head = head.ok_or_else(|| slipway_git::Error::NoBranch {
            remote: self.path.display().to_string(),
            branch: request.branch.clone(),
        })?;
        let mut record = Record {
            title: request.title.clone(),
            body: request.body.clone(),
            branch: request.branch.clone(),
            base: Some(request.base.clone()),
            state: PullRequestState::Open,
            draft: request.draft,
            labels: Vec::new(),
            reviewers: Vec::new(),
            merge_commit: None,
            commits: None,
            opened_at: now(),
        };
        record.complete(request);
        let blob = self.write(&record)?;
        // Another process may take the number first; it may even be this very request.
        for attempt in 0..ATTEMPTS {
            std::thread::sleep(PAUSE * attempt);
            let (pull_requests, last) = self.all()?;
            let of_branch = || pull_requests.iter().filter(|one| one.branch == request.branch);
            if let Some(opened) = of_branch().find(|one| one.is_open()) {
                return self.complete(opened.number, request);
            }
            let merged = of_branch().find(|one| one.state == PullRequestState::Merged && one.head == head);
            if let Some(merged) = merged
                && self.repository.contains(&format!("{BRANCHES}{}", merged.base), &head)?
            {
                return Ok(merged.clone());
            }
            let number = last + 1;
            let opened = self.repository.update(&[
                Update { name: &head_ref(number), to: &head, from: None },
                Update { name: &record_ref(number), to: &blob, from: None },
            ])?;
            if opened {
                return self.opened(number, record, head);
            }
        }
        Err(Error::Busy { what: format!("pull request of {}", request.branch) })
    }

    /// A pull request with the labels and reviewers that it lacks, and no longer a draft unless that is asked for again.
    fn complete(&self, number: u64, request: &PullRequest) -> Result<Opened> {
        let changed = self.change(number, "labels and reviewers", |record| Ok(record.complete(request)));
        changed.and_then(|()| self.get(number))
    }

    /// Closes a pull request without a merge. One that is closed already stays so.
    ///
    /// # Errors
    /// [`Error::NoPullRequest`]; [`Error::NotOpen`] if it is merged; [`Error::Busy`]; when the repository cannot be written.
    pub fn close(&self, number: u64) -> Result<()> {
        self.change(number, "state", |record| match record.state {
            PullRequestState::Open => {
                record.state = PullRequestState::Closed;
                Ok(true)
            }
            PullRequestState::Closed => Ok(false),
            PullRequestState::Merged => Err(Error::NotOpen { number, state: record.state.to_string() }),
        })
    }

    /// Changes a record, if `change` says that it did. The head stays what it is at this moment.
    fn change(&self, number: u64, what: &str, change: impl Fn(&mut Record) -> Result<bool>) -> Result<()> {
        for attempt in 0..ATTEMPTS {
            std::thread::sleep(PAUSE * attempt);
            let (mut record, blob) = self.read(number)?;
            let (head, before) = self.heads(number, &record)?;
            if !change(&mut record)? {
                return Ok(());
            }
            let after = self.write(&record)?;
            let changed = self.repository.update(&[
                Update { name: &head_ref(number), to: &head, from: Some(&before) },
                Update { name: &record_ref(number), to: &after, from: Some(&blob) },
            ])?;
            if changed {
                return Ok(());
            }
        }
        Err(Error::Busy { what: format!("new {what} of pull request #{number}") })
    }

    /// All pull requests by number.
    ///
    /// # Errors
    /// When a record is damaged.
    pub fn list(&self) -> Result<Vec<Opened>> {
        Ok(self.all()?.0)
    }

    /// All pull requests by number, and the last number that is taken.
    fn all(&self) -> Result<(Vec<Opened>, u64)> {
        let (all, last) = self.records()?;
        Ok((all.into_iter().map(|(_, opened)| opened).collect(), last))
    }

    /// All pull requests with their records by number, and the last number that is taken.
    fn records(&self) -> Result<(Vec<(Record, Opened)>, u64)> {
        let mut records: BTreeMap<u64, String> =
            numbers(self.repository.references(RECORDS)?, |name| name.strip_prefix(RECORDS));
        let heads: BTreeMap<u64, String> =
            numbers(self.repository.references(PULLS)?, |name| name.strip_prefix(PULLS)?.strip_suffix("/head"));
        for number in heads.keys() {
            // another process may be writing both this very moment, and whoever missed that would open a second pull request
            if !records.contains_key(number)
                && let Some(record) = self.repository.settled_reference(&record_ref(*number))?
            {
                records.insert(*number, record);
            }
        }
        let mut pull_requests = Vec::with_capacity(records.len());
        let blobs: Vec<&str> = records.values().map(String::as_str).collect();
        for (number, text) in records.keys().zip(self.repository.blobs(&blobs)?) {
            // as above, the other way round
            let head = match heads.get(number) {
                Some(head) => Some(head.clone()),
                None => self.repository.settled_reference(&head_ref(*number))?,
            };
            // One whose head is gone is nothing to merge; its number stays taken.
            if let Some(head) = head {
                let record = parse(*number, &text)?;
                let head = self.newest(&record, head)?;
                pull_requests.push((record.clone(), self.opened(*number, record, head)?));
            }
        }
        // also one that something else than a forge has made, such as `git push` to `refs/pull/7/head`
        let last = records.keys().chain(heads.keys()).max().copied().unwrap_or(0);
        Ok((pull_requests, last))
    }

    /// One pull request.
    ///
    /// # Errors
    /// [`Error::NoPullRequest`]; when its record is damaged.
    pub fn get(&self, number: u64) -> Result<Opened> {
        let (record, _) = self.read(number)?;
        let (head, _) = self.heads(number, &record)?;
        self.opened(number, record, head)
    }

    /// A record with its blob's id.
    fn read(&self, number: u64) -> Result<(Record, String)> {
        let blob = self.repository.reference(&record_ref(number))?.ok_or(Error::NoPullRequest(number))?;
        let text = self.repository.blobs(&[&blob])?.concat();
        Ok((parse(number, &text)?, blob))
    }

    /// A pull request's newest commit, and the one that its reference names.
    fn heads(&self, number: u64, record: &Record) -> Result<(String, String)> {
        let gone = || Error::Malformed { number, reason: format!("{} is gone", head_ref(number)) };
        let named = self.repository.reference(&head_ref(number))?.ok_or_else(gone)?;
        Ok((self.newest(record, named.clone())?, named))
    }

    /// The commit that a record's branch is at, while it is open and the branch is there; otherwise the one that is `named`.
    fn newest(&self, record: &Record, named: String) -> Result<String> {
        if record.state != PullRequestState::Open {
            return Ok(named);
        }
        let branch = self.repository.reference(&format!("{BRANCHES}{}", record.branch))?;
        Ok(branch.unwrap_or(named))
    }

    fn write(&self, record: &Record) -> Result<String> {
        let text = serde_json::to_vec_pretty(record).expect("strings alone can always be written as JSON");
        Ok(self.repository.write_blob(&text)?)
    }

    /// The branch that a record's change is merged into.
    fn base(&self, record: &Record) -> Result<String> {
        record.base.clone().map_or_else(|| self.default_branch(), Ok)
    }

    fn opened(&self, number: u64, record: Record, head: String) -> Result<Opened> {
        let base = self.base(&record)?;
        let Record { title, body, branch, state, draft, labels, reviewers, merge_commit, commits, opened_at, .. } =
            record;
        Ok(Opened {
            number,
            url: format!("{} ({})", self.path.display(), head_ref(number)),
            branch,
            title,
            head,
            state,
            base,
            body,
            author: String::new(),
            labels,
            reviewers,
            is_draft: draft,
            head_repository: Some(self.path.display().to_string()),
            is_fork: false,
            merge_commit,
            commits,
            opened_at,
        })
    }
}

impl Record {
    /// Adds what it lacks of a request. Returns whether that was anything.
    fn complete(&mut self, request: &PullRequest) -> bool {
        let is_ready = self.draft && !request.draft;
        self.draft &= request.draft;
        let labelled = add_missing(&mut self.labels, &request.labels);
        // a draft is not ready for anybody's review
        let asked = !request.draft && add_missing(&mut self.reviewers, &request.reviewers);
        is_ready || labelled || asked
    }
}

/// Adds the names that are missing, each once. Returns whether there were any.
fn add_missing(names: &mut Vec<String>, wanted: &[String]) -> bool {
    let before = names.len();
    for name in wanted {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names.len() > before
}

/// Seconds since 1970; `None` on a machine whose clock is before that.
fn now() -> Option<i64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

fn record_ref(number: u64) -> String {
    format!("{RECORDS}{number}")
}

fn head_ref(number: u64) -> String {
    format!("{PULLS}{number}/head")
}

/// The references whose names hold a number, by that number.
fn numbers(references: Vec<(String, String)>, digits: impl Fn(&str) -> Option<&str>) -> BTreeMap<u64, String> {
    references.into_iter().filter_map(|(name, id)| Some((digits(&name)?.parse().ok()?, id))).collect()
}

/// The number of a pull request in the message of the commit that merged it, as GitHub writes it: `Merge pull request #7 from …` or a first
/// line that ends with `(#7)`.
#[must_use]
pub fn number_in(message: &str) -> Option<u64> {
    let subject = message.lines().next()?.trim_end();
    let merged = subject.strip_prefix("Merge pull request #").and_then(|rest| rest.split(' ').next());
    let squashed = || subject.strip_suffix(')')?.rsplit_once("(#").map(|(_, number)| number);
    merged.or_else(squashed)?.parse().ok()
}

fn parse(number: u64, text: &[u8]) -> Result<Record> {
    serde_json::from_slice(text).map_err(|error| Error::Malformed { number, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::number_in;

    #[test]
    fn a_merge_names_its_pull_request() {
        for (message, number) in [
            ("Merge pull request #12 from octo/slipway/x\n\nTrain x", Some(12)),
            ("Train x (2 TrainJobs) (#7)\n\n* a (#8)", Some(7)),
            ("Train x (2 TrainJobs)\n\nSee (#7)", None),
            ("Revert \"Train x (#7)\"", None),
            ("Revert \"Train x (#7)\" (#9)", Some(9)),
            ("Merge branch 'main'", None),
            ("", None),
        ] {
            assert_eq!(number_in(message), number, "{message}");
        }
    }
}
