//! What a person has changed in a work tree, on top of what others have merged since it was last brought up to date.

use slipway_causes::without_password;
use slipway_git::{Repository, blob_id};
use slipway_project::{Tree, cluster};
use slipway_source::{Finding, Position};

use crate::base::Base;
use crate::{Error, Remote, Result};

/// The files of a work tree, and what they are a change of.
pub(crate) struct WorkTree<'a> {
    git: &'a Repository,
    base: &'a Base,
    pub(crate) here: &'a Tree,
    origin: &'a Origin,
    /// The remote, as a person names it to git.
    remote: String,
}

/// Where the commits of a work tree and those of the base part.
pub(crate) enum Origin {
    /// At the newest commit of the base, or nothing is known but that the files began as its files.
    Base,
    /// At an earlier one: its id, and its files.
    Earlier(String, Tree),
    /// They have no commit in common.
    Unrelated,
}

/// What is proposed of a file.
pub(crate) enum Taken {
    /// The file of the work tree; or that there is none.
    Here,
    /// What the base has, since nothing is changed here that it does not have.
    Base,
    /// Both changes.
    Merged(Vec<u8>),
}

impl Origin {
    /// # Errors
    /// When the repository cannot be read.
    pub(crate) fn of(git: &Repository, base: &Base) -> Result<Self> {
        // without a work tree, files are those of the base with a change
        if git.is_bare() {
            return Ok(Self::Base);
        }
        let Some(head) = git.head()? else { return Ok(Self::Unrelated) };
        Ok(match git.merge_base(&head, &base.commit)? {
            None => Self::Unrelated,
            Some(commit) if commit == base.commit => Self::Base,
            Some(commit) => {
                let tree = Tree::at(git, &commit)?;
                Self::Earlier(commit, tree)
            }
        })
    }
}

impl<'a> WorkTree<'a> {
    pub(crate) fn new(
        git: &'a Repository,
        remote: &Remote,
        base: &'a Base,
        here: &'a Tree,
        origin: &'a Origin,
    ) -> Self {
        Self { git, base, here, origin, remote: without_password(&remote.name) }
    }

    /// The files that the change began with.
    fn before(&self) -> Option<&Tree> {
        match self.origin {
            Origin::Base => Some(&self.base.tree),
            Origin::Earlier(_, tree) => Some(tree),
            Origin::Unrelated => None,
        }
    }

    /// What is proposed of a file. One that is `named` and that never was in this work tree's commits is withdrawn by its absence; of others
    /// that says only that they were added elsewhere.
    ///
    /// # Errors
    /// [`Error::ChangedThere`] if the base has another version that would be undone; [`Error::NoCommonHistory`] if it might be.
    pub(crate) fn take(&self, file: &str, is_named: bool) -> Result<Taken> {
        let before = self.before().and_then(|tree| tree.bytes(file));
        let (there, here) = (self.base.tree.bytes(file), self.here.bytes(file));
        if there == here {
            return Ok(Taken::Base);
        }
        if there == before {
            return Ok(Taken::Here);
        }
        if before.is_none() && here.is_none() {
            return Ok(if is_named { Taken::Here } else { Taken::Base });
        }
        // a file that a person proposes is not left out without a word
        if here == before && (there.is_some() || !is_named) {
            return Ok(Taken::Base);
        }
        match (there, here) {
            (Some(there), Some(here)) => self.merge(file, before, there, here),
            (None, _) => Err(self.changed_there(file, "it was removed there")),
            (Some(_), None) => Err(self.changed_there(file, "it was removed here, and changed there")),
        }
    }

    fn merge(&self, file: &str, before: Option<&[u8]>, there: &[u8], here: &[u8]) -> Result<Taken> {
        let versions = self.versions(file)?;
        // proposed from here and merged; the base has gone on since
        if versions.contains(&blob_id(here)) {
            return Ok(Taken::Base);
        }
        let (before, reason) = match (before, self.origin) {
            (Some(before), _) => (before.to_vec(), "both changed the same lines"),
            (None, Origin::Unrelated) => {
                return Err(Error::NoCommonHistory {
                    file: file.to_owned(),
                    branch: self.base.branch.clone(),
                    remote: self.remote.clone(),
                });
            }
            // it came to the base after the last pull, so it is what was first proposed from here, or somebody else's of the same name
            (None, _) => {
                let first = versions.first().map(|blob| self.git.blobs(&[blob.as_str()])).transpose()?;
                (
                    first.unwrap_or_default().concat(),
                    "a file of this name was merged there, and both changed the same lines",
                )
            }
        };
        match self.merge_lines(file, &before, there, here)? {
            Some(merged) if merged == there => Ok(Taken::Base),
            Some(merged) => Ok(Taken::Merged(merged)),
            None => Err(self.changed_there(file, reason)),
        }
    }

    /// Merges as git does, but in a file whose lines are settings of their own, changes of lines beside each other are two changes.
    fn merge_lines(&self, file: &str, before: &[u8], there: &[u8], here: &[u8]) -> Result<Option<Vec<u8>>> {
        let has_settings = ["experiments/", "datasets/"].iter().any(|folder| file.starts_with(folder));
        if !has_settings || [before, there, here].iter().any(|content| content.contains(&MARK)) {
            return Ok(self.git.merge_contents(before, there, here)?);
        }
        let merged = self.git.merge_contents(&apart(before), &apart(there), &apart(here))?;
        Ok(merged.map(|merged| together(&merged)))
    }

    /// The ids of the contents that a file had on the base since the work tree was last brought up to date, the oldest first.
    fn versions(&self, file: &str) -> Result<Vec<String>> {
        let mut versions = Vec::new();
        for change in self.git.path_history(&self.base.commit, file)?.changes {
            if let Origin::Earlier(origin, _) = self.origin
                && self.git.contains(origin, &change.commit.id)?
            {
                break;
            }
            versions.extend(change.blob);
        }
        versions.reverse();
        Ok(versions)
    }

    /// The image of a trainer that is to be written into an environment's file, so that its code runs in the image that was built of it. Returns
    /// `None` if the image of the base stays.
    ///
    /// # Errors
    /// [`Error::ChangedThere`] if both have a new one.
    pub(crate) fn image(&self, environment: &str, trainer: &str) -> Result<Option<String>> {
        let of = |tree: &Tree| cluster::read(tree, environment).ok()?.spec.trainers.remove(trainer);
        let (before, there, here) = (self.before().and_then(of), of(&self.base.tree), of(self.here));
        if here.is_none() || here == there || here == before {
            return Ok(None);
        }
        if there != before {
            let reason = format!("both have a new image of trainers/{trainer}");
            return Err(self.changed_there(&cluster::path(environment), &reason));
        }
        Ok(here)
    }

    /// What a person should know of a named file that differs from the one of the base, and is not proposed as it is here.
    pub(crate) fn note(&self, file: &str, taken: &Taken) -> Option<Finding> {
        let branch = &self.base.branch;
        let message = match taken {
            Taken::Base if self.here.bytes(file) != self.base.tree.bytes(file) => {
                format!("it has changed on {branch} since your last pull, and not here: it stays as it is on {branch}")
            }
            Taken::Merged(_) => {
                format!("it has changed on {branch} since your last pull: that stays, and your change is added")
            }
            Taken::Here | Taken::Base => return None,
        };
        let help = format!("`git pull` from {} brings it here: README.md says how, under Merging", self.remote);
        Some(Finding::at(file, Position::START, "not-pulled", message).with_help(help))
    }

    fn changed_there(&self, file: &str, reason: &str) -> Error {
        Error::ChangedThere {
            file: file.to_owned(),
            branch: self.base.branch.clone(),
            remote: self.remote.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// Begins the lines that are put between the lines of a file; no file that a person writes has this control character.
const MARK: u8 = 0x1e;

/// The lines of a file, each with a line after it that is the same everywhere, so that no two of them are beside each other.
fn apart(content: &[u8]) -> Vec<u8> {
    let mut apart = Vec::with_capacity(2 * content.len());
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        apart.extend_from_slice(line);
        // the last line may have no end
        let between: &[u8] = if line.ends_with(b"\n") { &[MARK, b'\n'] } else { &[b'\n', MARK, MARK, b'\n'] };
        apart.extend_from_slice(between);
    }
    apart
}

/// What [`apart`] was given.
fn together(content: &[u8]) -> Vec<u8> {
    let mut together = Vec::with_capacity(content.len());
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        match line {
            [MARK, b'\n'] => {}
            [MARK, MARK, b'\n'] => {
                together.pop();
            }
            line => together.extend_from_slice(line),
        }
    }
    together
}

#[cfg(test)]
mod tests {
    use slipway_repositories::Repositories;

    use super::*;

    #[test]
    fn lines_that_were_put_apart_are_put_together_again() {
        for text in ["", "\n", "a", "a\n", "a\nb", "a\r\n\nb\n"] {
            assert_eq!(together(&apart(text.as_bytes())), text.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn lines_beside_each_other_are_two_settings_in_an_experiment_and_one_place_in_code() {
        let local = Repositories::new();
        let git = Repository::open(&local.work).unwrap();
        let tree = Tree::default();
        let base = Base { branch: "main".to_owned(), commit: local.head.clone(), tree: Tree::default() };
        let remote = Remote::at(&local.bare).unwrap();
        let work = WorkTree::new(&git, &remote, &base, &tree, &Origin::Base);
        let merge = |file: &str, before: &str, there: &str, here: &str| {
            let merged = work.merge_lines(file, before.as_bytes(), there.as_bytes(), here.as_bytes()).unwrap();
            merged.map(|bytes| String::from_utf8(bytes).unwrap())
        };
        let (before, there, here) = ("a: 1\nb: 1\nc: 1", "a: 1\nb: 2\nc: 1", "a: 2\nb: 1\nc: 2");
        assert_eq!(merge("experiments/x.yaml", before, there, here).as_deref(), Some("a: 2\nb: 2\nc: 2"));
        assert_eq!(merge("trainers/x/train.py", before, there, here), None);
        assert_eq!(merge("experiments/x.yaml", before, there, "a: 1\nb: 3\nc: 1"), None, "the same line");
        assert_eq!(merge("experiments/x.yaml", before, "b: 1\nc: 1", here), None, "a line that is gone");
        let added = |line: &str| format!("a: 1\n{line}\nb: 1\nc: 1");
        assert_eq!(merge("experiments/x.yaml", before, &added("d: 1"), &added("e: 1")), None, "the same place");
        assert_eq!(merge("experiments/x.yaml", before, &added("d: 1"), &added("d: 1")), Some(added("d: 1")));
    }
}
