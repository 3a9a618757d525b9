//! `slipway show`: a pull request with its report.

use clap::Args;
use serde::Serialize;
use slipway_forge::{Opened, PullRequestState};
use slipway_git::Repository;
use slipway_markdown::visible;
use slipway_proposal::Remote;
use slipway_report::{ReportedOn, Subject};

use crate::context::Context;
use crate::failure::Failure;
use crate::pull_request::parse_number;
use crate::remote::ForgeArgs;
use crate::report_text;

#[derive(Debug, Args)]
#[command(
    after_help = "Prints what stands on the page of the pull request: its description, and the report that was written last. A report that is about \
                  another commit, or from before the base branch moved or the merge, says so.\n\n\
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
    /// Why the report is not about the pull request as it is now; `None` if it is, or there is none.
    outdated: Option<String>,
}

impl Show {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let (git, remote) = self.forge.find(context)?;
        let pull_request = remote.forge.get(self.number).await?;
        let report = remote.forge.published(self.number).await?;
        let outdated = match report.first().and_then(|first| ReportedOn::read(first)) {
            Some(about) => self.outdated(context, &git, &remote, &pull_request, &about).await?,
            None => None,
        };
        let head = short(&pull_request.head);
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
            context.say(format!("\n{}", report_text::terminal(&pull_request.body)));
            context.say(format!("\nno report yet: `slipway report {}` writes it", self.number));
        }
        if let Some(why) = &outdated {
            context.say(format!("\n{}", context.paint("33", why)));
        }
        for part in &report {
            context.say(format!("\n{}", report_text::terminal(part)));
        }
        context.json(&Shown { pull_request, report, outdated })
    }

    /// Why a report is not about the pull request as it is now, and what to do. Returns `None` if it is.
    async fn outdated(
        &self,
        context: &Context,
        git: &Repository,
        remote: &Remote,
        opened: &Opened,
        about: &ReportedOn,
    ) -> Result<Option<String>, Failure> {
        let Opened { number, base, head, .. } = opened;
        if opened.state == PullRequestState::Merged {
            let is_plan = about.subject == Subject::Plan;
            return Ok(is_plan.then(|| {
                format!(
                    "this report is the plan from before the merge; `slipway report {number}` writes what came of it"
                )
            }));
        }
        let why = if about.head != *head {
            format!("this report is for {}, and the branch is at {} now", short(&about.head), short(head))
        } else {
            let Some(then) = about.base.as_deref().filter(|_| opened.is_open()) else { return Ok(None) };
            match remote.fetch(git, base).await {
                Ok(now) if now == then => return Ok(None),
                Ok(now) => {
                    let (then, now) = (short(then), short(&now));
                    format!("this report is for {base} at {then}, and {base} is at {now} now")
                }
                // the report can be read all the same
                Err(error) => format!("whether {base} has moved since this report is not known: {error}"),
            }
        };
        let is_followed =
            opened.is_open() && self.forge.running(context)?.is_some_and(|state| remote.is_at(&state.forge));
        Ok(Some(if is_followed {
            format!("{why}; a newer one is being written, or `slipway report {number}` writes it")
        } else {
            format!("{why}; `slipway report {number}` writes a newer one")
        }))
    }
}

/// The first eight digits of a commit's id.
fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}
