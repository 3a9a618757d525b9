//! Which repository pull requests go to.

use std::path::Path;

use slipway_embedded::State;
use slipway_forge::{Forge, forge_of};
use slipway_git::Repository;

use crate::context::Context;
use crate::failure::Failure;

/// A remote with the forge that its pull requests are opened on.
#[derive(Debug)]
pub(crate) struct Remote {
    /// Its name for git, or its URL.
    pub(crate) name: String,
    pub(crate) forge: Forge,
}

impl Remote {
    /// The one that `--remote` or `SLIPWAY_REMOTE` names; without it the forge of the loop that runs here, and without a loop `origin`.
    pub(crate) fn choose(context: &Context, git: &Repository, named: Option<&str>) -> Result<Self, Failure> {
        if let Some(name) = named {
            return Self::named(git, name);
        }
        if let Some((_, state)) = State::of_repository(&context.root)? {
            return Self::at(&state.forge);
        }
        match git.remote_url("origin")? {
            Some(_) => Self::named(git, "origin"),
            None => Err(Failure::Input(
                "there is no remote to open a pull request on: start the loop of this machine with `slipway up`, add one with \
                 `git remote add origin <url>`, or name one with --remote"
                    .to_owned(),
            )),
        }
    }

    /// A bare repository on this machine.
    pub(crate) fn at(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        Ok(Self { forge: forge_of(&name)?, name })
    }

    fn named(git: &Repository, name: &str) -> Result<Self, Failure> {
        let url = git.remote_url(name)?.unwrap_or_else(|| name.to_owned());
        Ok(Self { forge: forge_of(&url)?, name: name.to_owned() })
    }
}
