//! The server's program as a child process.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) struct Server {
    child: Child,
    /// Where versions in service answer.
    pub(crate) address: String,
    /// Where every registered version answers.
    pub(crate) internal: String,
    pub(crate) folder: TempDir,
    pub(crate) http: reqwest::Client,
}

impl Server {
    /// Starts the program with a list of models and additional environment variables.
    pub(crate) fn start(mlflow: &str, models: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("models.yaml"), models).unwrap();
        Self::start_in(folder, mlflow, environment)
    }

    pub(crate) fn start_in(folder: TempDir, mlflow: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = program(folder.path(), mlflow);
        command.envs(environment.iter().copied());
        Self::run(command, folder)
    }

    /// Runs a command that becomes the server in the end.
    pub(crate) fn run(mut command: Command, folder: TempDir) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let [address, internal] =
            ["listening", "internal"].map(|name| format!("http://{}", line[name].as_str().unwrap()));
        Self { child, address, internal, folder, http: reqwest::Client::new() }
    }

    /// Replaces models.yaml as `slipway` does, by an atomic rename.
    pub(crate) fn pin(&self, models: &str) {
        let part = self.folder.path().join("models.yaml.part");
        std::fs::write(&part, models).unwrap();
        std::fs::rename(part, self.folder.path().join("models.yaml")).unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        read(self.http.get(format!("{}{path}", self.address)).send().await.unwrap()).await
    }

    pub(crate) async fn get_inside(&self, path: &str) -> (u16, Value) {
        read(self.http.get(format!("{}{path}", self.internal)).send().await.unwrap()).await
    }

    /// Sends any body to `…/infer` of a model's path.
    pub(crate) async fn post(&self, model: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let url = format!("{}/v2/models/{model}/infer", self.address);
        read(self.http.post(url).body(body).send().await.unwrap()).await
    }

    pub(crate) async fn post_inside(&self, model: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let url = format!("{}/v2/models/{model}/infer", self.internal);
        read(self.http.post(url).body(body).send().await.unwrap()).await
    }

    /// Says what turned out to be right.
    pub(crate) async fn post_truths(&self, model: &str, truths: &Value) -> (u16, Value) {
        let url = format!("{}/v2/models/{model}/truths", self.internal);
        read(self.http.post(url).json(truths).send().await.unwrap()).await
    }

    /// Sends one part of a request on a connection of its own.
    pub(crate) fn begin(&self, part: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address.trim_start_matches("http://")).unwrap();
        stream.write_all(part).unwrap();
        stream
    }

    /// One metric of /metrics, by its name and labels.
    pub(crate) async fn figure(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.1;
        let found = text.as_str().unwrap().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.map_or(0.0, |value| value.parse().unwrap())
    }

    /// The report of the only challenger, once it is in this state.
    pub(crate) async fn challenger(&self, state: &str) -> Value {
        let body = self.until_inside("/challengers", |_, body| body["challengers"][0]["state"] == state).await;
        body["challengers"][0].clone()
    }

    /// Repeats the request until the answer satisfies the condition, and returns its body.
    pub(crate) async fn until(&self, path: &str, accepted: impl Fn(u16, &Value) -> bool) -> Value {
        self.until_at(&self.address, path, accepted).await
    }

    pub(crate) async fn until_inside(&self, path: &str, accepted: impl Fn(u16, &Value) -> bool) -> Value {
        self.until_at(&self.internal, path, accepted).await
    }

    async fn until_at(&self, address: &str, path: &str, accepted: impl Fn(u16, &Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let (status, body) = read(self.http.get(format!("{address}{path}")).send().await.unwrap()).await;
            if accepted(status, &body) {
                return body;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{path}: {status} {body}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn ready(&self) {
        self.until("/readyz", |status, _| status == 200).await;
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "the server does not exit");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with the environment variables that it needs, and no others of Slipway.
pub(crate) fn program(folder: &Path, mlflow: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-server"));
    command
        .env("SLIPWAY_LISTEN", "127.0.0.1:0")
        .env("SLIPWAY_LISTEN_INTERNAL", "127.0.0.1:0")
        .env("SLIPWAY_MODELS", folder.join("models.yaml"))
        .env("SLIPWAY_CACHE", folder.join("cache"))
        .env("MLFLOW_TRACKING_URI", mlflow)
        .env_remove("SLIPWAY_CACHE_MIB")
        .env_remove("SLIPWAY_CONNECTIONS")
        .env_remove("SLIPWAY_MODEL_MEMORY_MIB")
        .env_remove("SLIPWAY_WORKERS")
        .env_remove("SLIPWAY_QUEUE")
        .env_remove("SLIPWAY_DRAIN_SECONDS")
        .env_remove("SLIPWAY_GRACE_SECONDS")
        .env_remove("SLIPWAY_REQUESTS")
        .env_remove("SLIPWAY_SAMPLE_SHARE")
        .env_remove("SLIPWAY_FEEDBACK")
        .stdin(Stdio::null());
    command
}

/// Status and JSON; a body that is not JSON becomes a string.
pub(crate) async fn read(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// models.yaml with one version of `mnist`.
pub(crate) fn list(version: &str, digest: &str) -> String {
    lists(&[("mnist", version, digest)])
}

/// models.yaml with one version of a model, and a challenger with these members.
pub(crate) fn list_with(
    name: &str,
    (version, digest): (&str, &str),
    challenger: (&str, &str),
    members: &str,
) -> String {
    let (other, content) = challenger;
    format!(
        "{}    challenger: {{version: \"{other}\", digest: {content}, {members}}}\n",
        lists(&[(name, version, digest)])
    )
}

/// models.yaml with these models, versions and digests.
pub(crate) fn lists(versions: &[(&str, &str, &str)]) -> String {
    let line = |(name, version, digest): &(&str, &str, &str)| {
        format!("  - name: {name}\n    version: \"{version}\"\n    digest: {digest}\n")
    };
    format!("models:\n{}", versions.iter().map(line).collect::<String>())
}

/// Different for each `of`, between 0 and 1.
pub(crate) fn picture(of: usize, images: usize) -> Vec<f32> {
    (0..images * 784).map(|i| ((i * 31 + of * 7) % 101) as f32 / 101.0).collect()
}

pub(crate) fn request(pixels: &[f32]) -> Vec<u8> {
    let shape = [pixels.len() / 784, 1, 28, 28];
    let input = json!({"name": "image", "datatype": "FP32", "shape": shape, "data": pixels});
    json!({"inputs": [input]}).to_string().into_bytes()
}

pub(crate) fn probabilities(response: &Value) -> Vec<f32> {
    response["outputs"][0]["data"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap() as f32).collect()
}

pub(crate) fn close(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
}
