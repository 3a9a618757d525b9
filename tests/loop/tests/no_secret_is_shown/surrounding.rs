//! A clone and a home with secrets, and what is searched for them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use slipway_loop::programs::{forge_of, fresh_clone, program};
use slipway_loop::secrets::{files_hold_none, holds_none};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::commands::{GROWN, REMOTE, Run};

/// Longer than any run takes.
const TIMEOUT: Duration = Duration::from_secs(300);

/// What was sent to a stub.
pub(crate) type Received = Arc<Mutex<Vec<u8>>>;

/// A server that answers every request with 403, and repeats nothing of it.
async fn stub(received: Received) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let received = Arc::clone(&received);
            tokio::spawn(async move {
                let mut request = [0; 65536];
                while let Ok(read @ 1..) = stream.read(&mut request).await {
                    if let Ok(mut received) = received.lock() {
                        received.extend_from_slice(&request[..read]);
                    }
                    let answer = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"message\": \"no\"}";
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    Ok(address)
}

/// Files of a home that hold secrets.
const INPUTS: [&str; 7] = [
    ".mlflow/credentials",
    ".docker/config.json",
    ".kube/config",
    ".netrc",
    ".git-credentials",
    ".gitconfig",
    ".manager-token",
];

/// A clone and a home with secrets in every place.
pub(crate) struct Surrounding {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clone: PathBuf,
    pub(crate) stub: String,
    /// Whether the services that answer are those of the clone's loop, and not the stub.
    works: bool,
    pub(crate) received: Received,
    /// Each place in which a secret was found: all are reported.
    shown: Mutex<Vec<String>>,
}

impl Surrounding {
    pub(crate) async fn new(works: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let received = Received::default();
        let stub = stub(Arc::clone(&received)).await?;
        let (clone, home) = (folder.path().join("slipway"), folder.path().join("home"));
        fresh_clone(&clone)?;
        std::fs::write(clone.join("datasets/grown.yaml"), GROWN)?;
        forge_of(&clone, &folder.path().join("acme/ml.git"))?;
        let origin = Command::new("git").arg("-C").arg(&clone).args(["remote", "set-url", "origin", REMOTE]).status();
        ensure!(origin.await?.success());
        let kube = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"http://{stub}\"}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{token: m4rked-kube}}}}]\n"
        );
        let docker = format!(
            "{{\"auths\": {{\"{stub}\": {{\"auth\": \"YW5uOm00cmtlZC1kb2NrZXI=\", \"identitytoken\": \"m4rked-identity\"}}}}}}"
        );
        let git = format!(
            "[user]\nname = A Person\nemail = a@example.org\n[credential]\nhelper = store\n\
             [url \"{}/acme/\"]\ninsteadOf = https://ann:m4rked-remote@github.com/acme/\n",
            folder.path().display()
        );
        let texts = [
            "[mlflow]\nmlflow_tracking_username = ann\nmlflow_tracking_password = m4rked-file\n",
            &docker,
            &kube,
            "default login ann password m4rked-netrc\n",
            "https://ann:m4rked-git@github.com\n",
            &git,
            "m4rked-manager",
        ];
        for (name, text) in INPUTS.iter().zip(texts) {
            let path = home.join(name);
            std::fs::create_dir_all(path.parent().context("a folder")?)?;
            std::fs::write(path, text)?;
        }
        Ok(Self { folder, clone, stub, works, received, shown: Mutex::default() })
    }

    /// A program with every variable that can hold a secret.
    pub(crate) fn command(&self, program: &Path, variables: &[(&str, &str)]) -> Result<Command> {
        let home = self.folder.path().join("home");
        let mut command = Command::new(program);
        command.current_dir(&self.clone).env("HOME", &home);
        command.env("DOCKER_CONFIG", home.join(".docker")).env("KUBECONFIG", home.join(".kube/config"));
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            let address = "http://ann:m4rked-proxy@127.0.0.1:9";
            command.env(proxy, address).env(proxy.to_lowercase(), address);
        }
        command.env_remove("NO_PROXY").env_remove("no_proxy");
        if self.works {
            // the programs and downloads of `make setup`
            command.env("XDG_CACHE_HOME", cache()?);
        } else {
            let uri = format!("http://ann:m4rked-uri@{}", self.stub);
            command.env("XDG_CACHE_HOME", self.folder.path().join("cache")).env("MLFLOW_TRACKING_URI", uri);
        }
        let index = format!("http://ann:m4rked-index@{}/simple", self.stub);
        command.env("PIP_INDEX_URL", &index).env("PIP_RETRIES", "0").env("npm_config_registry", &index);
        command.env("npm_config_fetch_retries", "0");
        command.env("GITHUB_API_URL", format!("http://{}", self.stub));
        command.envs([
            ("MLFLOW_TRACKING_USERNAME", "ann"),
            ("MLFLOW_TRACKING_PASSWORD", "m4rked-password"),
            ("MLFLOW_TRACKING_TOKEN", "m4rked-token"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "m4rked-aws"),
            ("AWS_SESSION_TOKEN", "m4rked-session"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("GITHUB_TOKEN", "m4rked-github"),
            ("SLIPWAY_REPOSITORY_TOKEN", "m4rked-repository"),
            ("SLIPWAY_LOG", "trace"),
            ("RUST_LOG", "trace"),
            ("RUST_BACKTRACE", "1"),
        ]);
        for (name, value) in variables {
            command.env(name, value.replace("{stub}", &self.stub));
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }

    /// Runs a command to its end, and searches what it prints. Returns whether it succeeded.
    pub(crate) async fn finish(&self, command: &mut Command) -> Result<bool> {
        let what = format!("{command:?}").split_once("\" \"").map_or_else(String::new, |(_, rest)| rest.to_owned());
        let done = tokio::time::timeout(TIMEOUT, command.output()).await.with_context(|| what.clone())??;
        self.hold_none(&what, &done.stdout);
        self.hold_none(&what, &done.stderr);
        Ok(done.status.success())
    }

    pub(crate) fn hold_none(&self, what: &str, text: &[u8]) {
        if let (Err(error), Ok(mut shown)) = (holds_none(what, text), self.shown.lock()) {
            shown.push(error.to_string());
        }
    }

    pub(crate) async fn slipway(&self, run: &Run) -> Result<bool> {
        let mut command = self.command(&program("slipway")?, run.variables)?;
        command.args(run.command.split(' ')).args(run.arguments.iter().map(|text| text.replace("{stub}", &self.stub)));
        self.finish(&mut command).await
    }

    /// Every file that was written, and everything that was committed.
    pub(crate) async fn search(&self) -> Result<()> {
        let inputs: Vec<PathBuf> = INPUTS.iter().map(|name| self.folder.path().join("home").join(name)).collect();
        // the sources of this test, and the clone's remote
        let known = [self.clone.join("tests"), self.clone.join(".git/config")];
        let is_input = |path: &Path| inputs.iter().chain(&known).any(|input| input == path);
        let searched = files_hold_none(self.folder.path(), &is_input)?;
        for repository in [self.clone.clone(), self.folder.path().join("acme/ml.git")] {
            // what was there before is in HEAD, or was cloned
            let mut git = Command::new("git");
            git.arg("-C").arg(repository).args([
                "log",
                "--all",
                "--patch",
                "--format=fuller",
                "--not",
                "HEAD",
                "--remotes",
            ]);
            let committed = git.output().await?;
            self.hold_none("what was committed", &committed.stdout);
        }
        ensure!(searched > 100, "only {searched} files");
        let shown = self.shown.lock().map_err(|_| anyhow::anyhow!("a test panicked"))?;
        ensure!(shown.is_empty(), "{}", shown.join("\n\n"));
        Ok(())
    }
}

/// The cache folder of `make setup`'s user.
fn cache() -> Result<PathBuf> {
    match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => Ok(cache.into()),
        None => Ok(PathBuf::from(std::env::var_os("HOME").context("HOME")?).join(".cache")),
    }
}
