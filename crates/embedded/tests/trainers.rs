//! Programs of one's own on one machine: their code as it was merged, and the packages of their lock. Needs SLIPWAY_PYTHON and SLIPWAY_BIN,
//! which `make test` sets; the packages come from a folder.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use slipway_embedded::{JobStatus, Phase, Queue, Supervisor, Trainers, TrainingRuntime};
use slipway_git::Repository;
use slipway_repositories::git;
use tempfile::TempDir;

/// Making a virtual environment takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Writes the wheel of a package `hello`, and prints its SHA-256.
const WHEEL: &str = r#"
import hashlib, sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("hello.py", "WORLD = 'world'\n")
    wheel.writestr("hello-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
    wheel.writestr("hello-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("hello-1.0.dist-info/RECORD", "hello.py,,\nhello-1.0.dist-info/METADATA,,\nhello-1.0.dist-info/WHEEL,,\nhello-1.0.dist-info/RECORD,,\n")
print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())
"#;

const IMAGE: &str = r#"
apiVersion: slipway.dev/v1alpha1
kind: Image
metadata: {name: own}
spec:
  base: {debian: {suite: bookworm, packages: [python3.11]}}
  python: {version: "3.11", requirements: requirements.lock}
  files:
    - {binary: slipway-launch, to: /usr/bin/slipway-launch}
    - {path: trainers/own, to: /opt/program}
  entrypoint: [/usr/bin/slipway-launch]
  workdir: /opt/program
"#;

/// In place of the launcher: runs the program that the job's environment leads to.
const LAUNCHER: &str = "#!/bin/sh\ncd \"$SLIPWAY_PROGRAM\" && exec python train.py\n";

struct Bench {
    folder: TempDir,
    queue: Queue,
    files: BTreeMap<String, Vec<u8>>,
    /// Of `hello`.
    hash: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["jobs", "wheels", "work"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        let python =
            PathBuf::from(std::env::var_os("SLIPWAY_PYTHON").expect("SLIPWAY_PYTHON is not set; `make test` sets it"));
        let wheel = path("wheels/hello-1.0-py3-none-any.whl");
        let made = Command::new(&python).args(["-c", WHEEL]).arg(&wheel).output().unwrap();
        let hash = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        git(&path("work"), &["init", "--quiet", "--initial-branch=main"]);
        let launcher = path("launcher");
        std::fs::write(&launcher, LAUNCHER).unwrap();
        std::fs::set_permissions(&launcher, PermissionsExt::from_mode(0o755)).unwrap();
        let mut packages: Vec<OsString> = vec!["env".into(), "PIP_NO_INDEX=1".into()];
        for (name, value) in
            [("PIP_FIND_LINKS", path("wheels")), ("XDG_CACHE_HOME", path("cache")), ("SLIPWAY_PYTHON", python)]
        {
            packages.push(format!("{name}={}", value.display()).into());
        }
        let slipway = Path::new(&std::env::var_os("SLIPWAY_BIN").expect("SLIPWAY_BIN is not set; `make test` sets it"))
            .join("slipway");
        packages.extend([slipway.into(), "image".into(), "venv".into()]);
        let queue = Queue::start(TrainingRuntime {
            supervisor: Supervisor(vec![env!("CARGO_BIN_EXE_slipway-supervise").into()]),
            trainer: PathBuf::from("/bin/false"),
            launcher,
            trainers: Trainers { forge: Repository::open(&path("work")).unwrap(), packages },
            environment: Vec::new(),
            status_server: None,
            jobs: path("jobs"),
            checkpoints: None,
            cpu_millis: 4000,
            max_restarts: 0,
        });
        Self { folder, queue, files: BTreeMap::new(), hash }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Commits the files of a program, and returns the id of its tree.
    fn program(&self, files: &[(&str, &str)]) -> String {
        let folder = self.path("work/trainers/own");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        git(&self.path("work"), &["add", "--all"]);
        git(&self.path("work"), &["commit", "--quiet", "--allow-empty", "-m", "a program"]);
        git(&self.path("work"), &["rev-parse", "HEAD:trainers/own"])
    }

    /// A program with these packages.
    fn with_packages(&self, train: &str, hash: &str) -> String {
        let lock = format!("hello==1.0 --hash=sha256:{hash}\n");
        self.program(&[("train.py", train), ("image.yaml", IMAGE), ("requirements.lock", &lock)])
    }

    async fn run(&mut self, name: &str, code: serde_json::Value, tree: Option<&str>) -> JobStatus {
        self.add(name, code, tree);
        self.finished(name).await
    }

    fn add(&mut self, name: &str, code: serde_json::Value, tree: Option<&str>) {
        let mut program = json!({"command": ["python", "train.py"], "args": [], "parameters": {}});
        program.as_object_mut().unwrap().extend(code.as_object().unwrap().clone());
        let trial = json!({
            "name": name, "experiment": "own", "dataset": {"name": "d", "digest": format!("sha256:{}", "0".repeat(64))},
            "program": program, "workers": 1, "parameters": {},
        });
        let tree =
            tree.map(|tree| format!("\n      - {{name: SLIPWAY_PROGRAM_TREE, value: \"{tree}\"}}")).unwrap_or_default();
        let resources = "{cpu: \"1\", memory: 1Gi}";
        let trial = serde_json::to_string(&trial.to_string()).unwrap();
        let text = format!(
            "apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {{name: {name}, namespace: training}}
spec:
  activeDeadlineSeconds: 600
  runtimeRef: {{apiGroup: trainer.kubeflow.org, kind: ClusterTrainingRuntime, name: slipway-torch}}
  trainer:
    image: own:1
    command: [slipway-launch]
    numNodes: 1
    numProcPerNode: 1
    env:
      - {{name: SLIPWAY_TRIAL, value: {trial}}}{tree}
    resourcesPerNode: {{requests: {resources}, limits: {resources}}}
"
        );
        self.files.insert(format!("{name}.yaml"), text.into_bytes());
        self.queue.apply(self.files.clone());
    }

    async fn finished(&self, name: &str) -> JobStatus {
        tokio::time::timeout(PATIENCE, self.queue.jobs().finished(name)).await.expect("the job did not finish").unwrap()
    }
}

#[tokio::test]
async fn the_merged_code_runs_with_the_packages_of_its_lock() {
    let mut bench = Bench::new();
    let train =
        "import hello, os, sys; print(hello.WORLD, sys.prefix, os.getcwd(), os.environ['SLIPWAY_GRACE_SECONDS'])";
    let tree = bench.with_packages(train, &bench.hash);
    // what is in the work tree, or was merged since, is not what this job was reviewed with
    bench.program(&[("train.py", "raise SystemExit('of another job')"), ("requirements.lock", "")]);
    std::fs::write(bench.path("work/trainers/own/train.py"), "raise SystemExit('not merged')").unwrap();

    // two at once need the same packages
    for name in ["a", "b"] {
        bench.add(name, json!({"trainer": "own"}), Some(&tree));
    }
    for name in ["a", "b"] {
        let status = bench.finished(name).await;
        assert_eq!(status.phase, Phase::Complete, "{}", status.message());
        let log = std::fs::read_to_string(bench.path(&format!("jobs/{name}/worker-0.log"))).unwrap();
        let environments = bench.path("cache/slipway/venvs").canonicalize().unwrap();
        assert!(log.starts_with(&format!("world {}", environments.display())), "{log}");
        assert!(log.contains(&format!("jobs/{name}/program/own")), "{log}");
    }
    let made = |entry: &std::fs::DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
    let environments = std::fs::read_dir(bench.path("cache/slipway/venvs")).unwrap().flatten().filter(made).count();
    assert_eq!(environments, 1, "two jobs with the same packages share them");
}

#[tokio::test]
async fn what_cannot_run_here_says_why() {
    let mut bench = Bench::new();
    let own = json!({"trainer": "own"});
    let image = format!("registry/own@sha256:{}", "1".repeat(64));
    let status = bench.run("image", json!({"image": image}), None).await;
    assert!(
        status.phase == Phase::Failed && status.message().contains("there are no containers on one machine"),
        "{}",
        status.message()
    );

    let status = bench.run("unnamed", own.clone(), None).await;
    assert!(status.message().contains("does not say which code of trainers/own"), "{}", status.message());

    let status = bench.run("missing", own.clone(), Some(&"1".repeat(40))).await;
    assert!(
        status.phase == Phase::Failed && status.message().contains("the code of trainers/own"),
        "{}",
        status.message()
    );

    let unpackaged = bench.program(&[("train.py", "")]);
    let status = bench.run("unpackaged", own.clone(), Some(&unpackaged)).await;
    assert!(status.message().contains("program/own/image.yaml"), "{}", status.message());

    let lockless = bench.program(&[("train.py", ""), ("image.yaml", IMAGE)]);
    let status = bench.run("lockless", own.clone(), Some(&lockless)).await;
    assert!(status.message().contains("program/own/requirements.lock"), "{}", status.message());

    let wrong = bench.with_packages("", &"0".repeat(64));
    let status = bench.run("wrong", own, Some(&wrong)).await;
    let message = status.message();
    assert!(message.contains("the packages of trainers/own cannot be installed (exit code"), "{message}");
    assert!(message.contains(&bench.hash) && message.contains("packages.log"), "{message}");
}
