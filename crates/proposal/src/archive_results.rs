//! What came of TrainJobs, as their runs and versions in MLflow say.

use std::collections::{BTreeMap, BTreeSet};

use slipway_experiment::{JobResult, JobState, TrainJob, Unmet};
use slipway_mlflow::{Client, Earlier, ModelVersion, Run, RunStatus, newest_runs};
use slipway_names::tag;
use time::OffsetDateTime;

/// What came of TrainJobs by the newest run of each, and by the versions that they registered; how long they took by the runs of all attempts. One
/// without a run, or whose newest run is open, is left out. A run that failed or was killed does not say that its job has ended: JobSet may
/// start another attempt.
///
/// # Errors
/// When MLflow refuses or fails.
pub async fn results_of(mlflow: &Client, jobs: &[&TrainJob]) -> slipway_mlflow::Result<BTreeMap<String, JobResult>> {
    let names: BTreeSet<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
    let experiments: BTreeSet<&str> = jobs.iter().filter_map(|job| job.experiment()).collect();
    let models: BTreeSet<String> = jobs.iter().filter_map(|job| Some(job.trial().ok()??.register?.model)).collect();
    let mut runs: BTreeMap<String, (Run, Earlier)> = BTreeMap::new();
    for experiment in experiments {
        let Some(id) = mlflow.get_experiment(experiment).await? else { continue };
        let found = newest_runs(mlflow.search_runs(&[&id], "", &["attributes.start_time ASC"]).await?);
        runs.extend(found.into_iter().filter(|(job, _)| names.contains(job.as_str())));
    }
    let mut versions: BTreeMap<String, ModelVersion> = BTreeMap::new();
    for model in models {
        let all = mlflow.search_model_versions(&model).await?;
        versions.extend(all.into_iter().map(|version| (version.tag(tag::TRAINJOB).to_owned(), version)));
    }
    let results = runs.into_iter().filter_map(|(job, (run, earlier))| {
        let result = result_of(&run, versions.get(&job))?;
        Some((job, with_earlier(result, &run, &earlier)))
    });
    Ok(results.collect())
}

/// What came of a TrainJob by a run of it and the version that it registered. Returns `None` as long as the run is open.
#[must_use]
pub fn result_of(run: &Run, version: Option<&ModelVersion>) -> Option<JobResult> {
    if run.is_open() {
        return None;
    }
    let text = |name: &str| run.tags.get(name).filter(|text| !text.is_empty()).cloned();
    let refused = run.tags.get(tag::GATE).is_some_and(|gate| gate == "refused");
    let (state, reason) = match run.status {
        RunStatus::Scheduled | RunStatus::Running => return None,
        RunStatus::Killed => (JobState::Cancelled, text(tag::FAILURE)),
        RunStatus::Failed => (JobState::Failed, text(tag::FAILURE)),
        RunStatus::Finished if refused => (JobState::Refused, text(tag::GATE_UNMET).map(|unmet| in_words(&unmet))),
        RunStatus::Finished => (JobState::Finished, None),
    };
    let version = version.filter(|version| version.status == "READY");
    Some(JobResult {
        reason,
        started: run.start_time.and_then(time),
        metrics: run.metrics.clone(),
        run: Some(run.run_id.clone()),
        run_experiment: Some(run.experiment_id.clone()),
        model: version.map(|version| version.name.clone()),
        version: version.map(ModelVersion::number),
        digest: version.map(|version| version.tag(tag::DIGEST).to_owned()).filter(|digest| !digest.is_empty()),
        ..JobResult::new(state, run.end_time.and_then(time)?)
    })
}

/// A result with the attempts before the newest one: when the first one began, and how long all of them took.
fn with_earlier(result: JobResult, run: &Run, earlier: &Earlier) -> JobResult {
    let (Some(began), Some(start), Some(end)) = (earlier.began().and_then(time), run.start_time, run.end_time) else {
        return result;
    };
    let last = end.saturating_sub(start).max(0) as f64 / 1000.0;
    JobResult { started: Some(began), seconds: Some(last + earlier.seconds_before(start)), ..result }
}

/// The bounds that a gate's tag lists, in words; the tag itself if it cannot be read.
fn in_words(unmet: &str) -> String {
    let Ok(bounds) = serde_json::from_str::<Vec<Unmet>>(unmet) else { return unmet.to_owned() };
    bounds.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A time by its milliseconds since 1970.
fn time(milliseconds: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    fn run(status: RunStatus, tags: &[(&str, &str)]) -> Run {
        Run {
            run_id: "0".repeat(32),
            run_name: String::new(),
            experiment_id: "1".to_owned(),
            status,
            start_time: Some(1_800_000_000_000),
            end_time: (status != RunStatus::Running).then_some(1_800_000_090_500),
            artifact_uri: String::new(),
            metrics: [("accuracy".to_owned(), 0.5)].into(),
            steps: BTreeMap::new(),
            params: BTreeMap::new(),
            tags: tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn a_run_says_how_its_job_ended_as_a_report_does() {
        let unmet = r#"[{"metric":"accuracy","value":0.5,"bound":">= 0.95"}]"#;
        for (status, tags, state, says) in [
            (RunStatus::Finished, vec![(tag::GATE, "passed")], JobState::Finished, None),
            (RunStatus::Finished, vec![(tag::GATE, "none")], JobState::Finished, None),
            (
                RunStatus::Finished,
                vec![(tag::GATE, "refused"), (tag::GATE_UNMET, unmet)],
                JobState::Refused,
                Some("accuracy"),
            ),
            (RunStatus::Finished, vec![(tag::GATE, "refused"), (tag::GATE_UNMET, "[")], JobState::Refused, Some("[")),
            (RunStatus::Failed, vec![(tag::FAILURE, "no memory")], JobState::Failed, Some("no memory")),
            (RunStatus::Killed, vec![], JobState::Cancelled, None),
        ] {
            let result = result_of(&run(status, &tags), None).unwrap();
            assert_eq!(result.state, state);
            assert_eq!(result.reason.is_some(), says.is_some(), "{result:?}");
            assert!(result.reason.unwrap_or_default().contains(says.unwrap_or_default()));
            assert_eq!((result.ended - result.started.unwrap()).as_seconds_f64(), 90.5);
        }
    }

    #[test]
    fn what_a_job_took_is_what_all_of_its_attempts_took() {
        let begun = 1_800_000_000_000;
        let of = |id: &str, status, start: i64, end: i64| Run {
            run_id: id.to_owned(),
            start_time: Some(begun + start),
            end_time: Some(begun + end),
            ..run(status, &[(tag::TRAINJOB, "a"), (tag::GATE, "passed")])
        };
        let runs = [of("one", RunStatus::Failed, 0, 600_000), of("two", RunStatus::Finished, 700_000, 1_000_000)];
        let (newest, earlier) = newest_runs(runs).remove("a").unwrap();
        let result = with_earlier(result_of(&newest, None).unwrap(), &newest, &earlier);
        assert_eq!(
            (result.state, result.run.as_deref(), result.seconds),
            (JobState::Finished, Some("two"), Some(900.0))
        );
        assert_eq!((result.ended - result.started.unwrap()).as_seconds_f64(), 1000.0);
        // of one attempt the record takes the time from its start to its end
        let (newest, earlier) = newest_runs([of("one", RunStatus::Finished, 0, 600_000)]).remove("a").unwrap();
        assert_eq!(with_earlier(result_of(&newest, None).unwrap(), &newest, &earlier).seconds, None);
    }

    #[test]
    fn an_open_run_is_no_result() {
        assert_eq!(result_of(&run(RunStatus::Running, &[]), None), None);
        // its program has finished, and the launcher has not judged it yet
        assert_eq!(result_of(&run(RunStatus::Finished, &[]), None), None);
    }

    #[test]
    fn a_version_counts_once_it_is_ready() {
        let version = |status: &str| ModelVersion {
            name: "mnist".to_owned(),
            version: "3".to_owned(),
            status: status.to_owned(),
            tags: [(tag::DIGEST.to_owned(), "sha256:1".to_owned())].into(),
            ..ModelVersion::default()
        };
        let finished = run(RunStatus::Finished, &[(tag::GATE, "passed")]);
        let result = result_of(&finished, Some(&version("READY"))).unwrap();
        assert_eq!(
            (result.model.as_deref(), result.version, result.digest.as_deref()),
            (Some("mnist"), Some(3), Some("sha256:1"))
        );
        assert_eq!(result_of(&finished, Some(&version("PENDING_REGISTRATION"))).unwrap().version, None);
    }
}
