//! The pull request that puts a better version into service: opened once for each version and environment, whatever became of it.

use slipway_experiment::Spec;
use slipway_forge::Opened;
use slipway_mlflow::{Client, ModelVersion};
use slipway_names::tag;
use slipway_outcome::Registered;
use slipway_proposal::{Opening, Promotion, best_version, promotion_branch};
use slipway_report::Results;

use crate::error::Result;
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

/// Opens the promotion of a version, unless there was one already, which may be open, merged or closed. Returns the one that is open.
///
/// That there was one is kept with the version in MLflow, because a forge lists only its newest pull requests. Between opening and that there is a
/// moment; whoever begins again then finds it among the newest.
pub(crate) async fn propose(
    followed: &Followed,
    mlflow: &Client,
    environment: &str,
    version: &ModelVersion,
) -> Result<Option<Opened>> {
    let forge = &followed.remote.forge;
    let branch = promotion_branch(&version.name, version.number(), environment);
    let mark = format!("{}.{environment}", tag::PROMOTION);
    let newest = forge.newest().await?;
    let found = first(&newest, &branch);
    let was_proposed = !version.tag(&mark).is_empty();
    if let Some(found) = found {
        if !was_proposed {
            set(mlflow, version, &mark, found).await?;
        }
        return Ok(Some(found.clone()).filter(Opened::is_open));
    }
    if was_proposed {
        return Ok(None);
    }
    let promotion = Promotion::prepare(&followed.git, &followed.remote, environment, version).await?;
    if promotion.is_empty() {
        return Ok(None);
    }
    let opened = promotion.open(&followed.git, &followed.remote, None, Opening::default()).await?;
    tracing::info!("opened #{} to put version {} of {} into service", opened.number, version.version, version.name);
    // two managers that both took themselves for the leader may have opened one on two commits of the default branch: the first one stays
    let newest = forge.newest().await?;
    let first = first(&newest, &branch).unwrap_or(&opened);
    if first.number < opened.number {
        forge.close(opened.number).await?;
    }
    set(mlflow, version, &mark, first).await?;
    Ok(Some(first.clone()).filter(Opened::is_open))
}

/// The first pull request of these branches.
fn first<'a>(newest: &'a [Opened], branch: &str) -> Option<&'a Opened> {
    newest.iter().filter(|opened| opened.branch.starts_with(branch)).min_by_key(|opened| opened.number)
}

async fn set(mlflow: &Client, version: &ModelVersion, mark: &str, opened: &Opened) -> Result<()> {
    Ok(mlflow.set_model_version_tag(&version.name, &version.version, mark, &opened.number.to_string()).await?)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use slipway_report::{ExperimentResults, TrialResult, TrialState};

    use super::*;

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
}
