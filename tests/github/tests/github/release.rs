//! The job `publish` of `release`: it makes the release of a tag, and completes one of which a part is there.

use std::collections::BTreeMap;
use std::fs;

use reqwest::Method;
use serde_json::{Value, json};
use slipway_digest::Digest;
use slipway_github_tests::accounts::{ANN, REPOSITORY};
use slipway_github_tests::workflow::{Runner, Workflow};
use tempfile::TempDir;

use crate::event::push;
use crate::people::Clone;
use crate::repository::Repository;

const TAG: &str = "v0.1.0";
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
