//! The pull request that ends the trial of a challenger: it leaves `models.yaml`, or is put into service.

use slipway_digest::Digest;
use slipway_forge::Opened;
use slipway_git::Repository;
use slipway_markdown::on_one_line;
use slipway_serving::{Challenger, Pin, Pins};

use crate::base::{Base, Proposal, in_service};
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

/// A trial of a version: the same version may be tried again, in another way or beside another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The version, and how it is tried.
    pub challenger: Challenger,
    /// The version beside which it is tried.
    pub champion: u64,
}

impl Tried {
    /// Eight hex digits that tell this trial from others of the same version.
    #[must_use]
    pub fn id(&self) -> String {
        let Challenger { pin, mode, share } = &self.challenger;
        let text = format!("{}\0{} of {share} beside {}", pin.digest, mode.as_str(), self.champion);
        Digest::of(text).hex()[..8].to_owned()
    }
}

/// The end of a challenger's trial in an environment.
#[derive(Debug)]
pub struct Conclusion {
    environment: String,
    tried: Tried,
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
        tried: &Tried,
        verdict: Verdict,
    ) -> Result<Self> {
        let base = Base::fetch(git, remote).await?;
        let before = base.in_service(environment)?;
        let pin = &tried.challenger.pin;
        // what git does not declare any more, or in another way, was decided by a person
        let is_declared = before.challenger(&pin.name).is_some_and(|declared| *declared == tried.challenger)
            && before.get(&pin.name).is_some_and(|champion| champion.version == tried.champion);
        let after = match verdict {
            _ if !is_declared => before.clone(),
            Verdict::Remove => before.without_challenger(&pin.name),
            Verdict::Promote => before.with(pin.clone()),
        };
        let (environment, tried) = (environment.to_owned(), tried.clone());
        Ok(Self { environment, tried, verdict, base, before, after })
    }

    /// Whether a pull request, in whatever state, ends this trial in this environment. Those of forks are anybody's.
    #[must_use]
    pub fn is_one(opened: &Opened, tried: &Tried, environment: &str) -> bool {
        !opened.is_fork && is_conclusion(&opened.branch, tried, environment)
    }

    /// Whether there is nothing to do: git does not declare this trial there.
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
        let Pin { name, version, .. } = &self.tried.challenger.pin;
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
        let title = on_one_line(&title);
        let head = git.commit(Some(&self.base.commit), &in_service(environment, &self.after), &title)?;
        let body = format!("{evidence}\n{end}\n");
        // another verdict is another change under the same name
        let proposal = Proposal { name: branch_of(&self.tried, environment), by_name: false, label, title, body };
        self.base.open(git, remote, &head, proposal, opening).await
    }
}

/// There is a branch for each commit that it was proposed on.
fn is_conclusion(branch: &str, tried: &Tried, environment: &str) -> bool {
    change_in(branch, &branch_of(tried, environment)).is_some()
}

fn branch_of(tried: &Tried, environment: &str) -> String {
    let Pin { name, version, .. } = &tried.challenger.pin;
    format!("trial-{}-{version}-{environment}-{}", in_branch(name), tried.id())
}

#[cfg(test)]
mod tests {
    use slipway_serving::{Mode, Share};

    use super::*;

    #[test]
    fn a_branch_is_that_of_one_trial() {
        let tried = |version: u64, mode: Mode, share: f64, champion: u64| Tried {
            challenger: Challenger {
                pin: Pin { name: "digits".to_owned(), version, digest: Digest::of(version.to_string()) },
                mode,
                share: Share::new(share).unwrap(),
            },
            champion,
        };
        let one = tried(4, Mode::Canary, 0.05, 3);
        let branch = format!("slipway/{}-0123abcd-89abcdef", branch_of(&one, "local"));
        assert!(is_conclusion(&branch, &one, "local") && !is_conclusion(&branch, &one, "staging"));
        for other in [
            tried(5, Mode::Canary, 0.05, 3),
            tried(4, Mode::Shadow, 0.05, 3),
            tried(4, Mode::Canary, 0.1, 3),
            tried(4, Mode::Canary, 0.05, 2),
        ] {
            assert!(!is_conclusion(&branch, &other, "local"), "{other:?}");
        }
    }
}
