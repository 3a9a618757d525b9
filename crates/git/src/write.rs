//! Making commits from trees: the work tree, the index and the branches stay as they are.

use std::collections::{BTreeMap, BTreeSet};

use git2::{ObjectType, Oid, Signature};

use crate::committer::Committer;
use crate::program::{line, one_line};
use crate::read::{EXECUTABLE, FILE};
use crate::repository::check_path;
use crate::{Error, Repository, Result};

/// What becomes of the paths below a folder; `None` removes the file.
type Changes<'a> = BTreeMap<&'a str, Option<Written>>;

/// A file that is written.
#[derive(Clone, Copy)]
struct Written {
    blob: Oid,
    /// Whether it becomes executable; otherwise it is as executable as the file before it.
    executable: bool,
}

impl Repository {
    /// Makes a commit on top of `base` in which the files of `changes` are replaced, or removed where there is no content; without a base
    /// it is a first commit. A script stays executable, and a folder without files goes. No reference moves. When nothing changes it is
    /// `base` itself.
    ///
    /// The committer is who the user's git says, otherwise `Slipway <slipway@localhost>`. The commit is signed when `commit.gpgsign` asks
    /// for it.
    ///
    /// # Errors
    /// [`Error::Path`] for a path that cannot be in a commit; [`Error::NoRevision`] for the base; [`Error::NotSigned`].
    pub fn commit(
        &self,
        base: Option<&str>,
        changes: &BTreeMap<String, Option<Vec<u8>>>,
        message: &str,
    ) -> Result<String> {
        self.commit_with_executables(base, changes, &BTreeSet::new(), message)
    }

    /// The same, and these of the written files become executable.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn commit_with_executables(
        &self,
        base: Option<&str>,
        changes: &BTreeMap<String, Option<Vec<u8>>>,
        executables: &BTreeSet<String>,
        message: &str,
    ) -> Result<String> {
        changes.keys().try_for_each(|path| check_path(path))?;
        let repository = self.handle()?;
        let base = base.map(|base| self.commit_at(&repository, base)).transpose()?;
        let paths: Vec<String> = changes.keys().map(|path| self.path_at_top(path)).collect();
        let mut blobs = Changes::new();
        for (path, (name, content)) in paths.iter().zip(changes) {
            // What is committed is what was given: no line ends change.
            let blob = content.as_ref().map(|bytes| repository.blob(bytes)).transpose();
            let blob = blob.map_err(self.failed("writing"))?;
            blobs.insert(path, blob.map(|blob| Written { blob, executable: executables.contains(name) }));
        }
        let before = base.as_ref().map(git2::Commit::tree_id);
        let tree = match self.changed(&repository, before, &blobs, "")? {
            Some(tree) => tree,
            None => self.write_tree(&repository.treebuilder(None).map_err(self.failed("writing"))?)?,
        };
        match base {
            Some(base) if base.tree_id() == tree => Ok(base.id().to_string()),
            base => self.make_commit(&repository, tree, base.as_slice(), message),
        }
    }

    /// Makes a commit of a tree, as [`commit`](Self::commit) does.
    ///
    /// # Errors
    /// [`Error::NoRevision`] for a parent; [`Error::NotSigned`].
    pub fn commit_tree(&self, tree: &str, parents: &[&str], message: &str) -> Result<String> {
        let repository = self.handle()?;
        let parents: Vec<_> =
            parents.iter().map(|parent| self.commit_at(&repository, parent)).collect::<Result<_>>()?;
        self.make_commit(&repository, self.oid(tree)?, &parents, message)
    }

    /// Writes a blob; its id.
    ///
    /// # Errors
    /// [`Error::Repository`] when the repository cannot be written.
    pub fn write_blob(&self, content: &[u8]) -> Result<String> {
        Ok(self.handle()?.blob(content).map_err(self.failed("writing"))?.to_string())
    }

    /// A tree with these changes. Returns `None` if no file is left. Only folders in which something changes are read and written.
    fn changed(
        &self,
        repository: &git2::Repository,
        before: Option<Oid>,
        changes: &Changes<'_>,
        folder: &str,
    ) -> Result<Option<Oid>> {
        let before = before.map(|id| self.tree(repository, id)).transpose()?;
        let mut after = repository.treebuilder(before.as_ref()).map_err(self.failed("writing"))?;
        // By the first part of each path: what becomes of a file of that name, and of what lies below a folder of that name.
        let mut names: BTreeMap<&str, (Option<Option<Written>>, Changes<'_>)> = BTreeMap::new();
        for (path, content) in changes {
            match path.split_once('/') {
                None => names.entry(path).or_default().0 = Some(*content),
                Some((name, rest)) => drop(names.entry(name).or_default().1.insert(rest, *content)),
            }
        }
        for (name, (file, below)) in names {
            let path = format!("{folder}{name}");
            let refused = |error: git2::Error| match error.class() {
                // names that some system would take for `.git` or for the folder above
                git2::ErrorClass::Tree => Error::Path(path.clone()),
                _ => self.failed("writing")(error),
            };
            let entry = before.as_ref().and_then(|tree| tree.get_name(name));
            let kind = entry.as_ref().and_then(git2::TreeEntry::kind);
            let is_folder = kind == Some(ObjectType::Tree);
            if let Some(Some(Written { blob, executable })) = file {
                let executable = executable || entry.as_ref().is_some_and(|entry| entry.filemode() == EXECUTABLE);
                after.insert(name, blob, if executable { EXECUTABLE } else { FILE }).map_err(refused)?;
            } else if matches!(file, Some(None)) && entry.is_some() && !is_folder {
                after.remove(name).map_err(refused)?;
            }
            // A file in a folder takes the place of a file of the folder's name.
            let writes = below.values().any(Option::is_some);
            if writes || is_folder && !below.is_empty() && !matches!(file, Some(Some(_))) {
                let inside = entry.filter(|_| is_folder).map(|entry| entry.id());
                match self.changed(repository, inside, &below, &format!("{path}/"))? {
                    Some(tree) => drop(after.insert(name, tree, 0o040_000).map_err(refused)?),
                    None if is_folder => after.remove(name).map_err(refused)?,
                    None => {}
                }
            }
        }
        if after.is_empty() { Ok(None) } else { Ok(Some(self.write_tree(&after)?)) }
    }

    fn write_tree(&self, tree: &git2::TreeBuilder<'_>) -> Result<Oid> {
        tree.write().map_err(self.failed("writing"))
    }

    fn make_commit(
        &self,
        repository: &git2::Repository,
        tree: Oid,
        parents: &[git2::Commit<'_>],
        message: &str,
    ) -> Result<String> {
        self.make_commit_by(repository, self.committer(repository)?, (tree, parents), message.as_bytes())
    }

    /// Makes a commit with the message and the author of another one.
    pub(crate) fn make_again(
        &self,
        repository: &git2::Repository,
        commit: &git2::Commit<'_>,
        tree: Oid,
        parent: &git2::Commit<'_>,
    ) -> Result<String> {
        let mut who = self.committer(repository)?;
        who.author = commit.author().to_owned();
        self.make_commit_by(repository, who, (tree, std::slice::from_ref(parent)), commit.message_bytes())
    }

    fn make_commit_by(
        &self,
        repository: &git2::Repository,
        who: Committer,
        (tree, parents): (Oid, &[git2::Commit<'_>]),
        message: &[u8],
    ) -> Result<String> {
        let message = String::from_utf8_lossy(message);
        if who.signs {
            return self.make_signed_commit(tree, parents, (&who.author, &who.committer), &message);
        }
        let tree = repository.find_tree(tree).map_err(self.failed("reading"))?;
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        let made = repository.commit(None, &who.author, &who.committer, &message, &tree, &parents);
        Ok(made.map_err(self.failed("writing"))?.to_string())
    }

    /// The user's git makes this one object: it knows `gpg.format`, `user.signingkey` and the program for each format, and it makes no
    /// commit when there is no signature.
    fn make_signed_commit(
        &self,
        tree: Oid,
        parents: &[git2::Commit<'_>],
        (author, committer): (&Signature<'_>, &Signature<'_>),
        message: &str,
    ) -> Result<String> {
        let tree = tree.to_string();
        let parents: Vec<String> = parents.iter().map(|parent| parent.id().to_string()).collect();
        let mut arguments = vec!["commit-tree", "-S", &tree];
        arguments.extend(parents.iter().flat_map(|parent| ["-p", parent]));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let run = self
            .git(&arguments)
            .input(message.as_bytes())
            .env("GIT_AUTHOR_NAME", text(author.name_bytes()))
            .env("GIT_AUTHOR_EMAIL", text(author.email_bytes()))
            .env("GIT_AUTHOR_DATE", date(author.when()))
            .env("GIT_COMMITTER_NAME", text(committer.name_bytes()))
            .env("GIT_COMMITTER_EMAIL", text(committer.email_bytes()))
            .env("GIT_COMMITTER_DATE", date(committer.when()));
        let done = run.end("commit-tree")?;
        if done.is_success() {
            Ok(line(&done.stdout))
        } else {
            Err(Error::NotSigned { reason: one_line(&done.stderr) })
        }
    }
}

/// A time as git takes it: `@<seconds since 1970> <offset>`.
fn date(time: git2::Time) -> String {
    let minutes = time.offset_minutes().unsigned_abs();
    format!("@{} {}{:02}{:02}", time.seconds(), time.sign(), minutes / 60, minutes % 60)
}
