//! The pull request that puts a better version into service: opened once for each version and environment, whatever became of it.

use slipway_cluster::Leadership;
use slipway_experiment::Spec;
use slipway_forge::Opened;
use slipway_mlflow::{Client, ModelVersion};
use slipway_names::tag;
use slipway_outcome::Registered;
use slipway_proposal::{Opening, Promotion, best_version, promotion_branch};
use slipway_report::Results;

use crate::error::Result;
use crate::leading::must_lead;
use crate::repository::Followed;

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

/// The version that should be in service in place of the one that is. `None` while trials run, and if no version is better on the same test data.
pub(crate) fn better<'a>(registered: &'a Registered, results: &Results) -> Option<&'a ModelVersion> {
    let best = registered.best.as_ref()?;
    let has_ended = results.experiments.get(registered.at)?.trials.iter().all(|trial| trial.state.is_over());
    let digest = best.tag(tag::DATASET_DIGEST);
    // those of other experiments count too: of all that were tested on the same data one is proposed
    let same: Vec<ModelVersion> =
        registered.versions.iter().filter(|version| version.tag(tag::DATASET_DIGEST) == digest).cloned().collect();
    let is_best = best_version(&registered.model, &same).is_ok_and(|found| found.number() == best.number());
    let beats = match registered.in_service {
        None => true,
        Some(number) => same
            .iter()
            .find(|version| version.number() == number)
            .is_some_and(|service| !digest.is_empty() && accuracy(best) > accuracy(service)),
    };
    (has_ended && is_best && beats).then_some(best)
}

/// The accuracy on test data; a version without one is beaten by every other.
fn accuracy(version: &ModelVersion) -> f64 {
    version.tag(tag::ACCURACY).parse().ok().filter(|accuracy: &f64| accuracy.is_finite()).unwrap_or(f64::NEG_INFINITY)
}

/// What came of proposing a version.
#[derive(Debug, Default)]
pub(crate) struct Proposed {
    /// Whether its pull request was opened, or found for the first time.
    pub(crate) is_new: bool,
    /// Its pull request, if that is open.
    pub(crate) open: Option<Opened>,
}

/// Opens the promotion of a version, unless there was one already, which may be open, merged or closed.
///
/// That there was one is kept with the version in MLflow, because a forge lists only its newest pull requests. Between opening and that there is a
/// moment; whoever begins again then finds it among the newest.
pub(crate) async fn propose(
    followed: &Followed,
    mlflow: &Client,
    leadership: &Leadership,
    environment: &str,
    version: &ModelVersion,
) -> Result<Proposed> {
    let forge = &followed.remote.forge;
    let branch = promotion_branch(&version.name, version.number(), environment);
    let mark = format!("{}.{environment}", tag::PROMOTION);
    let newest = forge.newest().await?;
    let was_proposed = !version.tag(&mark).is_empty();
    if let Some(found) = first(&newest, &branch) {
        if !was_proposed {
            must_lead(leadership)?;
            set(mlflow, version, &mark, found).await?;
        }
        return Ok(Proposed { is_new: !was_proposed, open: Some(found.clone()).filter(Opened::is_open) });
    }
    if was_proposed {
        return Ok(Proposed::default());
    }
    let promotion = Promotion::prepare(&followed.git, &followed.remote, environment, version).await?;
    if promotion.is_empty() {
        return Ok(Proposed::default());
    }
    must_lead(leadership)?;
    let opening = Opening { is_reported: true, ..Opening::default() };
    let opened = promotion.open(&followed.git, &followed.remote, None, opening).await?;
    tracing::info!("opened #{} to put version {} of {} into service", opened.number, version.version, version.name);
    // two managers that both took themselves for the leader may have opened one on two commits of the default branch: the first one stays
    let newest = forge.newest().await?;
    let first = first(&newest, &branch).unwrap_or(&opened);
    must_lead(leadership)?;
    if first.number < opened.number {
        forge.close(opened.number).await?;
    }
    set(mlflow, version, &mark, first).await?;
    Ok(Proposed { is_new: true, open: Some(first.clone()).filter(Opened::is_open) })
}

/// The first pull request of these branches; those of forks are anybody's.
fn first<'a>(newest: &'a [Opened], branch: &str) -> Option<&'a Opened> {
    let of_branch = newest.iter().filter(|opened| !opened.is_fork && opened.branch.starts_with(branch));
    of_branch.min_by_key(|opened| opened.number)
}

async fn set(mlflow: &Client, version: &ModelVersion, mark: &str, opened: &Opened) -> Result<()> {
    Ok(mlflow.set_model_version_tag(&version.name, &version.version, mark, &opened.number.to_string()).await?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;
    use slipway_forge::PullRequestState;
    use slipway_git::{Repository, Update};
    use slipway_report::{ExperimentResults, TrialResult, TrialState};

    use super::*;
    use crate::error::Error;
    use crate::leading::tests::{leads, stand_still};

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

    #[tokio::test]
    async fn who_does_not_lead_any_more_proposes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("forge.git");
        let git = Repository::init_bare(&path).unwrap();
        let files = [("overlays/local/server/models.yaml".to_owned(), Some(b"models: []\n".to_vec()))];
        let main = git.commit(None, &files.into(), "first").unwrap();
        assert!(git.update(&[Update { name: "refs/heads/main", to: &main, from: None }]).unwrap());
        let followed = Followed::open(&path.display().to_string(), "", Path::new("/nowhere")).unwrap();
        let mut version = version(3, "0.97", "a");
        version.tags.insert(tag::DIGEST.to_owned(), format!("sha256:{}", "a".repeat(64)));
        // it is not asked
        let mlflow = Client::new("http://127.0.0.1:1").unwrap();
        let leadership = leads();
        stand_still().await;
        let proposed = propose(&followed, &mlflow, &leadership, "local", &version).await;
        assert!(matches!(proposed, Err(Error::NotLeader)), "{proposed:?}");
        assert!(followed.remote.forge.newest().await.unwrap().is_empty());
    }

    #[test]
    fn the_first_pull_request_of_a_version_is_not_one_of_a_fork() {
        let opened = |number, is_fork| Opened {
            number,
            url: String::new(),
            branch: format!("slipway/serve-mnist-3-local-{number}"),
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
        let newest = [opened(9, false), opened(8, false), opened(7, true)];
        let found = |model: &str| first(&newest, &promotion_branch(model, 3, "local")).map(|opened| opened.number);
        assert_eq!((found("mnist"), found("other")), (Some(8), None));
    }
}
