//! Random schedules: whatever goes wrong meanwhile, once it is over and the commands are run again, there is one pull request with one
//! report of its newest commit, also if a workflow and an App or a person write it, and nobody else's comment or commit was touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::super::apps::KEY;
use super::Model;
use super::faults::{CLOSED, Fault};
use super::git::{BASE, DELETED, Git, MOVED, REFUSED};
use super::routes::{AHEAD, BEHIND};
use super::state::{APP, BOT, PERSON, State};
use crate::{
    Annotation, Change, CheckRun, Conclusion, Credentials, Error, Forge, GitHub, Level, MergeMethod, NewCommit,
    NewFile, Opened, Publication, Published, PullRequest,
};

const SCHEDULES: u64 = 10_000;

/// What ends a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Merge,
    Close,
}

/// The branch of the proposal; further ones have a number behind it.
const BRANCH: &str = "slipway/a";

/// What happens in some schedules, and must, or they would show nothing.
const HAPPENINGS: [&str; 19] = [
    Fault::Unauthorized.kind(),
    Fault::Exhausted(0).kind(),
    Fault::Secondary(None).kind(),
    Fault::Refused(403).kind(),
    Fault::Refused(404).kind(),
    Fault::Refused(409).kind(),
    Fault::Refused(422).kind(),
    Fault::Down { status: 500, after: false }.kind(),
    Fault::Down { status: 500, after: true }.kind(),
    Fault::Cut { after: false }.kind(),
    Fault::Cut { after: true }.kind(),
    CLOSED,
    DELETED,
    MOVED,
    REFUSED,
    AHEAD,
    BEHIND,
    KILLED,
    SECOND,
];
const KILLED: &str = "a command is killed";
const SECOND: &str = "a second branch is needed";

/// In how many schedules something happened.
type Seen = BTreeMap<&'static str, usize>;

#[test]
fn after_ten_thousand_schedules_of_faults_there_is_one_report() {
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let seen = std::thread::scope(|scope| {
        let run = |worker| move || sum((worker..SCHEDULES).step_by(workers as usize).map(schedule));
        let threads: Vec<_> = (0..workers).map(|worker| scope.spawn(run(worker))).collect();
        sum(threads.into_iter().map(|thread| thread.join().expect("each schedule ends well")))
    });
    assert_eq!(seen.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from(HAPPENINGS));
    assert!(seen.values().all(|schedules| *schedules > 20), "{seen:#?}");
}

fn sum(all: impl Iterator<Item = Seen>) -> Seen {
    let mut sum = Seen::new();
    for (what, schedules) in all.flatten() {
        *sum.entry(what).or_default() += schedules;
    }
    sum
}

/// Runs the schedule of a seed. One that fails is printed whole, and happens in the same way each time.
fn schedule(seed: u64) -> Seen {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let model = Model(Arc::new(Mutex::new(begin(seed))));
        let end = timeout(Duration::from_secs(100_000_000), run(&model)).await;
        let reason = match end {
            Ok(Ok(())) => return seen(&model.state()),
            Ok(Err(reason)) => reason,
            Err(_) => "it does not end".to_owned(),
        };
        panic!("schedule({seed}): {reason}\n{}", model.state().log.join("\n"));
    })
}

fn seen(state: &State) -> Seen {
    let is_second = state.pulls.iter().any(|pull| pull.branch != BRANCH);
    let happened = state.happened.iter().copied().chain(is_second.then_some(SECOND));
    happened.map(|what| (what, 1)).collect()
}

fn begin(seed: u64) -> State {
    let mut random = fastrand::Rng::with_seed(seed);
    let login = match random.u32(0..8) {
        0 => APP,
        1 | 2 => PERSON,
        _ => BOT,
    };
    let mut logins = vec![login];
    if random.u32(0..3) == 0 {
        // the workflow is the one whose comment others go on with
        let other = if login == BOT { [APP, PERSON][random.usize(0..2)] } else { BOT };
        logins.push(if random.bool() { login } else { other });
    }
    State {
        faults: [0.0, 0.05, 0.2, 0.5][random.usize(0..4)],
        happenings: [0.0, 0.02, 0.1][random.usize(0..3)],
        logins,
        page: [2, 100][usize::from(random.u32(0..4) > 0)],
        // signing in takes longer than all else here, so few sign in again and again
        skew: [-1, 1, 1, 0, 0, 0, 0, 0][random.usize(0..8)],
        tokens: Vec::new(),
        begun: Instant::now(),
        requests: 0,
        log: Vec::new(),
        git: Git::new(),
        pulls: Vec::new(),
        comments: Vec::new(),
        others: Vec::new(),
        made: 0,
        checks: Vec::new(),
        merges: 0,
        closed_by_hand: 0,
        happened: BTreeSet::new(),
        ids: 0,
        random,
    }
}

async fn run(model: &Model) -> Result<(), String> {
    let (attempts, end, at_once, is_calm) = {
        let mut state = model.state();
        let is_calm = state.happenings == 0.0;
        let random = &mut state.random;
        let end = if random.bool() { End::Merge } else { End::Close };
        (random.u32(1..3), end, random.bool(), is_calm)
    };
    let logins = model.state().logins.clone();
    let writers = logins.len();
    let clients: Vec<GitHub> = logins.iter().map(|login| model.client(credentials(login))).collect();

    // What goes wrong here may be an error. Some are killed in the middle.
    let troubled = async |client: &GitHub| {
        for _ in 0..attempts {
            let life = {
                let random = &mut model.state().random;
                Duration::from_millis(if random.u32(0..4) == 0 { random.u64(1..2_000) } else { 100_000_000 })
            };
            match timeout(life, command(model, client)).await {
                // whoever says that it is done has not left an older report behind
                Ok(Ok(published)) if writers == 1 => is_about(&model.state(), &published.pull_request)?,
                Ok(_) => {}
                Err(_) => {
                    let mut state = model.state();
                    state.happened.insert(KILLED);
                    state.log.push("killed".to_owned());
                }
            }
        }
        Ok::<_, String>(())
    };
    match clients.as_slice() {
        [one] => troubled(one).await?,
        [one, other, ..] => drop(tokio::join!(troubled(one), troubled(other))),
        [] => {}
    }

    {
        let mut state = model.state();
        (state.faults, state.happenings) = (0.0, 0.0);
        state.log.push("it is over, and the commands are run again".to_owned());
    }
    let again = async |client: &GitHub| command(model, client).await.map_err(|error| error.to_string());
    match clients.as_slice() {
        [one, other, ..] if at_once => {
            let (one, other) = tokio::join!(again(one), again(other));
            one.and(other).map(drop)?;
        }
        clients => {
            for client in clients {
                again(client).await?;
            }
        }
    }
    // a workflow's first comment may have come after another's, which that one removes
    for (client, _) in clients.iter().zip(&logins).filter(|(_, login)| **login != BOT) {
        again(client).await?;
    }
    holds(&model.state(), writers)?;
    if is_calm && writers == 1 {
        // each comment was made once, so that nobody is told of it twice
        let state = model.state();
        let parts = state.report(state.pulls[0].number).len();
        check(state.made == parts, &format!("{} comments were made for {parts} parts", state.made))?;
    }

    // Nothing is left to do: few requests, and nothing written.
    for client in &clients {
        let opened = few(model, propose(model, client)).await?;
        let published = few(model, publish(client, opened.number)).await?;
        check(!published.changed, "the second run changes something")?;
    }
    let client = &clients[0];
    let opened = few(model, propose(model, client)).await?;
    let end_of = async |method| match end {
        End::Merge => client.merge(opened.number, method, &opened.head).await,
        End::Close => client.close(opened.number).await.map(|()| String::new()),
    };
    let first = end_of(MergeMethod::Squash).await.map_err(|error| error.to_string())?;
    let second = few(model, end_of(MergeMethod::Merge)).await?;
    check(first == second, "the second merge is another")?;
    let state = model.state();
    check(state.merges == u32::from(end == End::Merge), "it is not merged once")?;
    holds(&state, writers)
}

fn credentials(login: &str) -> Credentials {
    match login {
        APP => Credentials::app(12, &KEY).unwrap(),
        PERSON => Credentials::token("ghp_hubot"),
        _ => Credentials::Runner("runner".into()),
    }
}

/// `slipway propose`, and then `slipway report`.
async fn command(model: &Model, client: &GitHub) -> Result<Published, Error> {
    let opened = propose(model, client).await?;
    publish(client, opened.number).await
}

/// A pull request of the change, by the code that opens all of `slipway-proposal`.
async fn propose(model: &Model, client: &GitHub) -> Result<Opened, Error> {
    let [base, title, body] = ["main", "Train", "plan"].map(str::to_owned);
    let [labels, reviewers] = ["training", "mona"].map(|name| vec![name.to_owned()]);
    let request = PullRequest { branch: BRANCH.to_owned(), base, title, body, draft: false, labels, reviewers };
    let is_same = |opened: &Opened| opened.branch.starts_with(BRANCH);
    let opened = Forge::GitHub(client.clone()).open_change(&Training { model, client }, request, is_same).await?;
    Ok(opened.expect("nobody has worked on all branches of this name"))
}

/// The change: one file on top of the base. Branches are read by git's own protocol, as a process with its own repository does.
struct Training<'a> {
    model: &'a Model,
    client: &'a GitHub,
}

impl Change for Training<'_> {
    type Error = Error;

    async fn is_on(&self, branch: &str) -> Result<Option<bool>, Error> {
        let pause = Duration::from_millis(self.model.state().random.u64(1..80));
        tokio::time::sleep(pause).await;
        let mut state = self.model.state();
        state.happening();
        Ok(state.git.is_ours(branch))
    }

    async fn put_on(&self, branch: &str) -> Result<bool, Error> {
        let file = NewFile::Content { mode: 0o100_644, bytes: b"a: 1\n".to_vec() };
        let (parents, changes) = ([BASE.to_owned()], BTreeMap::from([("a.yaml".to_owned(), file)]));
        let commit = NewCommit { parents: &parents, changes: &changes, message: "Train", tree: None };
        match self.client.push(&commit, branch).await {
            Ok(_) => Ok(true),
            Err(Error::BranchMoved(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

async fn publish(client: &GitHub, number: u64) -> Result<Published, Error> {
    client.publish(number, async |opened: &Opened, first: Option<&str>| Ok(report(opened, first))).await
}

/// A report of a commit, which keeps a list of the commits that were reported before.
fn report(opened: &Opened, first: Option<&str>) -> Publication {
    let head = opened.head.clone();
    let mut earlier: Vec<&str> = Vec::new();
    if let Some((before, list)) = first.and_then(|first| first.split_once('\n')) {
        earlier = list.split_whitespace().filter(|one| *one != "edited").collect();
        if before != head {
            earlier.push(before);
        }
    }
    let mut parts = vec![format!("{head}\n{}", earlier.join(" "))];
    parts.extend((1..count(&head) % 3 + 1).map(|part| format!("{head} part {part}")));
    Publication { parts, check: Some(check_of(&head)), head }
}

fn check_of(head: &str) -> CheckRun {
    let annotation = |line| {
        let [file, title, message] = ["a.yaml", "field", head].map(str::to_owned);
        Annotation { file, line, column: 1, level: Level::Notice, title, message }
    };
    let annotations = (1..=[0, 3, 60, 120][count(head) % 4]).map(annotation).collect();
    let [name, title] = ["slipway", "plan"].map(str::to_owned);
    CheckRun { name, conclusion: Conclusion::Success, title, summary: head.to_owned(), annotations }
}

/// The number of a commit, counted from the first.
fn count(head: &str) -> usize {
    usize::from_str_radix(head, 16).unwrap()
}

/// Whether all that is left of the report, which a maintainer may remove, is about the newest commit as it was when it was published.
fn is_about(state: &State, published: &Opened) -> Result<(), String> {
    let report = state.report(published.number);
    check(report.iter().all(|(marker, _)| marker.head == published.head), "it is done with an older report left behind")
}

/// What holds at the end of every schedule.
fn holds(state: &State, writers: usize) -> Result<(), String> {
    let total = state.pulls.len();
    check(total >= 1 && total <= 1 + state.closed_by_hand, &format!("there are {total} pull requests"))?;
    let pull = state.pulls.last().unwrap();
    check(pull.labels == ["training"] && pull.reviewers == ["mona"], "labels or reviewers are missing")?;

    let report = state.report(pull.number);
    let parts = count(&pull.head) % 3 + 1;
    let numbers: Vec<(usize, usize)> = report.iter().map(|(marker, _)| (marker.part, marker.parts)).collect();
    check(numbers == (1..=parts).map(|part| (part, parts)).collect::<Vec<_>>(), &format!("parts {numbers:?}"))?;
    for (marker, text) in &report {
        check(marker.head == pull.head && text.starts_with(&pull.head), "a part is about another commit")?;
        check(!text.contains("edited"), "an edited part stays")?;
    }
    check(state.git.lost().is_none(), &format!("a commit of somebody else is gone from {:?}", state.git.lost()))?;
    for other in &state.others {
        check(state.comments.contains(other), &format!("comment {} of somebody else is gone or changed", other.id))?;
    }

    let runs: Vec<_> = state.checks.iter().filter(|run| run.head == pull.head).collect();
    if state.logins.iter().all(|login| *login == PERSON) {
        return check(runs.is_empty(), "a person wrote a check");
    }
    let newest = runs.last().ok_or("there is no check")?;
    let lines: Vec<&Value> = newest.annotations.iter().map(|one| &one["start_line"]).collect();
    let wanted: Vec<Value> = (1..=check_of(&pull.head).annotations.len()).map(Value::from).collect();
    check(newest.conclusion == "success" && !newest.external_id.ends_with("unfinished"), "the check is not complete")?;
    check(lines.iter().copied().eq(&wanted), &format!("annotations {lines:?}"))?;
    // two at once may make two, which nobody can remove
    check(runs.len() == 1 || writers > 1, &format!("{} checks of one commit", runs.len()))
}

/// Runs a command once more. It may ask three things, not counting an app's signing in.
async fn few<T>(model: &Model, command: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    let (before, line) = {
        let state = model.state();
        (state.requests, state.log.len())
    };
    let done = command.await.map_err(|error| error.to_string())?;
    let state = model.state();
    let signing = state.log[line..].iter().filter(|line| line.contains("access_tokens") || line.contains("→ 401"));
    let asked = state.requests - before - signing.count();
    check(asked <= 3 || state.page < 100, &format!("{asked} requests for nothing"))?;
    Ok(done)
}

fn check(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}
