//! `slipway report`: what a pull request would do, and once it is merged, what came of it, on its own page.

mod artifact;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use slipway_forge::{CheckOutcome, Conclusion, Objections, Opened, Published, PullRequestState};
use slipway_git::Repository;
use slipway_outcome::Sources;
use slipway_proposal::Remote;
use slipway_report::{CHECK, Document, Packed, Subject, pack};

use crate::context::Context;
use crate::failure::Failure;
use crate::pull_request::{MOVED, of_head, parse_number};
use crate::remote::RemoteArgs;
use crate::renderers::KustomizeArgs;
use crate::reports::{report, sources};
use crate::running::LoopArgs;

#[derive(Debug, Args)]
#[command(
    after_help = "Writes one comment on the pull request, and updates it in place; comments of others are never touched. As a GitHub App, or in a \
                  workflow, it also writes a check, which is red if what was reviewed is not what would run.\n\n\
                  Everything comes from git objects: nothing of the branch is checked out or run. Runs of the past, and the results after the merge, come \
                  from MLflow, if MLFLOW_TRACKING_URI is set or a loop runs here.\n\n\
                  Examples:\n  slipway report 7\n  slipway report 7 --dry-run\n  slipway report --base main --head-commit topic --dry-run\n  \
                  slipway report 7 --from report\n  slipway report --head octo:topic --commit 01234567 --to report\n  \
                  slipway report --head octo:topic --commit 01234567 --from report"
)]
pub(crate) struct Report {
    /// The number of the pull request
    #[arg(value_parser = parse_number, conflicts_with_all = ["head", "base"])]
    number: Option<u64>,
    /// In place of the number: the owner of the repository that holds the branch, and the branch, as a workflow's event names them
    #[arg(long, value_name = "OWNER:BRANCH", requires = "commit", conflicts_with = "base")]
    head: Option<String>,
    /// The newest commit of that branch; if it is not the newest any more, nothing is done
    #[arg(long, requires = "head")]
    commit: Option<String>,
    /// Without a pull request: the revision that it would be merged into
    #[arg(long, value_name = "REV", requires = "head_commit")]
    base: Option<String>,
    /// Without a pull request: the revision that would be merged
    #[arg(long, value_name = "REV", requires = "base")]
    head_commit: Option<String>,
    /// Publish nothing: write the report into this folder, as `report.json` for --from and, with nothing left out, as `report.md`
    #[arg(long, value_name = "DIR", conflicts_with_all = ["from", "dry_run"])]
    to: Option<PathBuf>,
    /// Publish the report that --to wrote into this folder; the folder names no pull request, so give its number, or --head and --commit
    #[arg(long, value_name = "DIR", conflicts_with_all = ["base", "dry_run"])]
    from: Option<PathBuf>,
    /// Publish nothing: print the report as Markdown
    #[arg(long)]
    dry_run: bool,
    /// Where everything is that does not fit, such as the page of a workflow's artifact
    #[arg(long, value_name = "URL", conflicts_with = "from")]
    everything: Option<String>,
    /// After the merge: the environment whose MLflow is asked, if the pull request has to do with several [default: that of the loop on this
    /// machine]
    #[arg(long, alias = "env", value_name = "ENV", conflicts_with_all = ["head", "base", "from"])]
    environment: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    running: LoopArgs,
    #[command(flatten)]
    kustomize: KustomizeArgs,
}

/// A pull request as it is now.
struct Found {
    opened: Opened,
    /// Of one that is merged, the newest of all: its promotion may be among them.
    newest: Vec<Opened>,
    /// What speaks against its merge.
    objections: Objections,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reported {
    /// `None` without a pull request.
    number: Option<u64>,
    /// The commit that the report is about; `None` if nothing was done.
    head: Option<String>,
    /// What the check says; `None` if nothing was done, and after the merge.
    conclusion: Option<Conclusion>,
    /// One line.
    summary: String,
    /// Whether anything had to be written.
    changed: bool,
    /// What came of the check; `None` if nothing was published.
    check: Option<CheckOutcome>,
    /// The comment for a person; `None` if nothing was published.
    url: Option<String>,
}

impl Found {
    async fn get(remote: &Remote, number: u64) -> Result<Self, Failure> {
        let (opened, objections) = remote.forge.overview(number, CHECK).await?;
        let newest = match opened.state {
            PullRequestState::Merged => remote.forge.newest().await?,
            PullRequestState::Open | PullRequestState::Closed => Vec::new(),
        };
        Ok(Self { opened, newest, objections })
    }
}

impl Report {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let git = Repository::project(&context.root)?;
        let running = self.running.find(context)?.map(|(_, state)| state);
        let kustomize = self.kustomize.find()?;
        let mut sources = sources(&git, kustomize.as_ref(), running.as_ref());
        sources.everything = self.everything.as_deref();
        let environment = self.environment.as_deref();
        if let (Some(base), Some(head)) = (&self.base, &self.head_commit) {
            let (document, head) = sources.of_revisions(base, head).await?;
            return self.unpublished(context, None, &document, pack(&document, &head));
        }
        let remote = self.remote.find(&git, running.as_ref())?;
        let Some(found) = self.pull_request(&remote).await? else {
            if let Some(folder) = &self.to {
                artifact::write_none(folder, MOVED)?;
            }
            return nothing(context, MOVED);
        };
        let opened = &found.opened;
        if let Some(folder) = &self.from {
            let Some(packed) = artifact::read(folder)? else {
                return nothing(context, "there was nothing to report on, so nothing is done");
            };
            if packed.head != opened.head {
                let (about, number, head) = (&packed.head, opened.number, &opened.head);
                let why = format!("the report is about {about}, and #{number} is at {head} now, so nothing is done");
                return nothing(context, &why);
            }
            if packed.subject == Subject::Plan && opened.state == PullRequestState::Merged {
                let why = format!("the report is a plan, and #{} is merged already, so nothing is done", opened.number);
                return nothing(context, &why);
            }
            let published = remote.forge.publish_on(opened.clone(), async |_: &Opened, previous: Option<&str>| {
                Ok::<_, Failure>(packed.clone().publication(previous))
            });
            return done(context, &packed, &published.await?);
        }
        if self.to.is_some() || self.dry_run {
            sources.objections = Some(&found.objections);
            let report = report(&sources, running.as_ref(), environment, (&remote, opened, &found.newest)).await?;
            return self.unpublished(context, Some(opened.number), &report.document, report.packed);
        }
        let packed = RefCell::new(None);
        let published = remote.forge.publish_on(opened.clone(), async |opened: &Opened, previous: Option<&str>| {
            // it may have been pushed or merged meanwhile
            let is_known = opened.head == found.opened.head && opened.state == found.opened.state;
            let again = if is_known { None } else { Some(Found::get(&remote, opened.number).await?) };
            let Found { newest, objections, .. } = again.as_ref().unwrap_or(&found);
            let sources = Sources { objections: Some(objections), ..sources.clone() };
            let report = report(&sources, running.as_ref(), environment, (&remote, opened, newest)).await?;
            if !report.undecided.is_empty() {
                return Err(undecided(opened.number, &report.undecided));
            }
            let publication = report.publication(previous);
            packed.replace(Some(report.packed));
            Ok::<_, Failure>(publication)
        });
        let published = published.await?;
        done(
            context,
            &packed.into_inner().ok_or_else(|| Failure::Unexpected("nothing was published".to_owned()))?,
            &published,
        )
    }

    /// The pull request that is meant. `None` if it is named by a branch that has moved, or that has no open one any more.
    async fn pull_request(&self, remote: &Remote) -> Result<Option<Found>, Failure> {
        let number = match (self.number, &self.head, &self.commit) {
            (Some(number), ..) => number,
            (None, Some(head), Some(commit)) => {
                let Some(opened) = of_head(&remote.forge, head, commit).await? else { return Ok(None) };
                if self.from.is_some() {
                    // what speaks against the merge is in the report already
                    return Ok(Some(Found { opened, newest: Vec::new(), objections: Objections::default() }));
                }
                opened.number
            }
            _ if self.from.is_some() => {
                return Err(Failure::Input(
                    "--from publishes on the pull request that you name: `slipway report 7 --from <folder>`, or as a workflow does, with \
                     `--head <owner>:<branch> --commit <commit>` in place of the number"
                        .to_owned(),
                ));
            }
            _ => {
                return Err(Failure::Input(
                    "name a pull request, such as `slipway report 7`: `slipway status` lists the open ones".to_owned(),
                ));
            }
        };
        let found = Found::get(remote, number).await?;
        let is_meant = |commit: &String| *commit == found.opened.head && found.opened.is_open();
        Ok(self.commit.as_ref().is_none_or(is_meant).then_some(found))
    }

    /// Prints a report, or writes it into a folder.
    fn unpublished(
        &self,
        context: &Context,
        number: Option<u64>,
        document: &Document,
        packed: Packed,
    ) -> Result<(), Failure> {
        if let Some(folder) = &self.to {
            artifact::write(folder, document, &packed)?;
            context.say(&packed.summary);
        } else {
            for part in packed.clone().publication(None).parts {
                context.say(slipway_markdown::visible(&part));
            }
        }
        let conclusion = packed.check.as_ref().map(|check| check.conclusion);
        context.json(&Reported {
            number,
            head: Some(packed.head),
            conclusion,
            summary: packed.summary,
            ..Reported::default()
        })
    }
}

fn done(context: &Context, packed: &Packed, published: &Published) -> Result<(), Failure> {
    let number = published.pull_request.number;
    context.say(&packed.summary);
    let what = if published.changed { "wrote the report on" } else { "the report is up to date on" };
    let url = published.url.clone().unwrap_or_default();
    context.say(format!("{what} pull request #{number}: {url}"));
    if let CheckOutcome::NotAllowed(reason) = &published.check {
        context.warn(format!("no check was written: {reason}"));
    }
    context.json(&Reported {
        number: Some(number),
        head: Some(packed.head.clone()),
        conclusion: packed.check.as_ref().map(|check| check.conclusion),
        summary: packed.summary.clone(),
        changed: published.changed,
        check: Some(published.check.clone()),
        url: published.url.clone(),
    })
}

/// Why a comment that environments share is not written: each has an MLflow of its own, and what the others say must stay.
fn undecided(number: u64, environments: &BTreeSet<String>) -> Failure {
    let names = environments.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    Failure::Input(format!(
        "#{number} has to do with several environments: say with --environment of which one your MLflow is ({names}); what the comment says of \
         the others stays"
    ))
}

/// Says why nothing was done, which is not a failure: a newer run does it.
fn nothing(context: &Context, why: &str) -> Result<(), Failure> {
    context.say(why);
    context.json(&Reported { summary: why.to_owned(), ..Reported::default() })
}
