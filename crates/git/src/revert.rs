//! Undoing a commit on top of another, without a work tree.

use git2::MergeOptions;

use crate::merge::{merged, take_ours};
use crate::{Merge, Repository, Result};

impl Repository {
    /// The tree of `tip` without what `commit` changed; of a merge, without what it brought to its first parent. No reference moves.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision); when the repository cannot be read or written.
    pub fn revert(&self, tip: &str, commit: &str) -> Result<Merge> {
        self.revert_with(tip, commit, |_| false)
    }

    /// The same, but a file that later commits changed or moved stays as it is in `tip` if `keeps` says so for its path from the top.
    ///
    /// # Errors
    /// As [`revert`](Self::revert).
    pub fn revert_with(&self, tip: &str, commit: &str, keeps: impl Fn(&str) -> bool) -> Result<Merge> {
        let repository = self.handle()?;
        let (tip, commit) = (self.commit_at(&repository, tip)?, self.commit_at(&repository, commit)?);
        let mainline = u32::from(commit.parent_count() > 1);
        let mut options = MergeOptions::new();
        options.find_renames(true);
        let revert = || {
            let mut index = repository.revert_commit(&commit, &tip, mainline, Some(&options))?;
            take_ours(&mut index, &keeps)?;
            merged(&repository, index)
        };
        revert().map_err(self.failed("reverting in"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_a_commit_or_a_merge_brought_is_taken_back_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let git = Repository::init_bare(folder.path()).unwrap();
        let commit = |base: Option<&str>, name: &str, text: Option<&str>| {
            let changes = BTreeMap::from([(name.to_owned(), text.map(|text| text.as_bytes().to_vec()))]);
            git.commit(base, &changes, name).unwrap()
        };
        let first = commit(None, "kept", Some("1\n"));
        let branch = commit(Some(&first), "brought", Some("2\n"));
        let Merge::Tree(tree) = git.merge(&first, &branch).unwrap() else { panic!("no conflict") };
        let merge = git.commit_tree(&tree, &[&first, &branch], "merge").unwrap();
        let later = commit(Some(&merge), "later", Some("3\n"));
        let Merge::Tree(reverted) = git.revert(&later, &merge).unwrap() else { panic!("no conflict") };
        assert_eq!(reverted, git.tree_of(&commit(Some(&first), "later", Some("3\n"))).unwrap());

        let changed = commit(Some(&later), "brought", Some("other\n"));
        assert_eq!(git.revert(&changed, &merge).unwrap(), Merge::Conflict(vec!["brought".to_owned()]));
    }

    #[test]
    fn what_was_moved_since_stays_where_it_is_if_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let git = Repository::init_bare(folder.path()).unwrap();
        let text: String = (0..50).map(|line| format!("line {line}\n")).collect();
        let commit = |base: Option<&str>, changes: &[(&str, Option<&str>)]| {
            let bytes = |text: &Option<&str>| text.map(|text| text.as_bytes().to_vec());
            let changes = changes.iter().map(|(name, text)| ((*name).to_owned(), bytes(text))).collect();
            git.commit(base, &changes, "a change").unwrap()
        };
        let first = commit(None, &[("kept", Some("1\n"))]);
        let brought = commit(Some(&first), &[("jobs/a", Some(&text)), ("jobs/b", Some("b\n"))]);
        let above = format!("what came of it\n{text}");
        let moved = commit(Some(&brought), &[("jobs/a", None), ("history/a", Some(&above))]);
        assert!(
            matches!(git.revert(&moved, &brought).unwrap(), Merge::Conflict(_)),
            "one side moved it, the other deleted it"
        );
        let keeps = |path: &str| path.ends_with("/a");
        let Merge::Tree(reverted) = git.revert_with(&moved, &brought, keeps).unwrap() else { panic!("no conflict") };
        assert_eq!(reverted, git.tree_of(&commit(Some(&first), &[("history/a", Some(&above))])).unwrap());
        // and the move itself is undone to the byte
        let Merge::Tree(back) = git.revert(&moved, &moved).unwrap() else { panic!("no conflict") };
        assert_eq!(back, git.tree_of(&brought).unwrap());
    }
}
