//! The pull request that puts a version into service.

use std::fmt::Write as _;

use slipway_deployment::Kustomize;
use slipway_digest::Digest;
use slipway_experiment::Score;
use slipway_forge::Opened;
use slipway_git::Repository;
use slipway_markdown::{cell, on_one_line, shortened};
use slipway_mlflow::ModelVersion;
use slipway_names::tag;
use slipway_serving::{Pin, Pins};

use crate::base::{Base, Proposal, in_service};
use crate::branch::change_in;
use crate::{Error, Opening, Remote, Result};

/// The best version of a model: of those that are ready, have a digest, run on a server, and were tested by the same metric on the same data as the newest
/// of them, the one with the best value: the highest accuracy, or what the gate of a program says. Values of other metrics and on other data say
/// nothing about each other. On a tie the oldest one wins, so that promoting again changes nothing.
///
/// # Errors
/// [`Error::NoBestVersion`] when no such version has a value; [`Error::NotServable`] and [`Error::UnknownEngine`] when no server runs the newest
/// one, and there is no other.
pub fn best_version<'a>(model: &str, versions: &'a [ModelVersion]) -> Result<&'a ModelVersion> {
    let candidates: Vec<(Score, &ModelVersion)> = versions
        .iter()
        .filter(|version| {
            version.status == "READY" && !version.tag(tag::DIGEST).is_empty() && servable(version).is_ok()
        })
        .filter_map(|version| Some((score(version)?, version)))
        .collect();
    let newest = candidates.iter().max_by_key(|(_, version)| version.number());
    let is_same = |(score, version): &&(Score, &ModelVersion)| {
        newest.is_some_and(|(newest, of)| {
            score.is_comparable(newest) && version.tag(tag::DATASET_DIGEST) == of.tag(tag::DATASET_DIGEST)
        })
    };
    candidates
        .iter()
        .filter(is_same)
        .max_by(|(a, older), (b, newer)| {
            a.goodness().total_cmp(&b.goodness()).then(newer.number().cmp(&older.number()))
        })
        .map(|(_, version)| *version)
        .ok_or_else(|| {
            let newest = versions.iter().max_by_key(|version| version.number());
            let refused = newest.and_then(|version| servable(version).err());
            refused.unwrap_or_else(|| Error::NoBestVersion(model.to_owned()))
        })
}

/// What a version is compared by: the metric of its program's gate, otherwise its accuracy on test data. Returns `None` if it has neither.
#[must_use]
pub fn score(version: &ModelVersion) -> Option<Score> {
    let of_gate = serde_json::from_str(version.tag(tag::COMPARED_BY)).ok();
    let accuracy = || version.tag(tag::ACCURACY).parse().ok().map(Score::accuracy);
    of_gate.or_else(accuracy).filter(|score: &Score| score.value.is_finite())
}

/// The version of this number.
///
/// # Errors
/// [`Error::UnknownVersion`] when it is not among them.
pub fn numbered_version<'a>(model: &str, number: u64, versions: &'a [ModelVersion]) -> Result<&'a ModelVersion> {
    versions.iter().find(|version| version.number() == number).ok_or_else(|| Error::UnknownVersion {
        model: model.to_owned(),
        version: number,
        known: versions.iter().map(|version| version.version.clone()).collect(),
    })
}

/// How much earlier than its version a promotion may have been opened by the clocks of registry and forge, in seconds.
const CLOCKS: i64 = 300;

/// A version that is to be put into service in an environment.
#[derive(Debug)]
pub struct Promotion {
    /// The digest of its configuration and weights.
    pub digest: Digest,
    version: ModelVersion,
    environment: String,
    base: Base,
    before: Pins,
    after: Pins,
}

impl Promotion {
    /// Prepares the promotion of a version on top of the remote's default branch.
    ///
    /// # Errors
    /// [`Error::NotServable`] and [`Error::UnknownEngine`] when no server runs it; [`Error::NoDigest`], [`Error::UnknownEnvironment`]; [`Error::Invalid`] when the environment's list of versions in service has a
    /// mistake; when the remote cannot be fetched from.
    pub async fn prepare(git: &Repository, remote: &Remote, environment: &str, version: &ModelVersion) -> Result<Self> {
        let pin = pin(version)?;
        let digest = pin.digest;
        let base = Base::fetch(git, remote).await?;
        let before = base.in_service(environment)?;
        let after = before.with(pin);
        let environment = environment.to_owned();
        Ok(Self { digest, version: version.clone(), environment, base, before, after })
    }

    /// Whether a pull request, in whatever state, puts this version into service in this environment. Those of forks are anybody's.
    #[must_use]
    pub fn is_one(opened: &Opened, model: &str, version: u64, environment: &str) -> bool {
        !opened.is_fork && change_in(&opened.branch, &named(model, &version.to_string(), environment)).is_some()
    }

    /// When the first promotion of a version can have been opened, in seconds since 1970 by the forge's clock.
    #[must_use]
    pub fn earliest(version: &ModelVersion) -> i64 {
        (version.creation_timestamp / 1000).saturating_sub(CLOCKS)
    }

    /// The version that it replaces; `None` if none of the model is in service.
    #[must_use]
    pub fn replaces(&self) -> Option<u64> {
        self.before.get(&self.version.name).map(|pin| pin.version)
    }

    /// Whether the version is already in service.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.before == self.after
    }

    /// The version that an open pull request puts into service of this model in this environment. Returns `None` if it is no such promotion.
    #[must_use]
    pub fn version_of(opened: &Opened, model: &str, environment: &str) -> Option<u64> {
        let rest = opened.branch.split_once(&format!("serve-{}-", in_branch(model)))?.1;
        let version = rest.split('-').next()?.parse().ok()?;
        (opened.is_open() && Self::is_one(opened, model, version, environment)).then_some(version)
    }

    /// Commits, pushes and opens the pull request. If one is already open for the same version, returns that one, on this base if it could not be
    /// merged any more.
    ///
    /// # Errors
    /// When the repository cannot be written, or the remote refuses.
    pub async fn open(
        self,
        git: &Repository,
        remote: &Remote,
        kustomize: Option<&Kustomize>,
        opening: Opening,
    ) -> Result<Opened> {
        let (name, version, environment) = (&self.version.name, &self.version.version, &self.environment);
        let title = on_one_line(&format!("Serve {name} version {version} in {environment}"));
        let branch = named(name, version, environment);
        let proposal = Proposal { name: branch, by_name: true, label: "serve", title, body: self.body() };
        let changes = in_service(environment, &self.after);
        let opened = self.base.open_changes(git, remote, kustomize, &changes, proposal, opening).await?;
        self.base.renewed(git, remote, opened, &changes).await
    }

    /// The pull request's body.
    fn body(&self) -> String {
        let replaces = self.before.get(&self.version.name);
        let replaces =
            replaces.map_or_else(|| "nothing was served".to_owned(), |pin| format!("version {}", pin.version));
        described(&self.version, ("replaces", &replaces))
            + "\nOnce merged, the server loads it without a restart and without failing a request. \
               Reverting the merge restores the previous version.\n"
    }
}

/// What a list of versions in service says of a version.
///
/// # Errors
/// [`Error::NotServable`] and [`Error::UnknownEngine`] when no server runs it; [`Error::NoDigest`].
pub(crate) fn pin(version: &ModelVersion) -> Result<Pin> {
    servable(version)?;
    let digest: Digest = version
        .tag(tag::DIGEST)
        .parse()
        .map_err(|_| Error::NoDigest { model: version.name.clone(), version: version.version.clone() })?;
    Ok(Pin { name: version.name.clone(), version: version.number(), digest })
}

/// The most characters of what the registry says in a cell: a tag can have thousands.
const CHARACTERS: usize = 200;

/// What a reviewer needs to know about a version, as a table that begins with this row of Markdown. What the registry says of it is anybody's text:
/// whatever a training has written there stays in its cell.
pub(crate) fn described(version: &ModelVersion, (name, value): (&str, &str)) -> String {
    let mut text = format!("| | |\n|---|---|\n| {name} | {value} |\n");
    for (name, key) in [
        ("accuracy on the test split", tag::ACCURACY),
        ("compared with others by", tag::COMPARED_BY),
        ("engine", tag::ENGINE),
        ("architecture", tag::ARCHITECTURE),
        ("TrainJob", tag::TRAINJOB),
        ("experiment", tag::EXPERIMENT_FILE),
        ("experiment's content", tag::EXPERIMENT_BLOB),
        ("program's code", tag::PROGRAM_TREE),
        ("commit", tag::COMMIT),
        ("dataset", tag::DATASET),
        ("dataset's content", tag::DATASET_DIGEST),
        ("model's content", tag::DIGEST),
    ] {
        let value = version.tag(key);
        if !value.is_empty() {
            let _ = writeln!(text, "| {name} | {} |", cell(&shortened(value, CHARACTERS)));
        }
    }
    text
}

fn named(model: &str, version: &str, environment: &str) -> String {
    format!("serve-{}-{version}-{environment}", in_branch(model))
}

/// The engines that a server has, by the tag of a version.
const ENGINES: [&str; 3] = ["builtin", "torchscript", "aotinductor"];

/// Whether a server runs a version. Versions of earlier releases have no engine, and are built-in networks.
fn servable(version: &ModelVersion) -> Result<()> {
    let (engine, flavor) = (version.tag(tag::ENGINE), version.tag(tag::FLAVOR));
    let (model, number) = (version.name.clone(), version.version.clone());
    if ENGINES.contains(&engine) || (engine.is_empty() && flavor.is_empty()) {
        return Ok(());
    }
    if engine.is_empty() {
        let reason = Some(version.tag(tag::UNSERVABLE)).filter(|reason| !reason.is_empty());
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        return Err(Error::NotServable { model, version: number, flavor: flavor.to_owned(), reason });
    }
    Err(Error::UnknownEngine { model, version: number, engine: engine.to_owned(), known: ENGINES.join(", ") })
}

/// A registered model's name in the name of a branch, where git allows less than the registry: other characters become `-`.
pub(crate) fn in_branch(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u64, accuracy: &str, data: &str) -> ModelVersion {
        let tags = [(tag::ACCURACY, accuracy), (tag::DATASET_DIGEST, data), (tag::DIGEST, "sha256:…")];
        ModelVersion {
            name: "mnist".to_owned(),
            version: number.to_string(),
            status: "READY".to_owned(),
            tags: tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            ..ModelVersion::default()
        }
    }

    fn best(versions: &[ModelVersion]) -> Option<u64> {
        best_version("mnist", versions).ok().map(ModelVersion::number)
    }

    #[test]
    fn the_best_is_the_most_accurate_and_of_equals_the_oldest() {
        assert_eq!(best(&[version(3, "0.97", "a"), version(2, "0.98", "a"), version(1, "0.98", "a")]), Some(1));
        assert_eq!(best(&[version(2, "NaN", "a"), version(1, "0.5", "a")]), Some(1));
        assert_eq!(best(&[version(1, "", "a")]), None);
    }

    #[test]
    fn a_version_that_no_server_runs_is_refused_by_its_flavour() {
        let tagged = |tags: &[(&str, &str)]| {
            let mut tagged = version(3, "0.9", "a");
            tagged.tags.extend(tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
            tagged
        };
        for runs in
            [&[][..], &[(tag::ENGINE, "torchscript")], &[(tag::ENGINE, "aotinductor"), (tag::FLAVOR, "pytorch")]]
        {
            assert!(servable(&tagged(runs)).is_ok(), "{runs:?}");
        }
        let forest = tagged(&[(tag::FLAVOR, "sklearn")]);
        let error = servable(&forest).unwrap_err().to_string();
        assert!(error.contains("runs version 3 of mnist: it is of MLflow's flavour sklearn"), "{error}");
        assert!(error.contains("`mlflow models serve -m models:/mnist/3` runs it"), "{error}");
        let error = servable(&tagged(&[(tag::ENGINE, "onnx")])).unwrap_err().to_string();
        assert!(error.contains("the engine `onnx`") && error.contains("builtin, torchscript, aotinductor"), "{error}");
        assert_eq!(best(&[forest, version(1, "0.5", "a")]), Some(1));
        let fixed = tagged(&[(tag::FLAVOR, "pytorch"), (tag::UNSERVABLE, "it does not answer 3 rows at once")]);
        let error = best_version("mnist", &[fixed]).unwrap_err().to_string();
        assert!(error.contains("flavour pytorch: it does not answer 3 rows at once. Servers run"), "{error}");
    }

    #[test]
    fn no_tag_of_a_version_leaves_its_cell() {
        let hostile = [
            "`x` @org/team",
            "a | b | @org/team",
            "</td></table><img src=x onerror=alert(1)>",
            "x\n\n# Approved\n\n@org/team [x](https://evil.example)",
            "\u{1b}[31m\u{202e}x\u{0}",
            "```````",
            "\\`|`",
        ];
        let keys = [
            tag::ACCURACY,
            tag::COMPARED_BY,
            tag::ENGINE,
            tag::TRAINJOB,
            tag::EXPERIMENT_FILE,
            tag::COMMIT,
            tag::DATASET,
        ];
        for (at, text) in hostile.iter().enumerate() {
            let mut version = version(3, "0.9", "a");
            // each text in another place, and one that is long
            let texts = hostile.iter().cycle().skip(at).map(|text| (*text).to_owned());
            version.tags.extend(keys.iter().map(|key| (*key).to_owned()).zip(texts));
            version.tags.insert(tag::ARCHITECTURE.to_owned(), text.repeat(1000));
            let table = described(&version, ("replaces", "version 2"));
            assert!(table.starts_with("| | |\n|---|---|\n| replaces | version 2 |\n"), "{table}");
            // three rows above, those of the keys and of the architecture, and those of the two digests
            assert_eq!(table.lines().count(), 3 + keys.len() + 1 + 2, "{table}");
            for row in table.lines().skip(2) {
                let cells: Vec<&str> = row.split('|').collect();
                assert_eq!(cells.len(), 4, "{row}");
                let value = cells[2].trim();
                let is_code = value.starts_with('`') && value.ends_with('`')
                    || value.starts_with("<code>") && value.ends_with("</code>");
                assert!(is_code || value == "version 2", "{row}");
                assert!(!value.starts_with('<') || !value.contains(['@', '[', '`']), "{row}");
                assert!(value.chars().count() < 3_000, "{row}");
            }
            assert!(!table.contains(['\u{1b}', '\u{202e}', '\u{0}']), "{table}");
        }
        let mut version = version(3, "0.9", "a");
        version.tags.insert(tag::ENGINE.to_owned(), "a`b|<b>".to_owned());
        let row = "| engine | <code>a&#96;b&#124;&#60;b&#62;</code> |\n";
        assert!(described(&version, ("replaces", "x")).contains(row), "{}", described(&version, ("replaces", "x")));
    }

    #[test]
    fn a_promotion_s_version_is_in_the_name_of_its_branch() {
        let opened = |branch: &str| Opened {
            number: 1,
            url: String::new(),
            branch: branch.to_owned(),
            title: String::new(),
            head: String::new(),
            state: slipway_forge::PullRequestState::Open,
            base: String::new(),
            body: String::new(),
            author: String::new(),
            labels: Vec::new(),
            reviewers: Vec::new(),
            is_draft: false,
            head_repository: None,
            is_fork: false,
            merge_commit: None,
            commits: None,
            opened_at: None,
        };
        let version = |branch: &str, model: &str| Promotion::version_of(&opened(branch), model, "local");
        assert_eq!(version("slipway/serve-mnist-12-local-0123abcd-89abcdef", "mnist"), Some(12));
        assert_eq!(version("slipway/serve-mnist-4-12-local-0123abcd-89abcdef", "mnist-4"), Some(12));
        for other in [
            "slipway/serve-mnist-4-12-local-0123abcd-89abcdef",
            "slipway/serve-mnist-12-staging-0123abcd-89abcdef",
            "slipway/try-mnist-12-local-0123abcd-89abcdef",
            "serve-mnist-x",
        ] {
            assert_eq!(version(other, "mnist"), None, "{other}");
        }
        let closed = Opened {
            state: slipway_forge::PullRequestState::Closed,
            ..opened("slipway/serve-mnist-12-local-0123abcd-89abcdef")
        };
        assert_eq!(Promotion::version_of(&closed, "mnist", "local"), None);
    }

    #[test]
    fn any_model_has_a_branch() {
        assert_eq!(in_branch("mnist_2"), "mnist_2");
        assert_eq!(in_branch("odd: ~name..lock"), "odd---name--lock");
    }

    #[test]
    fn what_a_gate_requires_is_what_versions_are_compared_by() {
        let losing = |number, loss: f64| {
            let by = serde_json::json!({"metric": "loss", "value": loss, "moreIsBetter": false});
            let mut version = version(number, "0.5", "a");
            version.tags.insert(tag::COMPARED_BY.to_owned(), by.to_string());
            version
        };
        assert_eq!(best(&[losing(3, 0.2), losing(2, 0.1), losing(1, 0.1)]), Some(1));
        // an earlier version that was judged by its accuracy is another matter
        assert_eq!(best(&[losing(3, 0.2), version(2, "0.99", "a")]), Some(3));
        assert_eq!(score(&losing(1, 0.1)).map(|score| score.metric), Some("loss".to_owned()));
        let mut damaged = version(1, "", "a");
        damaged.tags.insert(tag::COMPARED_BY.to_owned(), "{".to_owned());
        assert_eq!(score(&damaged), None);
    }

    #[test]
    fn accuracies_on_other_data_are_not_compared() {
        assert_eq!(best(&[version(3, "0.91", "new"), version(2, "0.90", "new"), version(1, "0.99", "old")]), Some(3));
    }
}
