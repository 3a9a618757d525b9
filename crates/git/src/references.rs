//! Branches and other references.

use std::time::Duration;

use git2::ErrorCode;

use crate::{Error, Repository, Result};

/// How often, and how long each time, a reference is waited for that another process is moving.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// A reference that is to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update<'a> {
    /// Its full name, such as `refs/heads/main`.
    pub name: &'a str,
    /// The id of the object that it will name.
    pub to: &'a str,
    /// The id that it must name now; `None` when it must not exist.
    pub from: Option<&'a str>,
}

/// A reference of a mirror that is to become what the remote has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Move<'a> {
    /// Its full name.
    pub(crate) name: &'a str,
    /// The id that it must name now; `None` when it must not exist.
    pub(crate) from: Option<&'a str>,
    /// The id that it will name; `None` when it will not exist.
    pub(crate) to: Option<&'a str>,
}

impl Repository {
    /// The id that a reference, by its full name, leads to. Returns `None` if there is no such reference.
    ///
    /// # Errors
    /// [`Error::Repository`].
    pub fn reference(&self, name: &str) -> Result<Option<String>> {
        Ok(self.target(&self.handle()?, name)?.map(|(_, id)| id.to_string()))
    }

    /// As [`reference`](Self::reference), after another process that is moving it is done; a lock that a crash left is not waited for
    /// longer than a tenth of a second. So whoever sees one reference of an [`update`](Self::update) sees the others.
    ///
    /// # Errors
    /// [`Error::Repository`].
    pub fn settled_reference(&self, name: &str) -> Result<Option<String>> {
        let repository = self.handle()?;
        for _ in 0..LOOKS {
            let mut transaction = repository.transaction().map_err(self.failed("reading references of"))?;
            match transaction.lock_ref(name) {
                Err(error) if error.code() == ErrorCode::Locked => std::thread::sleep(PAUSE),
                // Nobody moves it now. Where it may not be locked, it is not moved by anybody like us.
                _ => break,
            }
        }
        self.reference(name)
    }

    /// The full name of the reference that another one names, such as the branch of `HEAD`. Returns `None` if there is none, or it leads to
    /// a commit directly.
    ///
    /// # Errors
    /// [`Error::Repository`].
    pub fn symbolic_reference(&self, name: &str) -> Result<Option<String>> {
        match self.handle()?.find_reference(name) {
            Ok(reference) => Ok(reference.symbolic_target().ok().flatten().map(str::to_owned)),
            Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => Ok(None),
            Err(error) => Err(self.failed("reading references of")(error)),
        }
    }

    /// The branch of a bare repository that others start from: the one that HEAD names. A repository that was made with another name for its
    /// first branch than the one that was pushed has a HEAD that leads nowhere; then it is `main` if there is one.
    ///
    /// # Errors
    /// [`Error::Repository`].
    pub fn default_branch(&self) -> Result<String> {
        const BRANCHES: &str = "refs/heads/";
        let named = self.symbolic_reference("HEAD")?.and_then(|name| name.strip_prefix(BRANCHES).map(str::to_owned));
        let exists = |branch: &str| Ok::<_, Error>(self.reference(&format!("{BRANCHES}{branch}"))?.is_some());
        match named {
            Some(branch) if exists(&branch)? || !exists("main")? => Ok(branch),
            _ => Ok("main".to_owned()),
        }
    }

    /// All references whose names begin so, with the ids that they lead to.
    ///
    /// # Errors
    /// [`Error::Repository`].
    pub fn references(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        let repository = self.handle()?;
        let found = repository.references_glob(&format!("{prefix}*")).map_err(self.failed("reading references of"))?;
        let mut all = Vec::new();
        // One that went in between is not there.
        for reference in found.flatten() {
            if let (Ok(name), Ok(Some(id))) = (reference.name(), reference.resolve().map(|resolved| resolved.target()))
            {
                all.push((name.to_owned(), id.to_string()));
            }
        }
        Ok(all)
    }

    /// Moves references, all or none. Returns whether they moved: not when one of them had another value than `from`, or another process
    /// held its lock.
    ///
    /// # Errors
    /// [`Error::Repository`] when the repository cannot be written.
    pub fn update(&self, updates: &[Update<'_>]) -> Result<bool> {
        let repository = self.handle()?;
        // A reference that names another one, as HEAD does, stays; the other one moves.
        let mut names = Vec::with_capacity(updates.len());
        for update in updates {
            let found = self.target(&repository, update.name)?;
            names.push(found.map_or_else(|| update.name.to_owned(), |(name, _)| name));
        }
        let moves = names.iter().zip(updates);
        let moves = moves.map(|(name, update)| Move { name, from: update.from, to: Some(update.to) });
        self.swap(&repository, &moves.collect::<Vec<_>>())
    }

    /// Moves references of a mirror, all or none, and removes those that the remote does not have. Returns whether they moved, as
    /// [`update`](Self::update) does. What stands in the way of a name, such as `refs/heads/a` of `refs/heads/a/b`, is gone on the remote.
    ///
    /// # Errors
    /// [`Error::Repository`] when the repository cannot be written.
    pub(crate) fn mirror(&self, moves: &[Move<'_>]) -> Result<bool> {
        for name in moves.iter().filter(|one| one.from.is_none()).map(|one| one.name) {
            let above =
                name.match_indices('/').map(|(at, _)| &name[..at]).filter(|above| above.matches('/').count() > 1);
            above.map(str::to_owned).try_for_each(|above| self.remove_reference(&above))?;
            for (below, _) in self.references(&format!("{name}/"))? {
                self.remove_reference(&below)?;
            }
        }
        self.swap(&self.handle()?, moves)
    }

    fn swap(&self, repository: &git2::Repository, moves: &[Move<'_>]) -> Result<bool> {
        let action = "moving references of";
        let mut transaction = repository.transaction().map_err(self.failed(action))?;
        for one in moves {
            match transaction.lock_ref(one.name) {
                Ok(()) => {}
                Err(error) if matches!(error.code(), ErrorCode::Locked | ErrorCode::Exists) => return Ok(false),
                Err(error) => return Err(self.failed(action)(error)),
            }
        }
        // Under the locks, so that nobody moves them in between.
        for one in moves {
            let now = self.target(repository, one.name)?.map(|(_, id)| id.to_string());
            if now.as_deref() != one.from {
                return Ok(false);
            }
            let done = match one.to {
                Some(to) => transaction.set_target(one.name, self.oid(to)?, None, "slipway"),
                None => transaction.remove(one.name),
            };
            done.map_err(self.failed(action))?;
        }
        transaction.commit().map_err(self.failed(action))?;
        Ok(true)
    }

    /// Removes a reference; one that does not exist stays so.
    pub(crate) fn remove_reference(&self, name: &str) -> Result<()> {
        let repository = self.handle()?;
        match repository.find_reference(name).and_then(|mut reference| reference.delete()) {
            Err(error) if error.code() != ErrorCode::NotFound => Err(self.failed("removing a reference of")(error)),
            _ => Ok(()),
        }
    }

    /// Where a reference leads: the name of the last reference on the way, and the id.
    fn target(&self, repository: &git2::Repository, name: &str) -> Result<Option<(String, git2::Oid)>> {
        match repository.find_reference(name).and_then(|reference| reference.resolve()) {
            Ok(reference) => {
                let name = reference.name().unwrap_or(name).to_owned();
                Ok(reference.target().map(|id| (name, id)))
            }
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            // not a name that a reference can have
            Err(error) if error.code() == ErrorCode::InvalidSpec => Err(Error::NoRevision(name.to_owned())),
            Err(error) => Err(self.failed("reading references of")(error)),
        }
    }
}
