//! Merging a pull request of a bare repository.

use slipway_git::{Merge, Rebase, Update};

use super::{ATTEMPTS, BRANCHES, BareForge, PAUSE, Record, head_ref, record_ref};
use crate::resolution::of_any_files;
use crate::{Error, MergeMethod, PullRequestState, Result};

impl BareForge {
    /// Merges a pull request into its base branch with a merge commit; its id. In a repository without that branch its head becomes it.
    ///
    /// # Errors
    /// [`Error::NoPullRequest`], [`Error::NotOpen`], [`Error::NotMergeable`] of a draft, [`Error::Conflict`], [`Error::Unrelated`],
    /// [`Error::Busy`]; when the repository cannot be written or the commit cannot be signed.
    pub fn merge(&self, number: u64) -> Result<String> {
        self.merge_by(number, MergeMethod::Merge, None)
    }

    /// Merges a pull request if its newest commit is still `head`; the new commit of its base branch. One that is merged already stays so.
    ///
    /// # Errors
    /// [`Error::HeadMoved`]; those of [`merge`](Self::merge).
    pub fn merge_if(&self, number: u64, method: MergeMethod, head: &str) -> Result<String> {
        self.merge_by(number, method, Some(head))
    }

    fn merge_by(&self, number: u64, method: MergeMethod, expected: Option<&str>) -> Result<String> {
        for attempt in 0..ATTEMPTS {
            std::thread::sleep(PAUSE * attempt);
            let (mut record, blob) = self.read(number)?;
            let (head, named) = self.heads(number, &record)?;
            match (record.state, &record.merge_commit) {
                (PullRequestState::Open, _) => {}
                (PullRequestState::Merged, Some(commit)) if expected == Some(head.as_str()) => {
                    return Ok(commit.clone());
                }
                (state, _) => return Err(Error::NotOpen { number, state: state.to_string() }),
            }
            if let Some(expected) = expected.filter(|expected| *expected != head) {
                return Err(Error::HeadMoved { number, expected: expected.to_owned(), head });
            }
            if record.draft {
                let advice = "propose it again without --draft".into();
                return Err(Error::NotMergeable { number, reason: "it is a draft".to_owned(), advice });
            }
            let base = self.base(&record)?;
            let branch = format!("{BRANCHES}{base}");
            let main = self.repository.reference(&branch)?;
            let merged = match &main {
                // The first commit of all.
                None => head.clone(),
                Some(main) => self.merged(number, &record, method, (main, &head), &base)?,
            };
            record.state = PullRequestState::Merged;
            record.merge_commit = Some(merged.clone());
            record.commits = main.as_deref().map(|main| self.repository.commits_since(main, &head)).transpose()?;
            let after = self.write(&record)?;
            let moved = self.repository.update(&[
                Update { name: &branch, to: &merged, from: main.as_deref() },
                Update { name: &head_ref(number), to: &head, from: Some(&named) },
                Update { name: &record_ref(number), to: &after, from: Some(&blob) },
            ])?;
            if moved {
                return Ok(merged);
            }
        }
        Err(Error::Busy { what: format!("merge of pull request #{number}") })
    }

    /// The commit that the base branch gets; no reference moves.
    fn merged(
        &self,
        number: u64,
        record: &Record,
        method: MergeMethod,
        (main, head): (&str, &str),
        base: &str,
    ) -> Result<String> {
        let conflict = |files: Vec<String>| {
            let (files, base) = (files.join(", "), base.to_owned());
            // its head does not matter here
            match self.opened(number, record.clone(), String::new()) {
                Ok(opened) => {
                    Error::Conflict { number, base, files, resolution: of_any_files(&self.address(), &opened) }
                }
                Err(error) => error,
            }
        };
        let unrelated = || Error::Unrelated { number, base: base.to_owned() };
        if method == MergeMethod::Rebase {
            return match self.repository.rebase(main, head)? {
                Rebase::Commit(commit) => Ok(commit),
                Rebase::Conflict(files) => Err(conflict(files)),
                Rebase::Unrelated => Err(unrelated()),
            };
        }
        let tree = match self.repository.merge(main, head)? {
            Merge::Tree(tree) => tree,
            Merge::Conflict(files) => return Err(conflict(files)),
            Merge::Unrelated => return Err(unrelated()),
        };
        // as GitHub writes them, so that `number_in` finds the number in both
        let (parents, message) = match method {
            MergeMethod::Squash => (vec![main], format!("{} (#{number})\n", record.title)),
            _ => {
                let message = format!("Merge pull request #{number} from {}\n\n{}\n", record.branch, record.title);
                (vec![main, head], message)
            }
        };
        Ok(self.repository.commit_tree(&tree, &parents, &message)?)
    }
}
