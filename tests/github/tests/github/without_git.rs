//! A service in a cluster: it has no git, fetches over HTTP and commits by GitHub's API.

use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};
use slipway_forge::PullRequestState;
use slipway_git::Repository;
use slipway_github_tests::GitHub;
use slipway_github_tests::accounts::{ANN, BOB, REPOSITORY};
use slipway_project::Tree;
use slipway_proposal::{Cancellation, ExperimentProposal, Opening, Remote, Rendered, Reversion};

use crate::origin::origin;
use crate::people::Clone;

/// The most that GitHub is asked by an order that has nothing left to do.
const MOST_ASKED: usize = 3;
const JOBS: &str = "overlays/local/training-jobs/";
const NAME: &str = "without_git::a_service_without_git_proposes_renders_cancels_and_reverts";
/// What the service is to do, in a process without any program to run.
const ORDER: &str = "SLIPWAY_TEST_ORDER";
const ADDRESS: &str = "SLIPWAY_TEST_ADDRESS";
const CACHE: &str = "SLIPWAY_TEST_CACHE";

/// The service's part.
async fn serve(order: &str) -> Value {
    let variable = |name: &str| std::env::var(name).unwrap();
    assert!(Command::new("git").arg("version").output().is_err(), "there is a git");
    let remote = Remote::without_git(&variable(ADDRESS)).unwrap();
    let git = Repository::open_cache(Path::new(&variable(CACHE))).unwrap();
    let bob = remote.acting_as(BOB.token).unwrap();
    let (verb, rest) = order.split_once(' ').unwrap();
    let opened = match verb {
        "propose" => {
            let base = remote.fetch(&git, "main").await.unwrap();
            let mut here = Tree::at(&git, &base).unwrap();
            let text = here.text("experiments/mnist-mlp.yaml").unwrap();
            let text = text.replace("name: mnist-mlp", "name: small").replace("epochs: 10", rest);
            here.insert("experiments/small.yaml", text.into_bytes());
            let files = ["experiments/small.yaml".to_owned()];
            let proposal = ExperimentProposal::prepare(&git, &remote, &here, &files).await.unwrap();
            proposal.open(&git, &bob, None, Opening::default()).await.unwrap()
        }
        "cancel" => {
            let cancellation = Cancellation::prepare(&git, &remote, &[rest.to_owned()], None).await.unwrap();
            cancellation.open(&git, &bob, None, Opening::default()).await.unwrap()
        }
        "revert" => {
            let reversion = Reversion::prepare(&git, &remote, rest.parse().unwrap()).await.unwrap();
            reversion.open(&git, &remote, None, Opening::default()).await.unwrap()
        }
        "render" => {
            let opened = remote.forge.get(rest.parse().unwrap()).await.unwrap();
            let rendered = Rendered::prepare(&git, &remote, &opened).await.unwrap();
            let merges = rendered.merges_base;
            let made = if rendered.is_empty() { None } else { Some(rendered.push(&git, &remote).await.unwrap()) };
            return json!({ "made": made, "merges": merges });
        }
        other => panic!("{other}"),
    };
    assert_eq!(opened.state, PullRequestState::Open);
    json!({ "number": opened.number, "branch": opened.branch, "head": opened.head })
}

struct Service<'a> {
    github: &'a GitHub,
    folder: &'a Path,
}

impl Service<'_> {
    /// Gives the service an order, with a cache of this name.
    fn does(&self, order: &str, cache: &str) -> Value {
        let nothing = self.folder.join("nothing");
        std::fs::create_dir_all(&nothing).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["GIT_", "GH_", "GITHUB_"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(&*name);
            }
        }
        command
            .args(["--exact", NAME, "--nocapture"])
            .env("PATH", &nothing)
            .env("HOME", &nothing)
            .env("GITHUB_SERVER_URL", &self.github.server)
            .env("GITHUB_API_URL", &self.github.api)
            .env("GITHUB_TOKEN", ANN.token)
            .env(ADDRESS, format!("{}/{REPOSITORY}", self.github.server))
            .env(CACHE, self.folder.join(cache))
            .env(ORDER, order);
        let done = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let said = text.lines().find_map(|line| serde_json::from_str(line.strip_prefix("said: ")?).ok());
        let error = String::from_utf8_lossy(&done.stderr);
        assert!(!error.contains(ANN.token) && !error.contains(BOB.token) && !text.contains(BOB.token));
        said.unwrap_or_else(|| panic!("{order}: {text}{error}"))
    }

    /// The same, with a new cache each time, and a second time, which changes nothing.
    async fn does_twice(&self, order: &str) -> Value {
        let cache = order.replace(' ', "-");
        let said = self.does(order, &cache);
        self.github.asked().await;
        self.github.pushes().await;
        for cache in [cache.clone(), format!("{cache}-again")] {
            assert_eq!(self.does(order, &cache), said);
            let asked = self.github.asked().await;
            assert!(asked.len() <= MOST_ASKED, "{order} asked {asked:#?}");
            assert!(asked.iter().all(|asked| asked.starts_with("GET ")), "{order} changed something: {asked:#?}");
            assert!(self.github.pushes().await.is_empty());
        }
        said
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_git_proposes_renders_cancels_and_reverts() {
    if let Ok(order) = std::env::var(ORDER) {
        println!("\nsaid: {}", serve(&order).await);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    origin(&project);
    let github = GitHub::start(&project).await.unwrap();
    let (service, bare) = (Service { github: &github, folder: folder.path() }, github.bare(REPOSITORY));
    let ann = Clone::of(&github, ANN);

    // proposed as bob, once, however often and with whatever is cached
    let first = service.does_twice("propose epochs: 1").await;
    let (number, branch) = (first["number"].as_u64().unwrap(), first["branch"].as_str().unwrap());
    let pull = github.get(&format!("/pulls/{number}")).await.unwrap();
    assert_eq!(pull["user"]["login"], BOB.login);
    assert_eq!(pull["head"]["sha"], first["head"]);
    let head = first["head"].as_str().unwrap();
    let author = bare.git(&["show", "--no-patch", "--format=%an", head]).await.unwrap();
    assert_eq!(author, BOB.login);
    // the same change as a person's command line makes
    let text = ann.read("experiments/mnist-mlp.yaml");
    ann.write(
        "experiments/small.yaml",
        &text.replace("name: mnist-mlp", "name: small").replace("epochs: 10", "epochs: 1"),
    );
    assert_eq!(ann.opens(&["propose", "experiments/small.yaml"]), number);
    ann.git(&["clean", "--quiet", "--force"]);

    // closed: the branch that is there is taken as it is
    ask(&github, Method::PATCH, &format!("/pulls/{number}"), json!({ "state": "closed" })).await;
    let again = service.does_twice("propose epochs: 1").await;
    assert_ne!(again["number"], first["number"]);
    assert_eq!((&again["branch"], &again["head"]), (&first["branch"], &first["head"]));
    // closed, and somebody added to it: another branch
    let number = again["number"].as_u64().unwrap();
    ask(&github, Method::PATCH, &format!("/pulls/{number}"), json!({ "state": "closed" })).await;
    ann.git(&["fetch", "--quiet", "origin"]);
    ann.git(&["switch", "--quiet", "--discard-changes", branch]);
    ann.git(&["commit", "--quiet", "--allow-empty", "-m", "more"]);
    ann.git(&["push", "--quiet", "origin", branch]);
    let third = service.does_twice("propose epochs: 1").await;
    assert_eq!(third["branch"], format!("{branch}-2"));
    let number = third["number"].as_u64().unwrap();
    ann.text(&["merge", &number.to_string(), "--method", "squash"]);
    let jobs = async || bare.git(&["ls-tree", "--name-only", "main", JOBS]).await.unwrap();
    assert!(jobs().await.contains("small-"));

    // what a person's pull request lacks is rendered
    let changes = async |from: &str, to: &str, branch: &str| {
        ann.git(&["fetch", "--quiet", "origin"]);
        ann.git(&["switch", "--quiet", "--discard-changes", "--force-create", branch, "origin/main"]);
        let text = ann.read("experiments/small.yaml");
        ann.write("experiments/small.yaml", &text.replace(from, to));
        ann.git(&["commit", "--quiet", "--all", "-m", "Change it by hand"]);
        ann.git(&["push", "--quiet", "origin", branch]);
        let body = json!({ "title": branch, "head": branch, "base": "main", "body": "" });
        ask(&github, Method::POST, "/pulls", body).await["number"].as_u64().unwrap()
    };
    let renders = async |number: u64| {
        let said = service.does(&format!("render {number}"), "render");
        assert_eq!(service.does(&format!("render {number}"), "render")["made"], Value::Null);
        (said["made"].as_str().unwrap().to_owned(), said["merges"] == true)
    };
    let opened = changes("epochs: 1", "epochs: 2", "by-hand").await;
    let (made, merges) = renders(opened).await;
    assert_eq!((bare.commit("by-hand").await, merges), (Some(made), false));
    // and also if the base has other jobs of the same experiment by now, which are merged into it
    let other = changes("deadline: 30m", "deadline: 40m", "meanwhile").await;
    renders(other).await;
    ann.text(&["merge", &other.to_string(), "--method", "merge"]);
    let (made, merges) = renders(opened).await;
    assert_eq!((bare.commit("by-hand").await.as_ref(), merges), (Some(&made), true));
    let parents = bare.git(&["show", "--no-patch", "--format=%P", &made]).await.unwrap();
    assert_eq!(parents.split(' ').nth(1), bare.commit("main").await.as_deref());
    ann.text(&["merge", &opened.to_string(), "--method", "merge"]);

    // undone and cancelled
    let reverted = service.does_twice(&format!("revert {opened}")).await;
    let pull = github.get(&format!("/pulls/{}", reverted["number"])).await.unwrap();
    assert_eq!(pull["user"]["login"], ANN.login, "by the service itself");
    let cancelled = service.does_twice("cancel small").await;
    ann.text(&["merge", &cancelled["number"].to_string(), "--method", "rebase"]);
    assert!(!jobs().await.contains("small-"));
}

async fn ask(github: &GitHub, method: Method, path: &str, body: Value) -> Value {
    let path = format!("/repos/{REPOSITORY}{path}");
    let (status, json) = github.ask(method, &path, ANN.token, Some(&body)).await.unwrap();
    assert!(status.is_success(), "{path}: {status} {json}");
    json
}
