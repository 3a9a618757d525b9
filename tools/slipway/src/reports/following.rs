//! Keeping the plans on open pull requests up to date in the loop on this machine, as workflows do on GitHub. Once one is merged, the report
//! on it is the training manager's.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use slipway_embedded::State;
use slipway_forge::Opened;
use slipway_git::Repository;
use slipway_proposal::Remote;

use super::{report, sources};
use crate::context::Context;
use crate::failure::Failure;
use crate::renderers::KustomizeArgs;

/// How often the forge is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// The most pull requests that are kept up to date: the newest ones.
const NEWEST: usize = 20;

/// Why a plan is not written.
enum Unwritten {
    /// The pull request is no longer open.
    Over,
    Failed(Failure),
}

impl From<slipway_forge::Error> for Unwritten {
    fn from(error: slipway_forge::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Keeps the plans up to date for ever. What goes wrong is a warning, once as long as it is the same.
pub(crate) async fn follow(context: &Context, state: &State) -> Infallible {
    let (mut seen, mut warned) = (BTreeMap::new(), String::new());
    loop {
        tokio::time::sleep(INTERVAL).await;
        match step(context, state, &mut seen).await {
            Ok(()) => warned.clear(),
            Err(failure) => {
                let text = failure.to_string();
                if text != warned {
                    context.warn(format!("the plans of pull requests are not up to date: {text}"));
                    warned = text;
                }
            }
        }
    }
}

/// Reports on the open pull requests of which something has changed since `seen`.
async fn step(context: &Context, state: &State, seen: &mut BTreeMap<u64, String>) -> Result<(), Failure> {
    let git = Repository::project(&context.root)?;
    let remote = Remote::at(&state.forge)?;
    let newest = remote.forge.newest().await?;
    let main = Repository::open(&state.forge)?.reference("refs/heads/main")?.unwrap_or_default();
    let kustomize = KustomizeArgs::default().find()?;
    let mut failed = Ok(());
    for opened in newest.iter().filter(|opened| opened.is_open()).take(NEWEST) {
        let facts = format!("{} {main}", opened.head);
        if seen.get(&opened.number) == Some(&facts) {
            continue;
        }
        let sources = sources(&git, kustomize.as_ref(), Some(state));
        let publication = async |opened: &Opened, previous: Option<&str>| {
            // it may have been merged in between, and then somebody else has its comment
            if !opened.is_open() {
                return Err(Unwritten::Over);
            }
            let report = report(&sources, Some(state), None, (&remote, opened, &newest)).await;
            Ok(report.map_err(Unwritten::Failed)?.publication(previous))
        };
        // one that cannot be reported on does not keep the others from it
        match remote.forge.publish_on(opened.clone(), publication).await {
            Ok(_) | Err(Unwritten::Over) => drop(seen.insert(opened.number, facts)),
            Err(Unwritten::Failed(failure)) => failed = Err(failure.during(&format!("#{}", opened.number))),
        }
    }
    failed
}

#[cfg(test)]
mod tests {
    use slipway_forge::{BareForge, Error, Publication, PullRequest};
    use slipway_repositories::Repositories;

    use super::*;
    use crate::context::Output;

    #[tokio::test]
    async fn open_pull_requests_have_plans_and_merged_ones_are_left_alone() {
        let Repositories { folder, work, bare, head } = Repositories::new();
        let (git, forge) = (Repository::open(&work).unwrap(), BareForge::open(&bare).unwrap());
        let [merged, open] = ["one", "two"].map(|branch| {
            let files = [(format!("{branch}.txt"), Some(b"x".to_vec()))].into();
            let commit = git.commit(Some(&head), &files, branch).unwrap();
            git.push(&bare.display().to_string(), &commit, branch).unwrap();
            let (branch, base) = (branch.to_owned(), "main".to_owned());
            forge.open_pull_request(&PullRequest { branch, base, ..PullRequest::default() }).unwrap()
        });
        let nobody = || "http://127.0.0.1:9".to_owned();
        let state = State {
            pid: std::process::id(),
            s3: nobody(),
            mlflow: nobody(),
            server: nobody(),
            manager: nobody(),
            monitor: nobody(),
            page: nobody(),
            kubeconfig: folder.path().join("kubeconfig"),
            forge: bare.clone(),
        };
        let context = Context { root: work, output: Output::Text };
        let mut seen = BTreeMap::new();
        let written = |number| forge.published(number).unwrap().map(|published| published.parts.concat());
        step(&context, &state, &mut seen).await.unwrap();
        let plan = written(open.number);
        assert!(plan.is_some() && written(merged.number).is_some());

        // what the training manager writes after the merge
        forge.merge(merged.number).unwrap();
        let results = Publication { head: merged.head.clone(), parts: vec!["it runs".to_owned()], check: None };
        let remote = Remote::at(&bare).unwrap();
        remote.forge.publish_on(merged.clone(), async |_, _| Ok::<_, Error>(results.clone())).await.unwrap();
        step(&context, &state, &mut seen).await.unwrap();
        assert_eq!(written(merged.number).unwrap(), "it runs");
        assert!(seen[&open.number].ends_with(&git.fetch(&bare.display().to_string(), "main").unwrap()), "{seen:?}");
    }
}
