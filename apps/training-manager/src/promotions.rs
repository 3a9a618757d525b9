//! The pull request that puts a better version into service: opened once for each version and environment, whatever became of it.

use slipway_cluster::Leadership;
use slipway_experiment::Spec;
use slipway_forge::Opened;
use slipway_mlflow::{Client, ModelVersion};
use slipway_names::tag;
use slipway_outcome::Registered;
use slipway_proposal::{Opening, Promotion, best_version, score};
use slipway_report::Results;
use slipway_service::{Followed, first_stays, must_lead};

use crate::error::{Error, Result};
use crate::mark::Mark;

/// What becomes of a version that is better than the one in service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nothing: a person promotes.
    Never,
    /// A pull request is opened.
    #[default]
    Propose,
    /// It is merged too, once its check is green.
    Merge,
}

impl Policy {
    /// What an experiment says for an environment.
    #[must_use]
    pub fn of(spec: &Spec, environment: &str) -> Self {
        match &spec.promote {
            promote if !promote.proposes() => Self::Never,
            promote if promote.merges_in(environment) => Self::Merge,
            _ => Self::Propose,
        }
    }
}

/// The version that should be in service in place of the one that is. `None` while trials run, and if no version is better by the same metric on the
/// same test data; the report says which.
pub(crate) fn better<'a>(registered: &'a Registered, results: &Results) -> Option<&'a ModelVersion> {
    let best = registered.best.as_ref()?;
    let has_ended = results.experiments.get(registered.at)?.trials.iter().all(|trial| trial.state.is_over());
    let digest = best.tag(tag::DATASET_DIGEST);
    // those of other experiments count too: of all that were tested on the same data one is proposed
    let own = score(best)?;
    let same: Vec<ModelVersion> =
        registered.versions.iter().filter(|version| version.tag(tag::DATASET_DIGEST) == digest).cloned().collect();
    let others = same.iter().filter(|version| score(version).is_some_and(|score| score.is_comparable(&own)));
    let others: Vec<ModelVersion> = others.cloned().collect();
    let is_best = best_version(&registered.model, &others).is_ok_and(|found| found.number() == best.number());
    let beats = match registered.in_service {
        None => true,
        Some(number) => same
            .iter()
            .find(|version| version.number() == number)
            // one without a value is beaten by every other
            .is_some_and(|service| !digest.is_empty() && score(service).is_none_or(|service| own.beats(&service))),
    };
    (has_ended && is_best && beats).then_some(best)
}

/// What came of proposing a version.
#[derive(Debug, Default)]
pub(crate) struct Proposed {
    /// Whether its pull request was opened, or found for the first time.
    pub(crate) is_new: bool,
    /// Its pull request, if that is open.
    pub(crate) open: Option<Opened>,
    /// Why it could not be kept that it was proposed, although its pull request is there.
    pub(crate) unmarked: Option<Error>,
}

/// Opens the promotion of a version, unless there was one already, which may be open, merged or closed.
///
/// That there was one is kept with the version's run in MLflow, because a forge lists only its newest pull requests. Between opening and that there
/// is a moment; whoever begins again then finds it among the newest.
pub(crate) async fn propose(
    followed: &Followed,
    mlflow: &Client,
    leadership: &Leadership,
    environment: &str,
    version: &ModelVersion,
) -> Result<Proposed> {
    let forge = &followed.remote.forge;
    let is_it = |opened: &Opened| Promotion::is_one(opened, &version.name, version.number(), environment);
    let mark = Mark::of(mlflow, version, tag::PROMOTION, environment);
    let newest = forge.newest().await?;
    if let Some(found) = first(&newest, is_it) {
        return keep(&mark, leadership, found).await;
    }
    if mark.is_set().await? {
        return Ok(Proposed::default());
    }
    let promotion = Promotion::prepare(&followed.git, &followed.remote, environment, version).await?;
    if promotion.is_empty() {
        return Ok(Proposed::default());
    }
    // the dataset monitor opens promotions, too, and keeps no mark
    if let Some(found) = first(&forge.opened_since(Promotion::earliest(version)).await?, is_it) {
        return keep(&mark, leadership, found).await;
    }
    must_lead(leadership)?;
    let opening = Opening { is_reported: true, ..Opening::default() };
    let opened = promotion.open(&followed.git, &followed.remote, None, opening).await?;
    tracing::info!("opened #{} to put version {} of {} into service", opened.number, version.version, version.name);
    let newest = forge.newest().await?;
    let first = first_stays::<Error>(forge, leadership, first(&newest, is_it).cloned(), opened).await?;
    keep(&mark, leadership, &first).await
}

/// Keeps that there is a pull request. It is there whatever becomes of that, so a failure is part of what is returned.
async fn keep(mark: &Mark<'_>, leadership: &Leadership, opened: &Opened) -> Result<Proposed> {
    let open = Some(opened.clone()).filter(Opened::is_open);
    match mark.set(leadership, opened).await {
        Ok(is_new) => Ok(Proposed { is_new, open, unmarked: None }),
        Err(error @ Error::NotLeader(_)) => Err(error),
        Err(error) => Ok(Proposed { is_new: false, open, unmarked: Some(error) }),
    }
}

/// The first of these pull requests.
pub(crate) fn first(newest: &[Opened], is_it: impl Fn(&Opened) -> bool) -> Option<&Opened> {
    newest.iter().filter(|opened| is_it(opened)).min_by_key(|opened| opened.number)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;
    use serde_json::json;
    use slipway_forge::PullRequestState;
    use slipway_git::{Repository, Update};
    use slipway_report::{ExperimentResults, TrialResult, TrialState};
    use wiremock::matchers::{method, path_regex};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::leading::{leads, stand_still};

    fn version(number: u64, accuracy: &str, data: &str) -> ModelVersion {
        let tags = [(tag::ACCURACY, accuracy), (tag::DATASET_DIGEST, data), (tag::DIGEST, "sha256:…")];
        ModelVersion {
            name: "mnist".to_owned(),
            version: number.to_string(),
            status: "READY".to_owned(),
            tags: tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            ..ModelVersion::default()
        }
    }

    /// Version 3 is the best one of the trials.
    fn found(in_service: Option<u64>, others: &[ModelVersion], state: TrialState) -> Option<u64> {
        let best = version(3, "0.97", "a");
        let versions = others.iter().chain([&best]).cloned().collect();
        let registered =
            Registered { at: 0, model: "mnist".to_owned(), versions, best: Some(best.clone()), in_service };
        let trials = [TrialState::Finished, state].map(|state| TrialResult { state, ..TrialResult::default() });
        let experiment = ExperimentResults { trials: trials.into(), ..ExperimentResults::default() };
        better(&registered, &Results { experiments: vec![experiment], ..Results::default() }).map(ModelVersion::number)
    }

    #[rstest]
    #[case::nothing_in_service(None, &[], TrialState::Finished, true)]
    #[case::better(Some(1), &[version(1, "0.96", "a")], TrialState::Finished, true)]
    #[case::others_failed(Some(1), &[version(1, "0.96", "a")], TrialState::Failed(String::new()), true)]
    #[case::without_accuracy(Some(1), &[version(1, "", "a")], TrialState::Cancelled, true)]
    #[case::still_running(Some(1), &[version(1, "0.96", "a")], TrialState::Running, false)]
    #[case::still_waiting(Some(1), &[version(1, "0.96", "a")], TrialState::Waiting(None), false)]
    #[case::not_better(Some(1), &[version(1, "0.97", "a")], TrialState::Finished, false)]
    #[case::worse(Some(1), &[version(1, "0.98", "a")], TrialState::Finished, false)]
    #[case::on_other_data(Some(1), &[version(1, "0.5", "b")], TrialState::Finished, false)]
    #[case::service_is_unknown(Some(9), &[], TrialState::Finished, false)]
    #[case::in_service(Some(3), &[], TrialState::Finished, false)]
    #[case::another_is_better(Some(1), &[version(1, "0.5", "a"), version(2, "0.98", "a")], TrialState::Finished, false)]
    #[case::another_is_worse(Some(1), &[version(1, "0.5", "a"), version(4, "0.9", "a")], TrialState::Finished, true)]
    fn a_version_is_proposed_if_it_is_better_on_the_same_data(
        #[case] in_service: Option<u64>,
        #[case] others: &[ModelVersion],
        #[case] state: TrialState,
        #[case] expected: bool,
    ) {
        assert_eq!(found(in_service, others, state), expected.then_some(3));
    }

    #[test]
    fn a_program_s_version_is_proposed_by_what_its_gate_requires() {
        let by_f1 = |number, value: f64, data: &str| {
            let score = serde_json::json!({"metric": "f1", "value": value, "moreIsBetter": true});
            let mut version = version(number, "", data);
            version.tags.insert(tag::COMPARED_BY.to_owned(), score.to_string());
            version
        };
        let proposed = |service: ModelVersion| {
            let best = by_f1(3, 0.9, "a");
            let (in_service, versions) = (Some(service.number()), vec![service, best.clone()]);
            let registered = Registered { at: 0, model: "mnist".to_owned(), versions, best: Some(best), in_service };
            let results = Results { experiments: vec![ExperimentResults::default()], ..Results::default() };
            better(&registered, &results).is_some()
        };
        assert!(proposed(by_f1(1, 0.8, "a")) && !proposed(by_f1(1, 0.9, "a")) && !proposed(by_f1(1, 0.1, "b")));
        // accuracy is another metric
        assert!(!proposed(version(1, "0.1", "a")));
    }

    /// A repository with nothing in service, and a version that may come into service.
    fn repository(folder: &Path) -> (Followed, ModelVersion) {
        let path = folder.join("forge.git");
        let git = Repository::init_bare(&path).unwrap();
        let models =
            |environment| (format!("overlays/{environment}/server/models.yaml"), Some(b"models: []\n".to_vec()));
        let main = git.commit(None, &["local", "staging"].map(models).into(), "first").unwrap();
        assert!(git.update(&[Update { name: "refs/heads/main", to: &main, from: None }]).unwrap());
        let followed = Followed::open(&path.display().to_string(), "", Path::new("/nowhere")).unwrap();
        let mut version = version(3, "0.97", "a");
        version.tags.insert(tag::DIGEST.to_owned(), format!("sha256:{}", "a".repeat(64)));
        (followed, version)
    }

    #[tokio::test]
    async fn who_does_not_lead_any_more_proposes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (followed, version) = repository(folder.path());
        // it is not asked
        let mlflow = Client::new("http://127.0.0.1:1").unwrap();
        let leadership = leads();
        stand_still().await;
        let proposed = propose(&followed, &mlflow, &leadership, "local", &version).await;
        assert!(matches!(proposed, Err(Error::NotLeader(_))), "{proposed:?}");
        assert!(followed.remote.forge.newest().await.unwrap().is_empty());
    }

    /// MLflow with the version's run, which has these tags, and what it answers to a new one.
    async fn mlflow(tags: &serde_json::Value, set: u16) -> MockServer {
        let server = MockServer::start().await;
        let info = json!({"run_id": "r", "experiment_id": "1", "status": "FINISHED"});
        let run = json!({"run": {"info": info, "data": {"tags": tags}}});
        let refused = json!({"error_code": "PERMISSION_DENIED", "message": "Permission denied"});
        for (verb, at, answer) in [
            ("GET", "/runs/get$", ResponseTemplate::new(200).set_body_json(run)),
            ("POST", "/runs/set-tag$", ResponseTemplate::new(set).set_body_json(refused)),
        ] {
            Mock::given(method(verb)).and(path_regex(at)).respond_with(answer).mount(&server).await;
        }
        server
    }

    #[tokio::test]
    async fn a_version_that_was_proposed_is_not_proposed_again_when_nobody_lists_its_pull_request() {
        let folder = tempfile::tempdir().unwrap();
        let (followed, version) = repository(folder.path());
        let version = ModelVersion { run_id: Some("r".to_owned()), ..version };
        let server = mlflow(&json!([{"key": "slipway.promotion.local", "value": "7"}]), 200).await;
        let client = Client::new(&server.uri()).unwrap();
        let proposed = propose(&followed, &client, &leads(), "local", &version).await.unwrap();
        assert!(!proposed.is_new && proposed.open.is_none() && proposed.unmarked.is_none(), "{proposed:?}");
        assert!(followed.remote.forge.newest().await.unwrap().is_empty());
        // that is about one environment
        let other = propose(&followed, &client, &leads(), "staging", &version).await;
        assert!(other.is_ok_and(|other| other.open.is_some()));
    }

    #[tokio::test]
    async fn what_mlflow_does_not_keep_is_open_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (followed, version) = repository(folder.path());
        let version = ModelVersion { run_id: Some("r".to_owned()), ..version };
        let server = mlflow(&json!([]), 403).await;
        let client = Client::new(&server.uri()).unwrap();
        for _ in 0..2 {
            let proposed = propose(&followed, &client, &leads(), "local", &version).await.unwrap();
            assert!(!proposed.is_new && proposed.open.is_some(), "{proposed:?}");
            assert!(matches!(proposed.unmarked, Some(Error::Mlflow(_))), "{proposed:?}");
        }
        assert_eq!(followed.remote.forge.newest().await.unwrap().len(), 1);
    }

    #[test]
    fn the_first_pull_request_of_a_version_is_neither_of_a_fork_nor_of_another_environment() {
        let opened = |number, environment, is_fork| Opened {
            number,
            url: String::new(),
            branch: format!("slipway/serve-mnist-3-{environment}-0123abcd-0000000{number}"),
            title: String::new(),
            head: String::new(),
            state: PullRequestState::Open,
            base: String::new(),
            body: String::new(),
            author: String::new(),
            labels: Vec::new(),
            reviewers: Vec::new(),
            is_draft: false,
            head_repository: None,
            is_fork,
            merge_commit: None,
            commits: None,
            opened_at: None,
        };
        let newest = [
            opened(9, "local", false),
            opened(8, "local", false),
            opened(7, "local", true),
            opened(6, "local-2", false),
        ];
        let found = |number: u64, environment: &str| {
            first(&newest, |opened| Promotion::is_one(opened, "mnist", number, environment)).map(|opened| opened.number)
        };
        assert_eq!((found(3, "local"), found(3, "local-2")), (Some(8), Some(6)));
        assert_eq!((found(4, "local"), found(3, "loc")), (None, None));
    }
}
