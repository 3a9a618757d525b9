//! The pull request that tries a version beside the one in service.

use slipway_deployment::Kustomize;
use slipway_forge::Opened;
use slipway_git::Repository;
use slipway_markdown::on_one_line;
use slipway_mlflow::ModelVersion;
use slipway_serving::{Challenger, Mode, Pins, Share};

use crate::base::{Base, Proposal, in_service};
use crate::promotion::{described, in_branch, pin};
use crate::{Error, Opening, Remote, Result};

/// A version that is to be tried beside the one in service in an environment.
#[derive(Debug)]
pub struct Trial {
    version: ModelVersion,
    challenger: Challenger,
    champion: u64,
    environment: String,
    base: Base,
    before: Pins,
    after: Pins,
}

impl Trial {
    /// Prepares the trial of a version on top of the remote's default branch. It takes the place of another version that is tried.
    ///
    /// # Errors
    /// As for a [promotion](crate::Promotion::prepare); [`Error::NoChampion`] when no other version of the model is in service there.
    pub async fn prepare(
        git: &Repository,
        remote: &Remote,
        environment: &str,
        version: &ModelVersion,
        mode: Mode,
        share: Share,
    ) -> Result<Self> {
        let challenger = Challenger { pin: pin(version)?, mode, share };
        let base = Base::fetch(git, remote).await?;
        let before = base.in_service(environment)?;
        let champion = before.get(&version.name).map(|champion| champion.version);
        let (Some(champion), Some(after)) = (champion, before.with_challenger(challenger.clone())) else {
            return Err(Error::NoChampion {
                model: version.name.clone(),
                version: version.number(),
                environment: environment.to_owned(),
            });
        };
        let (version, environment) = (version.clone(), environment.to_owned());
        Ok(Self { version, challenger, champion, environment, base, before, after })
    }

    /// Whether it is tried already, in this way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.before == self.after
    }

    /// Commits, pushes and opens the pull request. If one is already open for the same trial, returns that one.
    ///
    /// # Errors
    /// When the repository cannot be written, or the remote refuses.
    pub async fn open(
        self,
        git: &Repository,
        remote: &Remote,
        kustomize: Option<&Kustomize>,
        opening: Opening,
    ) -> Result<Opened> {
        let (name, version, environment) = (&self.version.name, &self.version.version, &self.environment);
        let mode = self.challenger.mode.as_str();
        let title = on_one_line(&format!("Try {name} version {version} as a {mode} in {environment}"));
        let branch = format!("try-{}-{version}-{environment}", in_branch(name));
        let proposal = Proposal { name: branch, by_name: false, label: "trial", title, body: self.body() };
        let changes = in_service(environment, &self.after);
        self.base.open_changes(git, remote, kustomize, &changes, proposal, opening).await
    }

    /// The pull request's body.
    fn body(&self) -> String {
        let (champion, percent) = (self.champion, self.challenger.share.get() * 100.0);
        let does = match self.challenger.mode {
            Mode::Shadow => "gets the same requests, and nobody sees its answers",
            Mode::Canary => "answers requests",
        };
        described(&self.version, ("is tried beside", &format!("version {champion}: it {does}, {percent} % of them")))
            + "\nOnce merged, the server loads it beside the version in service, which answers as before whatever this one does. \
               The training manager opens the pull request that ends the trial; reverting the merge ends it too.\n"
    }
}
