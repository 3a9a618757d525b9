//! Which repository pull requests go to.

use slipway_embedded::State;
use slipway_git::Repository;
use slipway_proposal::Remote;

use crate::context::Context;
use crate::failure::Failure;

/// The one that `--remote` or `SLIPWAY_REMOTE` names; without it the forge of the loop on this machine, and without a loop `origin`.
pub(crate) fn remote(context: &Context, git: &Repository, named: Option<&str>) -> Result<Remote, Failure> {
    if let Some(name) = named {
        return Ok(Remote::named(git, name)?);
    }
    if let Some((_, state)) = State::of_repository(&context.root)? {
        return Ok(Remote::at(&state.forge)?);
    }
    match git.remote_url("origin")? {
        Some(_) => Ok(Remote::named(git, "origin")?),
        None => Err(Failure::Input(
            "there is no remote to open a pull request on: start the loop on this machine with `slipway up`, add one with \
             `git remote add origin <url>`, or name one with --remote"
                .to_owned(),
        )),
    }
}
