//! The workflow `release`: what it makes of a tag is installed by its script, after the signature was verified. Its last job completes a
//! release of which a part is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use reqwest::Method;
use serde_json::{Value, json};
use slipway_digest::Digest;
use slipway_github_tests::accounts::{ANN, REPOSITORY};
use slipway_github_tests::workflow::{Runner, Workflow};
use tempfile::TempDir;

use crate::event::push;
use crate::people::Clone;
use crate::repository::Repository;

/// The version under test, since no other is packed.
const TAG: &str = concat!("v", env!("CARGO_PKG_VERSION"));
const SYSTEMS: [(&str, &str); 3] = [
    ("linux-x86_64", "x86_64-unknown-linux-gnu"),
    ("linux-aarch64", "aarch64-unknown-linux-gnu"),
    ("macos-aarch64", "aarch64-apple-darwin"),
];
const SCRIPT: &str = "get-slipway.sh";

/// The name of a file with its digest, for each file.
type Files = BTreeMap<String, String>;

/// What the jobs before leave behind, which need machines of three kinds and cosign: an archive with its checksum for each, and signatures.
fn packages() -> (TempDir, Files) {
    let artifacts = tempfile::tempdir().unwrap();
    let mut files = Files::new();
    let mut write = |artifact: &str, name: String, content: &[u8]| {
        let folder = artifacts.path().join(artifact);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(&name), content).unwrap();
        files.insert(name, Digest::of(content).to_string());
    };
    for (system, target) in SYSTEMS {
        let archive = format!("slipway-{target}.tar.gz");
        // not a text
        let content = [&[0x1f, 0x8b, 0xff, 0x00], target.as_bytes()].concat();
        let checksum = format!("{}  {archive}\n", Digest::of(&content).hex());
        let package = format!("package-{system}");
        write("signatures", format!("{archive}.sha256.sigstore.json"), format!("{{\"of\": \"{target}\"}}").as_bytes());
        write(&package, format!("{archive}.sha256"), checksum.as_bytes());
        write(&package, archive, &content);
    }
    (artifacts, files)
}

impl Repository {
    /// Runs the job for the tag; the files that are to be published.
    async fn publish(&self) -> Files {
        let workflow = Workflow::only(&self.workflow("release.yml"), "publish").unwrap();
        let reference = format!("refs/tags/{TAG}");
        let (artifacts, mut files) = packages();
        let (event, commit) = (push(&reference), self.main().await);
        let runner = Runner { github: &self.github, event_name: "push", event, reference: &reference, commit };
        let said = runner.run_after(&workflow, artifacts).await.unwrap();
        assert_eq!(said.jobs, [("publish".to_owned(), true)].into(), "{}", said.text());
        let script = self.project.join("tools/setup").join(SCRIPT);
        files.insert(SCRIPT.to_owned(), Digest::of_file(&script).unwrap().0.to_string());
        files
    }

    /// The only release, which is published, and its files.
    async fn released(&self) -> (Value, Files) {
        let releases = self.github.get("/releases").await.unwrap();
        assert_eq!(releases.as_array().map(Vec::len), Some(1), "{releases}");
        let release = releases[0].clone();
        assert_eq!((&release["tag_name"], &release["draft"]), (&json!(TAG), &json!(false)), "{release}");
        let text = |asset: &Value, key: &str| asset[key].as_str().unwrap().to_owned();
        let assets = release["assets"].as_array().unwrap().iter();
        let files = assets.map(|asset| (text(asset, "name"), text(asset, "digest"))).collect();
        (release, files)
    }

    async fn as_job(&self, method: Method, path: &str, body: &Value) -> Value {
        let token = self.github.job_token(&[("contents".to_owned(), "write".to_owned())].into()).await.unwrap();
        let path = format!("/repos/{REPOSITORY}/releases{path}");
        let (status, answer) = self.github.ask(method, &path, &token, Some(body)).await.unwrap();
        assert!(status.is_success(), "{path}: {answer}");
        answer
    }
}

/// The script that installs a release, as a person runs it who has cosign.
struct Installing {
    folder: TempDir,
}

impl Installing {
    async fn of(repository: &Repository) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("programs");
        fs::create_dir(&programs).unwrap();
        repository.github.sigstore().await.unwrap().install(&programs).unwrap();
        Self { folder }
    }

    /// Puts the files of a release where the script looks for them.
    fn offer(&self, from: &Path) {
        for address in [format!("download/{TAG}"), "latest/download".to_owned()] {
            let to = self.folder.path().join("releases").join(address);
            fs::create_dir_all(&to).unwrap();
            for file in fs::read_dir(from).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }
    }

    /// Installs a version, or the latest.
    fn install(&self, script: &str, arguments: &[&str]) -> Output {
        let (file, at) = (self.folder.path().join(SCRIPT), |name: &str| self.folder.path().join(name));
        fs::write(&file, script).unwrap();
        let path = format!("{}:{}", at("programs").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.arg(&file).args(arguments).env("PATH", path).env("HOME", at("home")).env("PREFIX", at("prefix"));
        command.env("SLIPWAY_RELEASES", format!("file://{}", at("releases").display())).output().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_becomes_a_release_that_is_installed_by_its_signature() {
    let repository = Repository::begin().await;
    let ann = Clone::of(&repository.github, ANN);
    ann.git(&["tag", TAG]);
    ann.git(&["push", "--quiet", "origin", TAG]);
    let (reference, commit) = (format!("refs/tags/{TAG}"), repository.main().await);
    let workflow = Workflow::of(&repository.workflow("release.yml")).unwrap();
    let event = push(&reference);
    let runner = Runner { github: &repository.github, event_name: "push", event, reference: &reference, commit };
    let said = runner.run(&workflow).await.unwrap();
    let all = ["package", "sign", "publish"].map(|job| (job.to_owned(), true));
    assert_eq!(said.jobs, all.into(), "{}", said.text());

    // what the jobs made is what was published
    let mut made = Files::new();
    let files = tempfile::tempdir().unwrap();
    for artifact in fs::read_dir(said.artifacts.path()).unwrap() {
        for file in fs::read_dir(artifact.unwrap().path()).unwrap() {
            let (path, name) = (file.as_ref().unwrap().path(), file.as_ref().unwrap().file_name());
            fs::copy(&path, files.path().join(&name)).unwrap();
            made.insert(name.into_string().unwrap(), Digest::of_file(&path).unwrap().0.to_string());
        }
    }
    let script = fs::read_to_string(repository.project.join("tools/setup").join(SCRIPT)).unwrap();
    made.insert(SCRIPT.to_owned(), Digest::of(&script).to_string());
    let (_, published) = repository.released().await;
    assert_eq!(published, made);
    let archives = SYSTEMS.map(|(_, target)| format!("slipway-{target}.tar.gz"));
    assert!(archives.iter().all(|archive| made.contains_key(archive)) && made.len() == 10, "{made:?}");

    let installing = Installing::of(&repository).await;
    installing.offer(files.path());
    // as whoever has another repository changes it
    let own = script.replace("slipway-dev/slipway", REPOSITORY);
    assert_ne!(own, script);
    let latest: &[&str] = &[];
    for arguments in [latest, &[TAG]] {
        let done = installing.install(&own, arguments);
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
        let version = TAG.trim_start_matches('v');
        assert!(said.contains(&format!("installed slipway {version}")), "{said}");
    }

    // it is signed, but not by the repository that this script is of
    let done = installing.install(&script, &[]);
    let reason = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(1) && reason.contains("certificate identity error"), "{reason}");
    // an archive with a checksum of its own, which nobody has signed
    for archive in &archives {
        fs::write(files.path().join(archive), "another").unwrap();
        let checksum = format!("{}  {archive}\n", Digest::of("another").hex());
        fs::write(files.path().join(format!("{archive}.sha256")), checksum).unwrap();
    }
    installing.offer(files.path());
    let done = installing.install(&own, &[]);
    let reason = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(1) && reason.contains("signature verification failed"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_made_once_and_completed_if_a_part_of_it_is_there() {
    let repository = Repository::begin().await;
    let ann = Clone::of(&repository.github, ANN);
    ann.git(&["tag", TAG]);
    ann.git(&["push", "--quiet", "origin", TAG]);

    let expected = repository.publish().await;
    assert_eq!(expected.len(), 10);
    let (made, files) = repository.released().await;
    assert_eq!(files, expected);
    assert!(made["body"].as_str().is_some_and(|notes| !notes.is_empty()), "{made}");

    // all of it once more
    repository.publish().await;
    let (again, files) = repository.released().await;
    assert_eq!((&again["id"], files), (&made["id"], expected.clone()));

    // the runner was lost while it sent the first file, so the release is a draft, with a file that is not whole
    repository.as_job(Method::DELETE, &format!("/{}", made["id"]), &Value::Null).await;
    let draft = repository.as_job(Method::POST, "", &json!({ "tag_name": TAG, "draft": true })).await;
    let name = expected.keys().nth(1).unwrap();
    repository.as_job(Method::POST, &format!("/{}/assets?name={name}", draft["id"]), &json!("half")).await;
    repository.publish().await;
    let (completed, files) = repository.released().await;
    assert_eq!((&completed["id"], files), (&draft["id"], expected));
}
