//! What is published on a pull request of a bare repository.

use std::sync::atomic::{AtomicUsize, Ordering};

use slipway_forge::{
    CheckOutcome, CheckRun, Conclusion, Error, Forge, MergeMethod, Opened, Publication, Published, forge_of,
};

use crate::{change, git, propose, repositories};

fn publication(head: &str, text: &str) -> Publication {
    let [name, title, summary] = ["slipway", "plan", "all of it"].map(str::to_owned);
    let check = CheckRun { name, conclusion: Conclusion::Neutral, title, summary, annotations: Vec::new() };
    Publication { head: head.to_owned(), parts: vec![text.to_owned(), "more".to_owned()], check: Some(check) }
}

async fn publish(forge: &Forge, number: u64, text: &str) -> Result<Published, Error> {
    forge.publish(number, async |opened: &Opened, _: Option<&str>| Ok(publication(&opened.head, text))).await
}

#[tokio::test]
async fn a_report_is_written_once_and_replaced() {
    let (folder, repository, bare, head) = repositories();
    let forge = Forge::Bare(bare.clone());
    let number = propose(&folder, &repository, &bare, &head, ("x.txt", "x"), "slipway/x");
    assert_eq!(bare.published(number).unwrap(), None);
    let published = publish(&forge, number, "one").await.unwrap();
    assert_eq!((published.changed, published.check), (true, CheckOutcome::Written));
    assert!(published.url.unwrap().ends_with("forge.git (refs/slipway/report/1)"));
    let published = publish(&forge, number, "one").await.unwrap();
    assert_eq!((published.changed, published.check), (false, CheckOutcome::Unchanged));
    // the closure sees what is there
    let next = forge.publish(number, async |opened: &Opened, first: Option<&str>| {
        Ok::<_, Error>(publication(&opened.head, &format!("{} two", first.unwrap())))
    });
    assert!(next.await.unwrap().changed);
    assert_eq!(bare.published(number).unwrap().unwrap().parts, ["one two", "more"]);
    let blob = git(bare.path(), &["cat-file", "-p", "refs/slipway/report/1"]);
    assert!(blob.contains("\"conclusion\": \"neutral\""), "{blob}");
    // after the merge too: results
    let head = forge.get(number).await.unwrap().head;
    forge.merge(number, MergeMethod::Squash, &head).await.unwrap();
    assert!(publish(&forge, number, "results").await.unwrap().changed);
    assert!(matches!(publish(&forge, 9, "x").await, Err(Error::NoPullRequest(9))));
}

#[tokio::test]
async fn a_check_is_green_if_it_passed_for_the_newest_commit() {
    let (folder, repository, bare, head) = repositories();
    let forge = Forge::Bare(bare.clone());
    let number = propose(&folder, &repository, &bare, &head, ("x.txt", "x"), "slipway/x");
    let is_green = async |check: &str| forge.is_green(&forge.get(number).await.unwrap(), check).await.unwrap();
    assert!(!is_green("slipway").await, "there is none");
    publish(&forge, number, "one").await.unwrap();
    assert!(!is_green("slipway").await, "it is neutral");
    let green = forge.publish(number, async |opened: &Opened, _: Option<&str>| {
        let mut green = publication(&opened.head, "one");
        green.check.as_mut().unwrap().conclusion = Conclusion::Success;
        Ok::<_, Error>(green)
    });
    green.await.unwrap();
    assert!(is_green("slipway").await && !is_green("other").await);
    let mut moved = forge.get(number).await.unwrap();
    moved.head = "1".repeat(40);
    assert!(!forge.is_green(&moved, "slipway").await.unwrap(), "it is about another commit");
}

#[tokio::test]
async fn a_push_meanwhile_begins_again_and_an_older_report_is_refused() {
    let (folder, repository, bare, head) = repositories();
    let forge = Forge::Bare(bare.clone());
    let number = propose(&folder, &repository, &bare, &head, ("x.txt", "x"), "slipway/x");
    let older = forge.get(number).await.unwrap().head;
    let calls = AtomicUsize::new(0);
    let moved = async |opened: &Opened, _: Option<&str>| {
        if calls.fetch_add(1, Ordering::Relaxed) == 0 {
            let commit = repository.commit(Some(&opened.head), &change("y.txt", "y"), "more").unwrap();
            repository.push(&bare.path().display().to_string(), &commit, &opened.branch).unwrap();
        }
        Ok::<_, Error>(publication(&opened.head, "plan"))
    };
    let published = forge.publish(number, moved).await.unwrap();
    assert_eq!(calls.into_inner(), 2);
    assert_ne!(published.pull_request.head, older);
    let stale = forge.publish(number, async |_: &Opened, _: Option<&str>| Ok(publication(&older, "old"))).await;
    assert!(matches!(stale, Err(Error::Outdated { number: 1, .. })), "{stale:?}");
    assert_eq!(bare.published(number).unwrap().unwrap().parts[0], "plan");
}

#[test]
fn many_at_once_leave_one_whole_report() {
    let (folder, repository, bare, head) = repositories();
    let number = propose(&folder, &repository, &bare, &head, ("x.txt", "x"), "slipway/x");
    let forge = Forge::Bare(bare.clone());
    std::thread::scope(|scope| {
        for writer in 0..6 {
            let forge = &forge;
            scope.spawn(move || {
                let add = async |opened: &Opened, first: Option<&str>| {
                    Ok::<_, Error>(publication(&opened.head, &format!("{}{writer}", first.unwrap_or_default())))
                };
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                assert!(runtime.block_on(forge.publish(number, add)).unwrap().changed);
            });
        }
    });
    // each saw what was there before it
    let mut written: Vec<char> = bare.published(number).unwrap().unwrap().parts[0].chars().collect();
    written.sort_unstable();
    assert_eq!(written, ['0', '1', '2', '3', '4', '5']);
}

#[tokio::test]
async fn open_ones_are_listed_and_found_by_branch_and_commit() {
    let (folder, repository, bare, head) = repositories();
    for branch in ["slipway/x", "slipway/y", "slipway/z"] {
        propose(&folder, &repository, &bare, &head, (&branch.replace('/', "-"), "x"), branch);
    }
    let forge = forge_of(&bare.path().display().to_string()).unwrap();
    forge.close(2).await.unwrap();
    let open: Vec<u64> = forge.list_open().await.unwrap().iter().map(|one| one.number).collect();
    assert_eq!(open, [1, 3]);
    let third = forge.get(3).await.unwrap();
    assert_eq!((third.base.as_str(), third.body.as_str(), third.is_fork), ("main", "why", false));
    assert_eq!(forge.find("octo", "slipway/z", &third.head).await.unwrap(), Some(third.clone()));
    assert_eq!(forge.find("octo", "slipway/z", &head).await.unwrap(), None);
    let closed = forge.get(2).await.unwrap();
    assert_eq!(forge.find("octo", "slipway/y", &closed.head).await.unwrap(), None);
}
