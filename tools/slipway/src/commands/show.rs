//! `slipway show`: a pull request with its report.

use clap::Args;
use serde::Serialize;
use slipway_forge::Opened;
use slipway_markdown::visible;

use crate::context::Context;
use crate::failure::Failure;
use crate::pull_request::parse_number;
use crate::remote::ForgeArgs;
use crate::report_text;

#[derive(Debug, Args)]
#[command(
    after_help = "Prints what stands on the page of the pull request: its description, and the report that `slipway report` wrote last.\n\n\
                  Examples:\n  slipway show 3\n  slipway show 3 -o json | jq -r '.report[]'"
)]
pub(crate) struct Show {
    /// The number of the pull request
    #[arg(value_parser = parse_number)]
    number: u64,
    #[command(flatten)]
    forge: ForgeArgs,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    pull_request: Opened,
    /// The parts of the report as Markdown; empty if there is none.
    report: Vec<String>,
}

impl Show {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let (_, remote) = self.forge.find(context)?;
        let pull_request = remote.forge.get(self.number).await?;
        let report = remote.forge.published(self.number).await?;
        let head = pull_request.head.get(..8).unwrap_or_default();
        let (title, state) = (visible(&pull_request.title), pull_request.state);
        context.say(context.paint("1", &format!("#{} {title}", self.number)));
        context.say(format!(
            "{state}, {} at {head} into {}: {}",
            pull_request.branch, pull_request.base, pull_request.url
        ));
        if !pull_request.labels.is_empty() {
            context.say(format!("labels: {}", visible(&pull_request.labels.join(", "))));
        }
        if !pull_request.reviewers.is_empty() {
            context.say(format!("asked for a review: {}", visible(&pull_request.reviewers.join(", "))));
        }
        if report.is_empty() {
            context.say(format!("\n{}", visible(&pull_request.body).trim_end()));
            context.say(format!("\nno report yet: `slipway report {}` writes it", self.number));
        }
        for part in &report {
            context.say(format!("\n{}", report_text::terminal(part)));
        }
        context.json(&Shown { pull_request, report })
    }
}
