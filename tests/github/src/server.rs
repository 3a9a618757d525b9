//! The server: one port for the API and for git.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{Response, StatusCode};
use axum::serve::Listener;
use reqwest::Method;
use serde_json::Value;
use slipway_digest::Digest;
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Mutex, OnceCell};
use tokio::task::JoinHandle;

use crate::accounts::{ANN, App, FORK, REPOSITORY};
use crate::emulator::Emulator;
use crate::mirror::{self, Ids};
use crate::repository::Bare;
use crate::sigstore::Sigstore;
use crate::{front, git_http};

/// More than any request of these tests.
const MOST_BYTES: usize = 256 << 20;

/// A running GitHub. It ends with this value.
#[derive(Debug)]
pub struct GitHub {
    /// Its address on this machine.
    pub server: String,
    /// The address of its API on this machine.
    pub api: String,
    state: Arc<State>,
    tasks: Vec<JoinHandle<()>>,
    _folder: Option<TempDir>,
}

/// What every request may need.
#[derive(Debug)]
pub struct State {
    /// The address that answers name, without a slash at its end.
    pub server: String,
    /// The folder with the bare repositories.
    pub folder: PathBuf,
    /// Whether others push into the repository without asking, so that git is looked at before each answer.
    pub is_shared: bool,
    /// emulate.
    pub emulator: Emulator,
    /// What signs, once a job may.
    pub sigstore: OnceCell<Sigstore>,
    /// One request at a time: emulate and git change together.
    pub inner: Mutex<Inner>,
}

/// What changes.
#[derive(Debug, Default)]
pub struct Inner {
    /// Which commit of git is which one of emulate.
    pub ids: Ids,
    /// The tokens of jobs, with their permissions.
    pub jobs: BTreeMap<String, BTreeMap<String, String>>,
    /// The branches of each repository as emulate has them.
    pub branches: BTreeMap<String, BTreeMap<String, String>>,
    /// The merged pull requests.
    pub merged: BTreeMap<u64, Merged>,
    /// The annotations of each check run, of which emulate keeps only a part.
    pub annotations: BTreeMap<u64, Vec<Value>>,
    /// The digest of each file of a release, by its number.
    pub uploaded: BTreeMap<u64, Digest>,
    /// The variables of the repository's settings, which workflows read.
    pub variables: BTreeMap<String, String>,
    /// By how many seconds its clock is ahead of this machine's.
    pub ahead: i64,
    /// What a rule of the default branch says to everybody who merges.
    pub rule: Option<String>,
    /// How many approvals a rule of the default branch requires, and which checks.
    pub required: (usize, Vec<String>),
    /// What was asked of the API: method and path.
    pub asked: Vec<String>,
    /// The token of each request, of the API and of git, with method and path.
    pub signed: Vec<(Option<String>, String)>,
    /// The pushes: repository, branch, and whether a job's own token made it, so that no workflow runs.
    pub pushes: Vec<Push>,
}

/// A branch that a push changed.
#[derive(Clone, Debug)]
pub struct Push {
    /// Owner and name.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// Whether a job's own token made it: GitHub starts no workflow then.
    pub by_job: bool,
}

/// What a merge has brought.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The new commit of the base.
    pub commit: String,
    /// The pull request's commits, and those that the merge made.
    pub commits: Vec<String>,
}

impl GitHub {
    /// Starts it, with these commits on main, of the repository at `origin`.
    ///
    /// # Errors
    /// When git, node or the packages in SLIPWAY_EMULATE are missing.
    pub async fn start(origin: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = format!("http://{}", listener.local_addr()?);
        let state = State::new(&server, folder.path(), false).await?;
        let origin = origin.display().to_string();
        for repository in [REPOSITORY, FORK] {
            let bare = state.bare(repository);
            Bare::create(&bare.0).await?;
            bare.git(&["fetch", "--quiet", "--no-tags", &origin, "HEAD:refs/heads/main"]).await?;
            state.after_push(&mut *state.inner.lock().await, repository, false).await?;
        }
        let tasks = vec![serve(listener, &state)];
        Ok(Self { api: format!("{server}/api/v3"), server, state, tasks, _folder: Some(folder) })
    }

    /// Starts it for a repository that is there, `acme/models.git` in `folder`, into which others may push without asking. Its answers
    /// name `server`. It also listens on a Unix socket, for whatever stands before it under that name.
    ///
    /// # Errors
    /// As [`start`](Self::start); when the socket cannot be made.
    pub async fn over(folder: &Path, server: &str, socket: &Path) -> Result<Self> {
        let state = State::new(server, folder, true).await?;
        Bare::create(&state.bare(REPOSITORY).0).await?;
        state.after_push(&mut *state.inner.lock().await, REPOSITORY, false).await?;
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let named = UnixListener::bind(socket).with_context(|| format!("listening on {}", socket.display()))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let here = format!("http://{}", listener.local_addr()?);
        let tasks = vec![serve(listener, &state), serve(named, &state)];
        Ok(Self { api: format!("{here}/api/v3"), server: here, state, tasks, _folder: None })
    }

    /// The private key of an app, in PEM.
    ///
    /// # Errors
    /// When there is no such app.
    pub fn key(&self, app: App) -> Result<&str> {
        self.state.emulator.key(app)
    }

    /// The repository's bare folder.
    #[must_use]
    pub fn bare(&self, repository: &str) -> Bare {
        self.state.bare(repository)
    }

    /// A token for a workflow's job.
    ///
    /// # Errors
    /// When emulate refuses.
    pub async fn job_token(&self, permissions: &BTreeMap<String, String>) -> Result<String> {
        let token = self.state.emulator.job_token(permissions).await?;
        self.state.inner.lock().await.jobs.insert(token.clone(), permissions.clone());
        Ok(token)
    }

    /// The tokens that jobs have had so far.
    pub async fn job_tokens(&self) -> Vec<String> {
        self.state.inner.lock().await.jobs.keys().cloned().collect()
    }

    /// What workflows sign by, and what verifies it. It starts when it is asked for.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn sigstore(&self) -> Result<&Sigstore> {
        self.state.sigstore.get_or_try_init(Sigstore::start).await
    }

    /// A request of the API; status and JSON.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value)> {
        let client = slipway_http::loopback(std::time::Duration::from_secs(60))?;
        let mut request = client.request(method, format!("{}{path}", self.api)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        Ok((answer.status(), serde_json::from_slice(&answer.bytes().await?).unwrap_or_default()))
    }

    /// What the API answers to ann about a path below the repository, which must be there. All pages of a list.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let mut all: Option<Vec<Value>> = None;
        for page in 1.. {
            let separator = if path.contains('?') { '&' } else { '?' };
            let path = format!("/repos/{REPOSITORY}{path}{separator}per_page=100&page={page}");
            let (status, json) = self.ask(Method::GET, &path, ANN.token, None).await?;
            anyhow::ensure!(status.is_success(), "{path}: {status} {json}");
            let Value::Array(items) = json else { return Ok(json) };
            let last = items.len() < 100;
            all.get_or_insert_default().extend(items);
            if last {
                break;
            }
        }
        Ok(all.unwrap_or_default().into())
    }

    /// Sets a variable of the repository's settings.
    pub async fn set_variable(&self, name: &str, value: &str) {
        self.state.inner.lock().await.variables.insert(name.to_owned(), value.to_owned());
    }

    /// The variables of the repository's settings.
    pub async fn variables(&self) -> BTreeMap<String, String> {
        self.state.inner.lock().await.variables.clone()
    }

    /// A rule of the default branch lets nobody merge, and says this; or there is none.
    pub async fn set_rule(&self, rule: Option<&str>) {
        self.state.inner.lock().await.rule = rule.map(str::to_owned);
    }

    /// A rule of the default branch requires so many approvals, and these checks.
    pub async fn set_required(&self, approvals: usize, checks: &[&str]) {
        let checks = checks.iter().map(|check| (*check).to_owned()).collect();
        self.state.inner.lock().await.required = (approvals, checks);
    }

    /// Its clock is so many seconds ahead of this machine's, as apps' signatures meet it.
    pub async fn set_ahead(&self, seconds: i64) {
        self.state.inner.lock().await.ahead = seconds;
    }

    /// What was asked of the API since the last time.
    pub async fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.inner.lock().await.asked)
    }

    /// The token of each request since the last time, of the API and of git, with method and path.
    pub async fn signed(&self) -> Vec<(Option<String>, String)> {
        std::mem::take(&mut self.state.inner.lock().await.signed)
    }

    /// What was pushed since the last time.
    pub async fn pushes(&self) -> Vec<Push> {
        std::mem::take(&mut self.state.inner.lock().await.pushes)
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Answers whoever connects, until the task is aborted.
fn serve<L: Listener<Addr: std::fmt::Debug>>(listener: L, state: &Arc<State>) -> JoinHandle<()> {
    let app = Router::new().fallback(answer).with_state(Arc::clone(state));
    tokio::spawn(async move {
        // it only ends with the task
        let _ = axum::serve(listener, app).await;
    })
}

impl State {
    async fn new(server: &str, folder: &Path, is_shared: bool) -> Result<Arc<Self>> {
        let emulator = Emulator::start(server).await?;
        let (server, folder) = (server.to_owned(), folder.to_owned());
        let sigstore = OnceCell::new();
        Ok(Arc::new(Self { server, folder, is_shared, emulator, sigstore, inner: Mutex::default() }))
    }

    /// A repository's bare folder.
    #[must_use]
    pub fn bare(&self, repository: &str) -> Bare {
        Bare(self.folder.join(format!("{repository}.git")))
    }

    /// Brings emulate's branches and the heads of open pull requests to where git's branches are.
    ///
    /// # Errors
    /// When git or emulate fails.
    pub async fn after_push(&self, inner: &mut Inner, repository: &str, by_job: bool) -> Result<()> {
        let bare = self.bare(repository);
        let known = inner.branches.entry(repository.to_owned()).or_default();
        let changed = mirror::follow(&self.emulator, &mut inner.ids, repository, &bare, known).await?;
        for branch in &changed {
            for number in front::open_with_head(self, repository, branch).await? {
                self.follow_head(inner, repository, branch, number).await?;
            }
        }
        let repository = || repository.to_owned();
        inner.pushes.extend(changed.into_iter().map(|branch| Push { repository: repository(), branch, by_job }));
        Ok(())
    }

    /// Puts `refs/pull/<number>/head` of the repository where the branch is. It stays when the branch is deleted. A fork's commit is one of
    /// the repository too.
    ///
    /// # Errors
    /// When git fails or emulate refuses.
    pub async fn follow_head(&self, inner: &mut Inner, repository: &str, branch: &str, number: u64) -> Result<()> {
        let from = self.bare(repository);
        let Some(commit) = from.commit(&format!("refs/heads/{branch}")).await else { return Ok(()) };
        let api = format!("/repos/{REPOSITORY}/git");
        mirror::make(&self.emulator, &mut inner.ids, &api, ANN.token, &commit).await?;
        let from = from.0.display().to_string();
        let refspec = format!("+refs/heads/{branch}:refs/pull/{number}/head");
        self.bare(REPOSITORY).git(&["fetch", "--quiet", "--no-tags", &from, &refspec]).await?;
        Ok(())
    }
}

#[expect(clippy::print_stderr, reason = "the output of a test is for whoever looks for its mistake")]
async fn answer(Shared(state): Shared<Arc<State>>, request: Request) -> Response<Body> {
    // a request that was begun is finished, as GitHub does, even if who asked has gone
    let answered = tokio::spawn(async move {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, MOST_BYTES).await?;
        if parts.uri.path().starts_with("/api/") {
            front::answer(&state, &parts.method, &parts.uri, &parts.headers, body).await
        } else {
            git_http::answer(&state, &parts.method, &parts.uri, &parts.headers, body).await
        }
    });
    let answered = answered.await.context("the handler has panicked").and_then(|answered| answered);
    answered.unwrap_or_else(|error| {
        // a mistake of this harness: a test that meets it shows it, and git shows no answer's text
        eprintln!("harness: {error:#}");
        let mut answer = Response::new(Body::from(format!("{{\"message\": {:?}}}", format!("harness: {error:#}"))));
        *answer.status_mut() = StatusCode::NOT_IMPLEMENTED;
        answer
    })
}
