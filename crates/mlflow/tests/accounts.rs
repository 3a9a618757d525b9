//! MLflow with the login of base/mlflow/login: what each account may do with this client. Needs SLIPWAY_PYTHON, which `make test` sets.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use slipway_mlflow::{Client, LoggedModelStatus, Metric, Run, RunStatus, Tag};

/// MLflow on a loopback port, with its files in a folder. Both are gone with the value.
struct Server {
    folder: PathBuf,
    port: u16,
    processes: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.processes.take() {
            // `mlflow server` starts others, all of them in the group that it leads
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Server {
    /// As the pod starts: the tables, the accounts, the server.
    fn start() -> Self {
        // a `%` has a meaning in the file that MLflow reads, which holds the address of its database
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("accounts-100%-{}", std::process::id()));
        fs::create_dir_all(folder.join("accounts")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { folder, port, processes: None };
        for (name, password) in [("admin", "admin-secret"), ("trainer", "trainer-secret"), ("reader", "reader-secret")]
        {
            server.set_password(name, password);
        }
        server.run(&["-m", "mlflow", "db", "upgrade", &server.database()]);
        server.make_accounts();
        let arguments = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1", "--app-name", "basic-auth"];
        let log = fs::File::create(server.folder.join("log")).unwrap();
        let mut command = server.python(&arguments);
        command.args(["--port", &port.to_string()]).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        server.processes = Some(command.spawn().unwrap());
        server
    }

    fn set_password(&self, name: &str, password: &str) {
        fs::write(self.folder.join("accounts").join(name), password).unwrap();
    }

    fn make_accounts(&self) {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../base/mlflow/login/accounts.py");
        self.run(&[program.to_str().unwrap()]);
    }

    fn database(&self) -> String {
        format!("sqlite:///{}", self.folder.join("mlflow.db").display())
    }

    fn python(&self, arguments: &[&str]) -> Command {
        let python =
            std::env::var_os("SLIPWAY_PYTHON").expect("SLIPWAY_PYTHON is not set: run this through `make test`");
        let mut command = Command::new(python);
        command.args(arguments).stdin(Stdio::null());
        command.env("MLFLOW_BACKEND_STORE_URI", self.database());
        command.env("MLFLOW_ARTIFACTS_DESTINATION", self.folder.join("artifacts"));
        command.env("MLFLOW_AUTH_CONFIG_PATH", self.folder.join("login.ini"));
        command.env("ACCOUNTS", self.folder.join("accounts"));
        command.env("MLFLOW_FLASK_SERVER_SECRET_KEY", "any");
        command.env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false").env("MLFLOW_DISABLE_TELEMETRY", "true");
        command
    }

    fn run(&self, arguments: &[&str]) {
        let done = self.python(arguments).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn client(&self, login: &str) -> Client {
        let at = if login.is_empty() { String::new() } else { format!("{login}@") };
        Client::new(&format!("http://{at}127.0.0.1:{}", self.port)).unwrap()
    }

    /// The status of a call as it is, without this client.
    async fn status(&self, login: Option<(&str, &str)>, method: Method, path: &str, body: &Value) -> StatusCode {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://127.0.0.1:{}/api/2.0/{path}", self.port);
        let mut request = http.request(method, url).header("content-type", "application/json").body(body.to_string());
        if let Some((user, password)) = login {
            request = request.basic_auth(user, Some(password));
        }
        request.send().await.unwrap().status()
    }
}

/// All that a worker does with MLflow.
async fn train(client: &Client, experiment: &str, model: &str) -> Run {
    let experiment = client.get_or_create_experiment(experiment).await.unwrap();
    let run = client.create_run(&experiment, "one", &[], 0).await.unwrap();
    client.log_batch(&run.run_id, &[Metric::new("loss", 1.0, 0, 0)], &[], &[]).await.unwrap();
    client.log_artifact(&run, "notes.txt", "text").await.unwrap();
    let logged = client.create_logged_model(&experiment, model, &run.run_id, &[], &[]).await.unwrap();
    client.upload_logged_model_artifact(&logged, "weights", "bytes").await.unwrap();
    client.finalize_logged_model(&logged.model_id, LoggedModelStatus::Ready).await.unwrap();
    client.get_or_create_registered_model(model).await.unwrap();
    let source = format!("models:/{}", logged.model_id);
    let tags = [Tag::new("a", "b")];
    let version = client.create_model_version(model, &source, &run.run_id, &logged.model_id, &tags).await.unwrap();
    client.set_model_version_tag(model, &version.version, "c", "d").await.unwrap();
    client.update_run(&run.run_id, RunStatus::Finished, 1).await.unwrap();
    run
}

#[tokio::test]
async fn each_account_may_do_its_work_and_no_more() {
    let server = Server::start();
    // the probes of the pod give no login
    server.client("").wait_until_healthy(Duration::from_secs(300)).await.unwrap();
    let search = "mlflow/registered-models/search";
    let none = Value::Null;
    assert_eq!(server.status(None, Method::GET, search, &none).await, StatusCode::UNAUTHORIZED);
    assert_eq!(server.status(Some(("reader", "wrong")), Method::GET, search, &none).await, StatusCode::UNAUTHORIZED);

    // a worker, in what it makes itself and in what was there before
    let (admin, trainer) = (server.client("admin:admin-secret"), server.client("trainer:trainer-secret"));
    train(&admin, "old", "old").await;
    train(&trainer, "old", "old").await;
    let run = train(&trainer, "new", "new").await;
    let login = Some(("trainer", "trainer-secret"));
    let (delete, model) = ("mlflow/registered-models/delete", json!({"name": "old"}));
    assert_eq!(server.status(login, Method::DELETE, delete, &model).await, StatusCode::FORBIDDEN);

    // the server and the page read everything, and write nothing of it
    let reader = server.client("reader:reader-secret");
    let versions = reader.search_all_model_versions().await.unwrap();
    assert_eq!(versions.len(), 3);
    let file = server.folder.join("downloaded");
    reader.download_artifact(&run.artifact_uri, "notes.txt", 4, &file).await.unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"text");
    assert_eq!(reader.metric_history(&run.run_id, "loss").await.unwrap().len(), 1);
    let login = Some(("reader", "reader-secret"));
    let tag = json!({"name": "new", "version": "1", "key": "c", "value": "e"});
    assert_eq!(server.status(login, Method::POST, "mlflow/model-versions/set-tag", &tag).await, StatusCode::FORBIDDEN);
    let metric = json!({"run_id": run.run_id, "key": "loss", "value": 0, "timestamp": 0});
    assert_eq!(server.status(login, Method::POST, "mlflow/runs/log-metric", &metric).await, StatusCode::FORBIDDEN);
    let path = run.artifact_uri.strip_prefix("mlflow-artifacts:/").unwrap();
    let path = format!("mlflow-artifacts/artifacts/{path}/notes.txt");
    assert_eq!(server.status(login, Method::PUT, &path, &json!("other")).await, StatusCode::FORBIDDEN);

    // a new password is in force once the accounts are made again, and the old one is not
    server.set_password("reader", "another-secret");
    server.make_accounts();
    assert_eq!(server.status(login, Method::GET, search, &none).await, StatusCode::UNAUTHORIZED);
    assert_eq!(server.client("reader:another-secret").search_all_model_versions().await.unwrap().len(), 3);
}
