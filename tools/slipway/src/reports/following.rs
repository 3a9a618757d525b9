//! Keeping the reports in the loop on this machine up to date, as workflows do on GitHub.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use slipway_embedded::{JobStatus, State};
use slipway_forge::{Opened, PullRequestState};
use slipway_git::Repository;
use slipway_proposal::Remote;
use slipway_report::pack;

use super::sources;
use crate::context::Context;
use crate::failure::Failure;
use crate::renderers::KustomizeArgs;

/// How often the forge and the jobs are looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// The most pull requests that are kept up to date: the newest ones.
const NEWEST: usize = 20;

/// Keeps the reports up to date for ever. What goes wrong is a warning, once as long as it is the same.
pub(crate) async fn follow(context: &Context, state: &State, folder: &Path) -> Infallible {
    let (mut seen, mut warned) = (BTreeMap::new(), String::new());
    loop {
        tokio::time::sleep(INTERVAL).await;
        match step(context, state, folder, &mut seen).await {
            Ok(()) => warned.clear(),
            Err(failure) => {
                let text = failure.to_string();
                if text != warned {
                    context.warn(format!("the reports of pull requests are not up to date: {text}"));
                    warned = text;
                }
            }
        }
    }
}

/// Reports on the pull requests of which something has changed since `seen`.
async fn step(
    context: &Context,
    state: &State,
    folder: &Path,
    seen: &mut BTreeMap<u64, String>,
) -> Result<(), Failure> {
    let git = Repository::project(&context.root)?;
    let remote = Remote::at(&state.forge)?;
    let newest = remote.forge.newest().await?;
    let main = Repository::open(&state.forge)?.reference("refs/heads/main")?.unwrap_or_default();
    let phases = phases(&folder.join("jobs"))?;
    let kustomize = KustomizeArgs::default().find()?;
    let mut failed = Ok(());
    for opened in newest.iter().take(NEWEST) {
        let facts = match opened.state {
            PullRequestState::Closed => continue,
            PullRequestState::Open => format!("{} {main}", opened.head),
            PullRequestState::Merged => format!("{} {main} {phases}", opened.head),
        };
        if seen.get(&opened.number) == Some(&facts) {
            continue;
        }
        let sources = sources(&git, kustomize.as_ref(), Some(state));
        let publication = async |opened: &Opened, previous: Option<&str>| {
            let packed = pack(&sources.document(&remote, opened, &newest).await?, &opened.head);
            Ok::<_, Failure>(packed.publication(previous))
        };
        // one that cannot be reported on does not keep the others from it
        match remote.forge.publish_on(opened.clone(), publication).await {
            Ok(_) => drop(seen.insert(opened.number, facts)),
            Err(failure) => failed = Err(failure.during(&format!("#{}", opened.number))),
        }
    }
    failed
}

/// The phase of each job in the state folder.
fn phases(jobs: &Path) -> Result<String, Failure> {
    let mut phases = BTreeMap::new();
    for entry in std::fs::read_dir(jobs).into_iter().flatten().flatten() {
        if let Some(status) = JobStatus::read(&entry.path())? {
            phases.insert(entry.file_name(), status.phase);
        }
    }
    let mut text = String::new();
    for (name, phase) in phases {
        let _ = write!(text, "{}={phase:?} ", name.display());
    }
    Ok(text)
}
