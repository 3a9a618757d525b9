//! Which repository pull requests go to.

use std::path::PathBuf;

use slipway_embedded::State;
use slipway_git::Repository;
use slipway_proposal::Remote;

use crate::context::Context;
use crate::failure::Failure;
use crate::running::LoopArgs;

/// The option that names it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RemoteArgs {
    /// Where pull requests go: a git remote, or a bare repository on this machine [default: the loop on this machine, otherwise origin]
    #[arg(long, env = "SLIPWAY_REMOTE", hide_env_values = true)]
    remote: Option<String>,
}

/// The options of commands that only look at pull requests, or open one.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ForgeArgs {
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    running: LoopArgs,
}

impl ForgeArgs {
    /// The project's repository, and where its pull requests are.
    pub(crate) fn find(&self, context: &Context) -> Result<(Repository, Remote), Failure> {
        let git = Repository::project(&context.root)?;
        let running = self.running.find(context)?.map(|(_, state)| state);
        let remote = self.remote.find(&git, running.as_ref())?;
        Ok((git, remote))
    }

    /// The loop that runs here, with its state folder.
    pub(crate) fn running_in(&self, context: &Context) -> Result<Option<(PathBuf, State)>, Failure> {
        self.running.find(context)
    }

    /// The loop that runs here.
    pub(crate) fn running(&self, context: &Context) -> Result<Option<State>, Failure> {
        Ok(self.running.find(context)?.map(|(_, state)| state))
    }
}

impl RemoteArgs {
    /// The name that was given, otherwise `origin`.
    pub(crate) fn name(&self) -> &str {
        self.remote.as_deref().unwrap_or("origin")
    }

    /// The named remote. If none is named, the forge of the loop on this machine; without a loop, `origin`.
    pub(crate) fn find(&self, git: &Repository, running: Option<&State>) -> Result<Remote, Failure> {
        let here = std::env::current_dir().map_err(|error| Failure::Unexpected(format!("current folder: {error}")))?;
        if let Some(name) = &self.remote {
            return Ok(Remote::named(git, name, &here)?);
        }
        if let Some(state) = running {
            return Ok(Remote::at(&state.forge)?);
        }
        match git.remote_url("origin")? {
            Some(_) => Remote::named(git, "origin", &here).map_err(without_loop),
            None => Err(Failure::Input(
                "there is no remote to open a pull request on: start the loop on this machine with `slipway up`, add one with \
                 `git remote add origin <url>`, or name one with --remote"
                    .to_owned(),
            )),
        }
    }
}

/// Why `origin` takes no pull request, where no loop runs: a person who works with one has perhaps not started it.
fn without_loop(error: slipway_proposal::Error) -> Failure {
    use slipway_forge::Error as Forge;

    match error {
        slipway_proposal::Error::Forge(error @ (Forge::NotBare(_) | Forge::UnknownForge(_))) => {
            Failure::Input(format!(
                "no loop is running here, so this is about the remote origin: start the loop with `slipway up`, or name another remote with \
             --remote. {error}"
            ))
        }
        error => error.into(),
    }
}
