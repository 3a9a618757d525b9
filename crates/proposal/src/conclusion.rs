//! The pull request that ends the trial of a challenger: it leaves `models.yaml`, or is put into service.

use slipway_forge::Opened;
use slipway_git::Repository;
use slipway_project::{Changes, serving};
use slipway_serving::{Pin, Pins};

use crate::base::{Base, Proposal};
use crate::branch::change_in;
use crate::promotion::in_branch;
use crate::{Opening, Remote, Result};

/// What a trial came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken out: it was switched off, or is worse.
    Remove,
    /// It is put into service: it is better.
    Promote,
}

/// The end of a challenger's trial in an environment.
#[derive(Debug)]
pub struct Conclusion {
    environment: String,
    challenger: Pin,
    verdict: Verdict,
    base: Base,
    before: Pins,
    after: Pins,
}

impl Conclusion {
    /// Prepares it on top of the remote's default branch.
    ///
    /// # Errors
    /// [`UnknownEnvironment`](crate::Error::UnknownEnvironment); [`Invalid`](crate::Error::Invalid) when the environment's list of versions in service has a mistake; when the remote cannot
    /// be fetched from.
    pub async fn prepare(
        git: &Repository,
        remote: &Remote,
        environment: &str,
        challenger: &Pin,
        verdict: Verdict,
    ) -> Result<Self> {
        let base = Base::fetch(git, remote).await?;
        let before = base.in_service(environment)?;
        // what git does not declare any more, or in another way, was decided by a person
        let is_declared = before.challenger(&challenger.name).is_some_and(|declared| declared.pin == *challenger);
        let after = match verdict {
            _ if !is_declared => before.clone(),
            Verdict::Remove => before.without_challenger(&challenger.name),
            Verdict::Promote => before.with(challenger.clone()),
        };
        let (environment, challenger) = (environment.to_owned(), challenger.clone());
        Ok(Self { environment, challenger, verdict, base, before, after })
    }

    /// Whether there is nothing to do: the version is not a challenger there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.before == self.after
    }

    /// Commits, pushes and opens the pull request, with the evidence as Markdown in its body. If one is already open for the same change,
    /// returns that one.
    ///
    /// # Errors
    /// When the repository cannot be written, or the remote refuses.
    pub async fn open(self, git: &Repository, remote: &Remote, evidence: &str, opening: Opening) -> Result<Opened> {
        let Pin { name, version, .. } = &self.challenger;
        let environment = &self.environment;
        let (title, label, end) = match self.verdict {
            Verdict::Remove => (
                format!("Stop trying {name} version {version} in {environment}"),
                "trial",
                "Once merged, the server forgets it. The version in service is not touched.",
            ),
            Verdict::Promote => (
                format!("Serve {name} version {version} in {environment}"),
                "serve",
                "Once merged, it answers every request, without being loaded again. Reverting the merge restores the previous version and its trial.",
            ),
        };
        let changes: Changes = [(serving::path(environment), Some(self.after.to_string().into_bytes()))].into();
        let head = git.commit(Some(&self.base.commit), &changes, &title)?;
        let body = format!("{evidence}\n{end}\n");
        let proposal = Proposal { name: branch_of(name, *version, environment), by_name: true, label, title, body };
        self.base.open(git, remote, &head, proposal, opening).await
    }
}

/// Whether a branch ends the trial of this version in this environment. There is one for each commit that it was proposed on.
#[must_use]
pub fn is_conclusion(branch: &str, model: &str, version: u64, environment: &str) -> bool {
    change_in(branch, &branch_of(model, version, environment)).is_some()
}

fn branch_of(model: &str, version: u64, environment: &str) -> String {
    format!("trial-{}-{version}-{environment}", in_branch(model))
}
