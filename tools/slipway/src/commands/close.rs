//! `slipway close`: closes a pull request without a merge.

use clap::Args;
use serde::Serialize;
use slipway_forge::PullRequestState;
use slipway_markdown::visible;

use crate::context::Context;
use crate::failure::Failure;
use crate::pull_request::parse_number;
use crate::remote::ForgeArgs;

#[derive(Debug, Args)]
#[command(after_help = "Nothing of it is started, and its branch stays. The same proposal can be opened again.\n\n\
                  Example:\n  slipway close 3")]
pub(crate) struct Close {
    /// The number of the pull request
    #[arg(value_parser = parse_number)]
    number: u64,
    #[command(flatten)]
    forge: ForgeArgs,
}

#[derive(Debug, Serialize)]
struct Closed {
    number: u64,
}

impl Close {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let (_, remote) = self.forge.find(context)?;
        let opened = remote.forge.get(self.number).await?;
        match opened.state {
            PullRequestState::Closed => context.say(format!("pull request #{} is closed already", self.number)),
            PullRequestState::Merged => {
                return Err(Failure::Input(format!(
                    "pull request #{0} is merged: `slipway revert {0}` opens the one that undoes it",
                    self.number
                )));
            }
            PullRequestState::Open => {
                remote.forge.close(self.number).await?;
                context.say(format!("closed pull request #{} ({})", self.number, visible(&opened.title)));
            }
        }
        context.json(&Closed { number: self.number })
    }
}
