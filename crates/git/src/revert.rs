//! Undoing a commit on top of another, without a work tree.

use git2::MergeOptions;

use crate::merge::merged;
use crate::{Merge, Repository, Result};

impl Repository {
    /// The tree of `tip` without what `commit` changed; of a merge, without what it brought to its first parent. No reference moves.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision); when the repository cannot be read or written.
    pub fn revert(&self, tip: &str, commit: &str) -> Result<Merge> {
        let repository = self.handle()?;
        let (tip, commit) = (self.commit_at(&repository, tip)?, self.commit_at(&repository, commit)?);
        let mainline = u32::from(commit.parent_count() > 1);
        let mut options = MergeOptions::new();
        options.find_renames(true);
        let index = repository.revert_commit(&commit, &tip, mainline, Some(&options));
        merged(&repository, index.map_err(self.failed("reverting in"))?).map_err(self.failed("reverting in"))
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
}
