//! Which loop on this machine is meant.

use std::path::PathBuf;

use slipway_embedded::State;

use crate::context::Context;
use crate::failure::Failure;

/// The option that names the loop on this machine.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct LoopArgs {
    /// The state folder of the loop on this machine, as `slipway up --state` was given it [default: .slipway in the project]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl LoopArgs {
    /// The loop that runs here, with its state folder; `None` if none does. One that was named must run.
    pub(crate) fn find(&self, context: &Context) -> Result<Option<(PathBuf, State)>, Failure> {
        let Some(folder) = &self.state else { return Ok(State::of_repository(&context.root)?) };
        match State::read(folder)? {
            Some(state) => Ok(Some((folder.clone(), state))),
            None => Err(Failure::Input(format!(
                "--state {}: no loop is running there: start it with `slipway up --state {}`",
                folder.display(),
                folder.display()
            ))),
        }
    }
}
