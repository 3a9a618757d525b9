//! The files of a tree, whichever commit it belongs to.

use git2::{ObjectType, Oid};

use crate::read::{EXECUTABLE, FILE};
use crate::{Error, Repository, Result};

/// A file of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Relative to the tree, with `/` between its parts.
    pub path: String,
    /// Its bytes.
    pub content: Vec<u8>,
    /// Whether it may be executed.
    pub is_executable: bool,
}

impl Repository {
    /// Every file of a tree that is named by its id, sorted by path.
    ///
    /// # Errors
    /// [`Error::MissingObject`] if there is no such tree; [`Error::NoRevision`] for what is not an id; [`Error::NotAFile`] for a link or a
    /// submodule, which have no content that the id covers.
    pub fn tree_files(&self, tree: &str) -> Result<Vec<TreeFile>> {
        let repository = self.handle()?;
        let mut folders = vec![(String::new(), self.oid(tree)?)];
        let mut found: Vec<(String, Oid, i32)> = Vec::new();
        while let Some((folder, id)) = folders.pop() {
            for entry in &self.tree(&repository, id)? {
                let name = String::from_utf8_lossy(entry.name_bytes());
                let path = if folder.is_empty() { name.into_owned() } else { format!("{folder}/{name}") };
                match (entry.kind(), entry.filemode()) {
                    (Some(ObjectType::Tree), _) => folders.push((path, entry.id())),
                    (_, mode @ (FILE | EXECUTABLE)) => found.push((path, entry.id(), mode)),
                    _ => return Err(Error::NotAFile(path)),
                }
            }
        }
        found.sort();
        let ids: Vec<Oid> = found.iter().map(|(_, id, _)| *id).collect();
        let contents = self.contents(&repository, &ids)?;
        let file = |((path, _, mode), content)| TreeFile { path, content, is_executable: mode == EXECUTABLE };
        Ok(found.into_iter().zip(contents).map(file).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use slipway_repositories::git;

    use super::*;

    #[test]
    fn a_tree_is_read_by_its_id_and_nothing_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        git(path, &["init", "--quiet"]);
        std::fs::create_dir_all(path.join("trainers/a/sub")).unwrap();
        std::fs::write(path.join("trainers/a/train.py"), "print()").unwrap();
        std::fs::write(path.join("trainers/a/sub/run.sh"), "#!/bin/sh").unwrap();
        std::fs::set_permissions(path.join("trainers/a/sub/run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
        git(path, &["add", "."]);
        git(path, &["commit", "--quiet", "-m", "a"]);
        let tree = git(path, &["rev-parse", "HEAD:trainers/a"]);
        let repository = Repository::open(path).unwrap();
        let file = |path: &str, content: &str, is_executable| TreeFile {
            path: path.to_owned(),
            content: content.into(),
            is_executable,
        };
        let expected = [file("sub/run.sh", "#!/bin/sh", true), file("train.py", "print()", false)];
        assert_eq!(repository.tree_files(&tree).unwrap(), expected);

        symlink("/etc/passwd", path.join("trainers/a/link")).unwrap();
        git(path, &["add", "."]);
        git(path, &["commit", "--quiet", "-m", "b"]);
        let tree = git(path, &["rev-parse", "HEAD:trainers/a"]);
        assert!(matches!(repository.tree_files(&tree), Err(Error::NotAFile(path)) if path == "link"));
        assert!(matches!(repository.tree_files("main"), Err(Error::NoRevision(_))));
        assert!(repository.tree_files(&"1".repeat(40)).is_err());
    }
}
