//! The id of a folder's tree, computed without a repository.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid};

/// What stands at a path in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf<'a> {
    /// A file with its bytes.
    File(&'a [u8]),
    /// A file that can be executed, with its bytes.
    Executable(&'a [u8]),
    /// A symbolic link with its target.
    Link(&'a str),
}

/// The id that git gives to a folder: that of its tree. Paths are relative to the folder, with `/` between their parts, and sorted. `None` if the
/// folder is empty, because git has no empty folders.
///
/// Format: <https://git-scm.com/book/en/v2/Git-Internals-Git-Objects#_tree_objects>.
#[must_use]
pub fn tree_id<'a>(leaves: impl IntoIterator<Item = (&'a str, Leaf<'a>)>) -> Option<String> {
    tree(leaves.into_iter().collect()).map(|id| id.to_string())
}

fn tree(leaves: Vec<(&str, Leaf<'_>)>) -> Option<Oid> {
    /// What has one name.
    enum Entry<'a> {
        Leaf(Leaf<'a>),
        Folder(Vec<(&'a str, Leaf<'a>)>),
    }
    // git sorts a folder as if its name ended with `/`
    let mut entries: BTreeMap<String, (&str, Entry<'_>)> = BTreeMap::new();
    for (path, leaf) in leaves {
        let Some((name, rest)) = path.split_once('/') else {
            entries.insert(path.to_owned(), (path, Entry::Leaf(leaf)));
            continue;
        };
        let (_, entry) = entries.entry(format!("{name}/")).or_insert((name, Entry::Folder(Vec::new())));
        if let Entry::Folder(inside) = entry {
            inside.push((rest, leaf));
        }
    }
    let mut content = Vec::new();
    for (name, entry) in entries.into_values() {
        let (mode, id) = match entry {
            Entry::Leaf(Leaf::File(bytes)) => ("100644", hash(ObjectType::Blob, bytes)),
            Entry::Leaf(Leaf::Executable(bytes)) => ("100755", hash(ObjectType::Blob, bytes)),
            Entry::Leaf(Leaf::Link(target)) => ("120000", hash(ObjectType::Blob, target.as_bytes())),
            Entry::Folder(inside) => ("40000", tree(inside)?),
        };
        content.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        content.extend_from_slice(id.as_bytes());
    }
    (!content.is_empty()).then(|| hash(ObjectType::Tree, &content))
}

fn hash(kind: ObjectType, content: &[u8]) -> Oid {
    Oid::hash_object(kind, content).expect("hashing bytes in memory cannot fail")
}
