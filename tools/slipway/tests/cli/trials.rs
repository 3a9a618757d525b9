//! `slipway promote --as`: a version that is tried beside the one in service.

use serde_json::{Value, json};
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::project::{Project, Ran, git};

/// MLflow with two versions of `mnist`.
async fn mlflow() -> MockServer {
    let version = |number: u64| {
        let digest = format!("sha256:{}", number.to_string().repeat(64));
        let tags =
            json!([{ "key": "slipway.accuracy", "value": "0.97" }, { "key": "slipway.digest", "value": digest }]);
        json!({ "name": "mnist", "version": number.to_string(), "status": "READY", "run_id": "r", "tags": tags })
    };
    let stub = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(json!({ "model_versions": [version(3), version(4)] }));
    Mock::given(method("GET")).and(path_regex("model-versions/search$")).respond_with(answer).mount(&stub).await;
    stub
}

struct Serving {
    project: Project,
    mlflow: MockServer,
}

impl Serving {
    async fn new() -> Self {
        Self { project: Project::new(), mlflow: mlflow().await }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let forge = self.project.forge();
        let arguments = [arguments, &["--remote", &forge, "-o", "json"]].concat();
        self.project.run_with(&arguments, |command| {
            command.env("MLFLOW_TRACKING_URI", self.mlflow.uri());
        })
    }

    /// Opens a pull request and merges it; what the command said.
    fn merge(&self, arguments: &[&str]) -> Value {
        let ran = self.run(arguments);
        assert_eq!(ran.code(), 0, "{ran:?}");
        let opened = ran.json();
        let merged = self.run(&["merge", &opened["pullRequest"]["number"].to_string()]);
        assert_eq!(merged.code(), 0, "{merged:?}");
        opened
    }

    fn models(&self) -> String {
        git(self.project.forge().as_ref(), &["show", "main:overlays/local/server/models.yaml"])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_cannot_be_merged_any_more_is_renewed_on_the_current_main() {
    let serving = Serving::new().await;
    let older = ["promote", "mnist", "--version", "3"];
    let opened = serving.run(&older).json()["pullRequest"].clone();
    serving.merge(&["promote", "mnist", "--version", "4"]);
    let refused = serving.run(&["merge", &opened["number"].to_string(), "--force"]);
    assert_eq!(refused.code(), 3, "{refused:?}");
    let said = refused.json()["error"].to_string();
    assert!(said.contains("conflicts with main in overlays/local/server/models.yaml"), "{said}");

    let renewed = serving.run(&older).json()["pullRequest"].clone();
    assert_eq!((&renewed["number"], &renewed["branch"]), (&opened["number"], &opened["branch"]));
    assert_ne!(renewed["commit"], opened["commit"]);
    assert_eq!(serving.run(&older).json()["pullRequest"], renewed, "the second time changes nothing");
    serving.merge(&older);
    assert!(serving.models().contains("version: \"3\"\n"), "{}", serving.models());

    // going back says which version comes
    let back = ["revert", &opened["number"].to_string()];
    let planned = serving.run(&[&back[..], &["--dry-run"]].concat()).json();
    let change = json!([{ "environment": "local", "model": "mnist", "before": 3, "after": 4 }]);
    assert_eq!((&planned["inService"], &planned["pullRequest"]), (&change, &Value::Null), "{planned}");
    let text = serving.project.run(&[&back[..], &["--dry-run", "--remote", &serving.project.forge()]].concat()).text();
    assert!(
        text.contains("version 4 of mnist would come into service in local, instead of version 3\ndry run: "),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_tried_beside_the_one_in_service() {
    let serving = Serving::new().await;
    let canary = ["promote", "mnist", "--version", "4", "--as", "canary", "--share", "0.1"];
    let alone = serving.run(&canary);
    assert_eq!(alone.code(), 3, "{alone:?}");
    let said = alone.json()["error"].to_string();
    assert!(said.contains("no other version of mnist is in service in local"), "{said}");

    serving.merge(&["promote", "mnist", "--version", "3"]);
    let itself = serving.run(&["promote", "mnist", "--version", "3", "--as", "shadow"]);
    assert_eq!(itself.code(), 3, "{itself:?}");
    let much = serving.run(&["promote", "mnist", "--version", "4", "--as", "canary", "--share", "0.6"]);
    let said = much.json()["error"].to_string();
    assert!(said.contains("--share is 0.6; the share of a canary is from 0.001 to 0.5"), "{said}");

    let opened = serving.merge(&canary);
    assert_eq!((&opened["model"], &opened["version"]), (&json!("mnist"), &json!("4")));
    let models = serving.models();
    let declared = "    challenger:\n      version: \"4\"\n";
    assert!(models.contains("version: \"3\"\n") && models.contains(declared), "{models}");
    assert!(models.contains("      mode: canary\n      share: 0.1"), "{models}");
    // the same again is nothing to do, another way is another pull request
    assert_eq!(serving.run(&canary).json()["pullRequest"], Value::Null);
    serving.merge(&["promote", "mnist", "--version", "4", "--as", "shadow"]);
    assert!(serving.models().contains("      mode: shadow"), "{}", serving.models());
    // it is promoted: it is tried no more
    serving.merge(&["promote", "mnist", "--version", "4"]);
    let models = serving.models();
    assert!(models.contains("version: \"4\"\n") && !models.contains("challenger"), "{models}");
}
