//! Where a lineage is looked up: the history of the branch that pull requests are merged into.

use slipway_causes::without_password;
use slipway_forge::Forge;
use slipway_git::{Repository, Result};

/// The history of the branch that pull requests are merged into, as far as this machine has it.
#[derive(Clone, Debug)]
pub struct History {
    /// The repository, seen from the project's folder.
    pub repository: Repository,
    /// The branch's revision in that repository.
    pub revision: String,
    /// The branch for a person to read, such as `origin/main`.
    pub branch: String,
    /// How to get its newest commits, if that takes a command.
    pub update: Option<String>,
    /// What a person must know before they trust the choice of the branch, and how to get a better one.
    pub warning: Option<String>,
}

impl History {
    /// A revision of a repository.
    #[must_use]
    pub fn at(repository: &Repository, revision: &str) -> Self {
        Self {
            repository: repository.clone(),
            revision: revision.to_owned(),
            branch: revision.to_owned(),
            update: None,
            warning: None,
        }
    }

    /// The default branch of a remote (its name or its address), without asking the remote: of a bare repository on this machine its own
    /// branch, of any other the one that was fetched last. Without a remote, HEAD; also if the remote's default branch is not known here, with
    /// a warning.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn of_remote(repository: &Repository, remote: Option<&str>, forge: Option<&Forge>) -> Result<Self> {
        if let Some(Forge::Bare(forge)) = forge {
            let there = Repository::open(forge.path())?.below(repository.prefix());
            let name = there.default_branch()?;
            let (revision, branch) = (format!("refs/heads/{name}"), format!("{name} of {}", forge.path().display()));
            return Ok(Self { repository: there, branch, revision, update: None, warning: None });
        }
        let Some(remote) = remote else { return Ok(Self::at(repository, "HEAD")) };
        if let Some(remote) = name_of(repository, remote)? {
            let named = repository.symbolic_reference(&format!("refs/remotes/{remote}/HEAD"))?;
            let usual = ["main", "master"].map(|branch| format!("refs/remotes/{remote}/{branch}"));
            for revision in named.into_iter().chain(usual) {
                if repository.reference(&revision)?.is_some() {
                    let branch = revision.trim_start_matches("refs/remotes/").to_owned();
                    let update = Some(format!("git fetch {remote}"));
                    return Ok(Self { update, branch, ..Self::at(repository, &revision) });
                }
            }
            let warning = format!(
                "the default branch of {remote} is not known here, so the history of HEAD is searched: \
                 `git fetch {remote} && git remote set-head {remote} --auto` makes it known"
            );
            return Ok(Self { warning: Some(warning), ..Self::at(repository, "HEAD") });
        }
        // a name that is not a remote is the default, `origin`, of a repository without one
        let warning = remote.contains(['/', ':']).then(|| {
            let address = without_password(remote);
            format!("no remote of this repository has the address {address}, so the history of HEAD is searched")
        });
        Ok(Self { warning, ..Self::at(repository, "HEAD") })
    }
}

/// The name of a remote that is given by its name or by its address. What is fetched from an address without a name is not kept under one.
fn name_of(repository: &Repository, remote: &str) -> Result<Option<String>> {
    for name in repository.remotes()? {
        if name == remote || repository.remote_url(&name)?.as_deref() == Some(remote) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
