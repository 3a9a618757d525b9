//! `clusters/<env>/cluster.yaml`: prices, limits and the trainers' images of an environment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slipway_experiment::Deadline;
use slipway_source::{Finding, Position, document, position_of, suggestion, typed};

use crate::header::{ApiVersion, Metadata};
use crate::tree::Tree;

/// The content of an environment's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    #[expect(dead_code, reason = "read so that a file of another kind is refused")]
    api_version: ApiVersion,
    #[expect(dead_code, reason = "read so that a file of another kind is refused")]
    kind: Kind,
    metadata: Metadata,
    /// Prices, limits and requirements.
    pub spec: ClusterSpec,
}

#[derive(Clone, Debug, Deserialize)]
enum Kind {
    Cluster,
}

/// Prices, limits and requirements of an environment.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSpec {
    /// The image of the built-in trainer, which new TrainJobs are rendered with.
    pub trainer_image: String,
    /// The images of the project's own trainers by their names, which are those of the folders in trainers/.
    #[serde(default)]
    pub trainers: BTreeMap<String, String>,
    /// The most trials that one experiment may have in this environment.
    pub max_trials: Option<usize>,
    /// What CPUs and GPUs cost.
    pub prices: Prices,
    /// Whether every image must be named by its digest.
    #[serde(default)]
    pub images_by_digest: bool,
    /// What bootstrap requires of the cluster.
    #[serde(default)]
    pub requires: Requires,
    /// When the manager moves ended TrainJobs to the history; `None` if it leaves that to a person.
    pub history: Option<HistorySettings>,
}

/// When the manager moves ended TrainJobs to the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HistorySettings {
    /// How long after its end a TrainJob is moved.
    pub after: Deadline,
    /// Whether the pull request that moves it is merged without a person, once its check is green.
    #[serde(default)]
    pub merge: bool,
}

/// Requirements on a cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Requires {
    /// The oldest supported version of Kubernetes: by default that of cert-manager 1.21, which asks for the newest.
    pub kubernetes: String,
    /// The architectures that have images.
    pub architectures: Vec<String>,
    /// The storage class; empty for the default one; `None` if no storage is needed.
    pub storage_class: Option<String>,
}

impl Default for Requires {
    fn default() -> Self {
        Self {
            kubernetes: "1.33".to_owned(),
            architectures: vec!["amd64".to_owned(), "arm64".to_owned()],
            storage_class: None,
        }
    }
}

/// What CPUs and GPUs cost.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prices {
    /// The price of one CPU for one hour.
    pub cpu_hour: f64,
    /// The price of one GPU for one hour; `None` if the environment has no GPUs.
    #[serde(default)]
    pub gpu_hour: Option<f64>,
    /// The currency, such as `USD`.
    pub currency: String,
}

/// The path of an environment's file.
#[must_use]
pub fn path(environment: &str) -> String {
    format!("clusters/{environment}/cluster.yaml")
}

/// A finding if the file has the name of another environment.
#[must_use]
pub fn misnamed(tree: &Tree, environment: &str, cluster: &Cluster) -> Option<Finding> {
    let path = path(environment);
    cluster.metadata.misnamed(&path, &tree.text(&path).unwrap_or_default(), environment)
}

/// A finding for each trainer's image that has no digest, if the environment requires digests.
#[must_use]
pub fn unpinned_images(tree: &Tree, environment: &str, cluster: &ClusterSpec) -> Vec<Finding> {
    if !cluster.images_by_digest {
        return Vec::new();
    }
    let path = path(environment);
    let text = tree.text(&path).unwrap_or_default();
    let own = cluster.trainers.iter().map(|(name, image)| (format!("image of trainer `{name}`"), image));
    let images = std::iter::once(("trainer's image".to_owned(), &cluster.trainer_image)).chain(own);
    let fields = std::iter::once("spec.trainerImage".to_owned())
        .chain(cluster.trainers.keys().map(|name| format!("spec.trainers.{name}")));
    let unpinned = images.zip(fields).filter(|((_, image), _)| !image.contains("@sha256:"));
    unpinned
        .map(|((what, image), field)| {
            let message = format!("the {what} is {image}, and {environment} requires images by digest");
            Finding::at(&path, position_of(&text, &field), "image-without-digest", message)
                .with_help("append @sha256:…; `slipway image push` prints it")
        })
        .collect()
}

/// An environment's file with another image of a trainer, or with one more; everything else in it stays as it is. `None` if the file is not
/// one that this can change, such as one whose `spec` is written in one line.
#[must_use]
pub fn with_trainer(text: &str, name: &str, image: &str) -> Option<String> {
    let tree = document(text).ok()?;
    let spec = tree.find("spec")?;
    let changed = match spec.get("trainers") {
        Some(trainers) => match trainers.entries().first() {
            Some(_) if trainers.get(name).is_some() => {
                let bytes = trainers.get(name)?.bytes.clone();
                format!("{}{image}{}", &text[..bytes.start], &text[bytes.end..])
            }
            // above the first one, as it is indented
            Some(first) => {
                let line = line_start(text, first.key_at.line);
                let indent = text[line..].split(|c| c != ' ').next().unwrap_or_default();
                format!("{}{indent}{name}: {image}\n{}", &text[..line], &text[line..])
            }
            None => return None,
        },
        None => {
            let entry = spec.entries().iter().find(|entry| entry.key == "trainerImage")?;
            let line = line_start(text, entry.key_at.line);
            let indent = text[line..].split(|c| c != ' ').next().unwrap_or_default();
            let after = text[line..].find('\n').map_or(text.len(), |end| line + end + 1);
            let gap = if text[..after].ends_with('\n') { "" } else { "\n" };
            format!("{}{gap}{indent}trainers:\n{indent}  {name}: {image}\n{}", &text[..after], &text[after..])
        }
    };
    // only what reads back with this image is a change
    let read = typed::<Cluster>("cluster.yaml", &changed).ok()?;
    (read.spec.trainers.get(name).map(String::as_str) == Some(image)).then_some(changed)
}

/// Where a line begins, counted from 1, as a byte of the text.
fn line_start(text: &str, line: usize) -> usize {
    text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum()
}

/// Reads an environment's file.
///
/// # Errors
/// The first mistake in the file, or that it does not exist.
pub fn read(tree: &Tree, environment: &str) -> Result<Cluster, Finding> {
    let path = path(environment);
    let Some(text) = tree.text(&path) else {
        let names = tree.folders_in("clusters");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = format!("environment `{environment}` has no {path}");
        return Err(Finding::at(&path, Position::START, "unknown-environment", message).with_help(suggestion(
            environment,
            "folders in clusters",
            &names,
        )));
    };
    typed(&path, &text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use slipway_source::typed;

    use super::{Cluster, with_trainer};

    const CLUSTER: &str = "apiVersion: slipway.dev/v1alpha1\nkind: Cluster\nmetadata: {name: local}\nspec:\n  trainerImage: r/trainer:1   # built in\n  prices: {cpuHour: 0.5, currency: EUR}\n";

    #[test]
    fn a_trainer_gets_its_image_and_the_rest_stays() {
        let one = with_trainer(CLUSTER, "a", "r/a:1").unwrap();
        assert_eq!(one, CLUSTER.replace("# built in\n", "# built in\n  trainers:\n    a: r/a:1\n"));
        let two = with_trainer(&one, "b", "r/b:1").unwrap();
        assert_eq!(two, one.replace("    a: r/a:1\n", "    b: r/b:1\n    a: r/a:1\n"));
        let changed = with_trainer(&two, "a", "r/a@sha256:12").unwrap();
        assert_eq!(changed, two.replace("r/a:1", "r/a@sha256:12"));
        let on_one_line = CLUSTER.replace("  prices", "  trainers: {a: \"r/a:1\"}\n  prices");
        assert_eq!(with_trainer(&on_one_line, "a", "r/a:2").unwrap(), on_one_line.replace("\"r/a:1\"", "r/a:2"));
    }

    #[test]
    fn without_settings_nothing_is_moved_to_the_history() {
        let read = |history: &str| {
            let text = CLUSTER.replace("  prices", &format!("{history}  prices"));
            typed::<Cluster>("cluster.yaml", &text).map(|cluster| cluster.spec.history)
        };
        assert_eq!(read("").unwrap(), None);
        let settings = read("  history: {after: 24h}\n").unwrap().unwrap();
        assert_eq!((settings.after.seconds(), settings.merge), (24 * 3600, false));
        assert!(read("  history: {after: 1h30m, merge: true}\n").unwrap().unwrap().merge);
        for (wrong, says) in [
            ("  history: {after: 0s}\n", "`0s` is not between 1s and 720h"),
            ("  history: {after: 24}\n", "`24` has no unit"),
            ("  history: {merge: true}\n", "after"),
            ("  history: {after: 24h, every: 1h}\n", "every"),
        ] {
            let finding = read(wrong).unwrap_err();
            assert!(finding.line == 6 && finding.message.contains(says), "{finding}");
        }
    }

    #[test]
    fn a_file_that_it_cannot_change_stays() {
        let flow = "apiVersion: slipway.dev/v1alpha1\nkind: Cluster\nmetadata: {name: local}\nspec: {trainerImage: x, prices: {cpuHour: 1, currency: EUR}}\n";
        assert_eq!(with_trainer(flow, "a", "r/a:1"), None);
        assert_eq!(with_trainer("x: [", "a", "r/a:1"), None);
        assert_eq!(with_trainer("", "a", "r/a:1"), None);
    }
}
