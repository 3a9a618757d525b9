//! The trainer, the server, the page and the command line, each with each way to log in to a real MLflow that asks for a login, and refused
//! by it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use slipway_cluster::Cluster;
use slipway_loop::command;
use slipway_loop::login_mlflow::{self, ESCAPED, PASSWORD, TOKEN, USER};
use slipway_loop::process::{Process, free_port};
use slipway_loop::programs::{forge_of, fresh_clone, given, program};
use slipway_loop::secrets::holds_none;
use slipway_mlflow_server::Mlflow;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A way to log in: its name, the login in the address, the variables, and the content of `~/.mlflow/credentials`.
struct Way {
    name: &'static str,
    in_address: &'static str,
    variables: &'static [(&'static str, &'static str)],
    file: Option<String>,
    /// What a message names when the login is refused.
    source: &'static str,
}

fn ways() -> Vec<Way> {
    vec![
        Way { name: "address", in_address: ESCAPED, variables: &[], file: None, source: "MLFLOW_TRACKING_URI" },
        Way {
            name: "variables",
            in_address: "",
            variables: &[("MLFLOW_TRACKING_USERNAME", USER), ("MLFLOW_TRACKING_PASSWORD", PASSWORD)],
            file: None,
            source: "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        },
        Way {
            name: "file",
            in_address: "",
            variables: &[],
            file: Some(PASSWORD.to_owned()),
            source: "~/.mlflow/credentials",
        },
        Way {
            name: "token",
            in_address: "",
            variables: &[("MLFLOW_TRACKING_TOKEN", TOKEN)],
            file: None,
            source: "MLFLOW_TRACKING_TOKEN",
        },
    ]
}

/// The same ways with a login that MLflow does not accept, and one without a login.
fn refused_ways() -> Vec<Way> {
    vec![
        Way { in_address: "ann%40acme:m4rked-wrong", ..ways().remove(0) },
        Way {
            variables: &[("MLFLOW_TRACKING_USERNAME", USER), ("MLFLOW_TRACKING_PASSWORD", "m4rked-wrong")],
            ..ways().remove(1)
        },
        Way { file: Some("m4rked-wrong".to_owned()), ..ways().remove(2) },
        Way { variables: &[("MLFLOW_TRACKING_TOKEN", "m4rked-wrong")], ..ways().remove(3) },
        Way { name: "none", in_address: "", variables: &[], file: None, source: "" },
    ]
}

/// What a person's own shell may hold.
const OTHERS: [&str; 8] = [
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_AUTH",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "SLIPWAY_DATASETS",
    "SLIPWAY_REMOTE",
];

/// What the server answers, each as status and body.
struct Answers {
    /// `/readyz`.
    ready: (u16, String),
    /// A version that is not in service and was never registered.
    other: (u16, String),
}

/// A clone with its loop, whose object store the trainer reads, and an MLflow with a login.
struct Setting {
    folder: tempfile::TempDir,
    clone: PathBuf,
    /// `<bare repository>`: where pull requests go.
    forge: PathBuf,
    store: Vec<(String, String)>,
    digest: String,
    mlflow: Mlflow,
    _loop: Process,
}

impl Setting {
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (clone, forge) = (folder.path().join("slipway"), folder.path().join("forge.git"));
        fresh_clone(&clone)?;
        forge_of(&clone, &forge)?;
        let (running, state) = command::up(&clone, &folder.path().join("up.log")).await?;
        let keys: Value = serde_json::from_slice(&std::fs::read(clone.join(".slipway/credentials.json"))?)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let store = [
            ("AWS_ENDPOINT_URL_S3", &state["s3"]),
            ("AWS_ACCESS_KEY_ID", &keys["accessKey"]),
            ("AWS_SECRET_ACCESS_KEY", &keys["secretKey"]),
        ];
        let store = store.map(|(name, value)| (name.to_owned(), text(value))).to_vec();
        let digest = add_with_keys_of_another_store(&clone, &text(&state["s3"]))?;
        let mlflow_folder = folder.path().join("mlflow");
        std::fs::create_dir(&mlflow_folder)?;
        let mlflow = login_mlflow::start(&mlflow_folder).await?;
        Ok(Self { folder, clone, forge, store, digest, mlflow, _loop: running })
    }

    /// A program with this way to log in.
    fn command(&self, program: impl AsRef<Path>, way: &Way, environment: &[(&str, &str)]) -> Result<Command> {
        let home = self.folder.path().join(format!("home-{}", way.name));
        std::fs::create_dir_all(home.join(".mlflow"))?;
        let credentials = home.join(".mlflow/credentials");
        match &way.file {
            Some(password) => {
                // as configparser reads it
                let password = password.replace('%', "%%");
                let text =
                    format!("[mlflow]\nmlflow_tracking_username = {USER}\nmlflow_tracking_password = {password}\n");
                std::fs::write(credentials, text)?;
            }
            None if credentials.exists() => std::fs::remove_file(credentials)?,
            None => {}
        }
        let login = if way.in_address.is_empty() { String::new() } else { format!("{}@", way.in_address) };
        let mut command = Command::new(program.as_ref());
        for name in OTHERS {
            command.env_remove(name);
        }
        command
            .env("HOME", home)
            .env("MLFLOW_TRACKING_URI", self.mlflow.url.replace("://", &format!("://{login}")))
            .envs(way.variables.iter().copied())
            .envs(environment.iter().copied())
            .current_dir(&self.clone);
        Ok(command)
    }

    /// Trains one epoch; the version that it registers has the way in its name.
    fn trainer(&self, way: &Way) -> Result<(Option<i32>, String)> {
        let trial = json!({
            "name": format!("login-{}-1a2b3c4d", way.name), "experiment": format!("login-{}", way.name),
            "dataset": {"name": "mnist-10k", "digest": self.digest},
            "model": {"architecture": "mlp", "dropout": 0.1},
            "training": {"epochs": 1, "batchSize": 64, "optimizer": {"name": "adam", "learningRate": 0.001}, "seed": 7},
            "workers": 1, "parameters": {},
            "register": {"model": "mnist", "require": {"accuracy": ">= 0.5"}},
        });
        let (trial, cache) = (trial.to_string(), self.folder.path().join("cache").display().to_string());
        let mut command = self.command(
            program("slipway-trainer")?,
            way,
            &[("SLIPWAY_TRIAL", &trial), ("SLIPWAY_CACHE", &cache), ("RUST_LOG", "trace")],
        )?;
        command.envs(self.store.iter().map(|(name, value)| (name, value)));
        finished(&mut command, "the trainer")
    }

    /// Proposes to serve a version.
    fn promote(&self, way: &Way, version: &str) -> Result<(Option<i32>, String)> {
        let mut command = self.command(program("slipway")?, way, &[("SLIPWAY_LOG", "trace")])?;
        let identity = [
            ("GIT_AUTHOR_NAME", "A"),
            ("GIT_COMMITTER_NAME", "A"),
            ("GIT_AUTHOR_EMAIL", "a@example.org"),
            ("GIT_COMMITTER_EMAIL", "a@example.org"),
        ];
        command.envs(identity).args(["promote", "mnist", "--version", version]);
        finished(command.arg("--remote").arg(&self.forge), "slipway promote")
    }

    /// Asks what a version came from.
    fn trace(&self, way: &Way, version: &str) -> Result<(Option<i32>, String)> {
        let mut command = self.command(program("slipway")?, way, &[("SLIPWAY_LOG", "trace")])?;
        finished(command.args(["trace", &format!("mnist@{version}"), "-o", "json"]), "slipway trace")
    }

    /// Asks a cluster, which has nothing but the address of this MLflow in its user's environment, for its versions.
    fn status(&self, way: &Way, kubeconfig: &Path) -> Result<(Option<i32>, String)> {
        let mut command = self.command(program("slipway")?, way, &[("SLIPWAY_LOG", "trace")])?;
        finished(command.env("KUBECONFIG", kubeconfig).args(["status", "--cluster"]), "slipway status --cluster")
    }

    /// What the server answers once it has read its list.
    async fn server(&self, way: &Way, models: &str) -> Result<Answers> {
        let list = self.folder.path().join(format!("models-{}.yaml", way.name));
        std::fs::write(&list, models)?;
        let cache = self.folder.path().join(format!("served-{}", way.name)).display().to_string();
        let list = list.display().to_string();
        let command = self.command(
            program("slipway-server")?,
            way,
            &[
                ("SLIPWAY_MODELS", &list),
                ("SLIPWAY_CACHE", &cache),
                ("SLIPWAY_LISTEN_INTERNAL", "127.0.0.1:0"),
                ("RUST_LOG", "trace"),
            ],
        )?;
        let mut server = Process::start(&command, &self.folder.path().join("server.log"))?;
        let line = server.logs("\"internal\"").await?;
        let listening: Value = serde_json::from_str(&line)?;
        let server_url = format!("http://{}", listening["internal"].as_str().context("an address")?);
        let client = slipway_http::loopback(Duration::from_secs(10))?;
        for _ in 0..600 {
            let answer = client.get(format!("{server_url}/readyz")).send().await?;
            let (status, body) = (answer.status().as_u16(), answer.text().await?);
            if !body.contains("has not been read yet") {
                holds_none("the server's log", server.log().as_bytes())?;
                holds_none("the server's answer", body.as_bytes())?;
                // a version that is not in service is asked of MLflow
                let other = client.get(format!("{server_url}/v2/models/mnist/versions/999")).send().await?;
                let (other, said) = (other.status().as_u16(), other.text().await?);
                holds_none("the server's answer", said.as_bytes())?;
                holds_none("the server's log", server.log().as_bytes())?;
                return Ok(Answers { ready: (status, body), other: (other, said) });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("the server never read its list: {}", server.log())
    }

    /// Everything that the page sends to a browser that opens it.
    async fn page(&self, way: &Way) -> Result<String> {
        let port = free_port()?.to_string();
        let mut command = self.command(
            given("SLIPWAY_PYTHON")?,
            way,
            &[
                ("SLIPWAY_SERVER_URL", "http://ann:m4rked@127.0.0.1:9"),
                ("STREAMLIT_SERVER_PORT", &port),
                ("STREAMLIT_SERVER_ADDRESS", "127.0.0.1"),
                ("PYTHONDONTWRITEBYTECODE", "1"),
            ],
        )?;
        command.args(["-m", "streamlit", "run", "app.py"]).current_dir(self.clone.join("apps/demo-ui"));
        let mut page = Process::start(&command, &self.folder.path().join("page.log"))?;
        page.answers(&format!("http://127.0.0.1:{port}/_stcore/health")).await?;
        let script = self.clone.join("tests/loop/page_session.py");
        let (code, sent) = finished(Command::new(given("SLIPWAY_PYTHON")?).arg(script).arg(&port), "the page")?;
        ensure!(code == Some(0), "{sent}");
        holds_none("the page's log", page.log().as_bytes())?;
        Ok(sent)
    }
}

/// Stores the dataset while keys for another store are set: the store of the loop that runs here is used, and named. Returns the digest.
fn add_with_keys_of_another_store(clone: &Path, s3: &str) -> Result<String> {
    let mut add = Command::new(program("slipway")?);
    add.arg("--repo").arg(clone).args(["dataset", "add", "datasets/mnist-10k.yaml", "-o", "json"]);
    add.env("AWS_ACCESS_KEY_ID", "m4rked-key").env("AWS_SECRET_ACCESS_KEY", "m4rked-secret");
    let (code, text) = finished(&mut add, "slipway dataset add")?;
    ensure!(code == Some(0), "{text}");
    let report = text.find('{').context("a report")?;
    let report: Value = serde_json::Deserializer::from_str(&text[report..]).into_iter().next().context("JSON")??;
    ensure!(report["store"] == format!("s3://datasets at {s3}"), "{report}");
    Ok(report["digest"].as_str().context("a digest")?.to_owned())
}

/// The exit code of a command and all that it printed, in which there is no secret.
fn finished(command: &mut Command, what: &str) -> Result<(Option<i32>, String)> {
    let done = command.stdin(std::process::Stdio::null()).output()?;
    let text = [done.stdout, done.stderr].concat();
    holds_none(what, &text)?;
    Ok((done.status.code(), String::from_utf8_lossy(&text).into_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_program_logs_in_in_every_way_and_says_which_login_is_refused() -> Result<()> {
    let setting = Setting::new().await?;
    let kubeconfig = empty_cluster(setting.folder.path()).await?;
    for (way, version) in ways().iter().zip(1..) {
        let version = version.to_string();
        let (code, log) = setting.trainer(way)?;
        ensure!(code == Some(0), "trainer, {}: {log}", way.name);

        let (code, text) = setting.promote(way, &version)?;
        ensure!(code == Some(0) && text.contains("is open, to serve"), "slipway promote, {}: {text}", way.name);

        // its trial was never proposed, so there is no more to find than what MLflow says
        let (code, text_of_trace) = setting.trace(way, &version)?;
        let run = format!("\"version\": \"{version}\"");
        ensure!(
            code == Some(3) && text_of_trace.contains(&run),
            "slipway trace, {}: {code:?} {text_of_trace}",
            way.name
        );

        let (code, text_of_status) = setting.status(way, &kubeconfig)?;
        let trial = format!("login-{}-1a2b3c4d", way.name);
        ensure!(code == Some(0) && text_of_status.contains(&trial), "slipway status, {}: {text_of_status}", way.name);

        let models = promoted(&setting.forge, &text)?;
        let Answers { ready: (status, body), other: (other, said) } = setting.server(way, &models).await?;
        ensure!(status == 200, "server, {}: {status} {body}", way.name);
        ensure!(other == 404, "server, {}: {other} {said}", way.name);

        let page = setting.page(way).await?;
        ensure!(page.contains(&format!("Version {version}")), "page, {}: {page}", way.name);
    }
    let models = "models:\n  - {name: mnist, version: 1, digest: \"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}\n";
    for way in refused_ways() {
        let said = match way.source {
            "" => {
                "requires a login; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
                    .to_owned()
            }
            source => format!("does not accept the login of {source}"),
        };
        let (code, log) = setting.trainer(&way)?;
        ensure!(code == Some(6) && log.contains(&said), "trainer, {}: {code:?} {log}", way.name);
        let (code, text) = setting.promote(&way, "1")?;
        ensure!(code == Some(6) && text.contains(&said), "slipway promote, {}: {code:?} {text}", way.name);
        let (code, text) = setting.trace(&way, "1")?;
        ensure!(code == Some(6) && text.contains(&said), "slipway trace, {}: {code:?} {text}", way.name);
        // the cluster's own state is shown all the same
        let (code, text) = setting.status(&way, &kubeconfig)?;
        ensure!(code == Some(0) && text.contains(&said), "slipway status, {}: {code:?} {text}", way.name);
        let answers = setting.server(&way, models).await?;
        for (status, body) in [answers.ready, answers.other] {
            ensure!(status == 503 && body.contains(&said), "server, {}: {status} {body}", way.name);
        }
        let page = setting.page(&way).await?;
        ensure!(page.contains(&said), "page, {}: {page}", way.name);
    }
    Ok(())
}

/// A kubeconfig for an API server that answers every list with an empty one.
async fn empty_cluster(folder: &Path) -> Result<PathBuf> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 65536];
                while let Ok(1..) = stream.read(&mut request).await {
                    let list = r#"{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}"#;
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{list}",
                        list.len()
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    let file = folder.join("kubeconfig");
    std::fs::write(&file, Cluster::kubeconfig_at(&format!("http://{address}")))?;
    Ok(file)
}

/// The `models.yaml` of the pull request that was just opened.
fn promoted(forge: &Path, said: &str) -> Result<String> {
    let number = said.split_once("pull request #").and_then(|(_, rest)| rest.split(' ').next()).context("a number")?;
    let file = format!("refs/pull/{number}/head:overlays/local/server/models.yaml");
    let done = Command::new("git").arg("-C").arg(forge).args(["show", &file]).output()?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}
