//! Which TrainJobs have ended and what came of them, as MLflow and the loop on this machine know it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use slipway_embedded::{JobStatus, Phase};
use slipway_experiment::{JobResult, JobState, TrainJob};
use slipway_mlflow::Client;
use slipway_proposal::results_of;
use time::OffsetDateTime;

use crate::failure::Failure;

/// How long ago a run must have failed for its job to have ended, where nothing but the run is known: another attempt follows within
/// minutes.
const SETTLED: Duration = Duration::from_secs(3600);

/// What came of those TrainJobs that have ended, by their names. `jobs_folder` is where the loop on this machine keeps the status of each;
/// it knows whether a job has ended.
pub(crate) async fn ended(
    mlflow: &Client,
    jobs_folder: Option<&Path>,
    jobs: &[&TrainJob],
) -> Result<BTreeMap<String, JobResult>, Failure> {
    let mut known = results_of(mlflow, jobs).await?;
    let mut results = BTreeMap::new();
    for job in jobs {
        let result = known.remove(&job.name);
        let status = match jobs_folder {
            Some(folder) => JobStatus::read(&folder.join(&job.name))?,
            None => None,
        };
        let result = match status {
            Some(status) => by_status(&status, result),
            None => result.filter(|result| is_settled(result, OffsetDateTime::now_utc())),
        };
        results.extend(result.map(|result| (job.name.clone(), result)));
    }
    Ok(results)
}

/// What came of a job whose status is known, and maybe its run.
fn by_status(status: &JobStatus, run: Option<JobResult>) -> Option<JobResult> {
    let ended = status.completion_time.or(run.as_ref().map(|run| run.ended));
    let bare = |state| {
        let started = status.start_time;
        ended.map(|ended| JobResult { started, ..JobResult::new(state, ended) })
    };
    match status.phase {
        Phase::Pending | Phase::Running | Phase::Cancelled => None,
        Phase::Complete => {
            run.filter(|run| matches!(run.state, JobState::Finished | JobState::Refused)).or(bare(JobState::Finished))
        }
        // a worker that was killed could not say why
        Phase::Failed => {
            let result = run.or(bare(JobState::Failed))?;
            let reason = result.reason.clone().or_else(|| Some(status.message().to_owned()));
            Some(JobResult { state: JobState::Failed, reason, ..result })
        }
    }
}

/// Whether no other attempt follows: its run finished, or nothing has followed for long.
fn is_settled(result: &JobResult, now: OffsetDateTime) -> bool {
    match result.state {
        JobState::Finished | JobState::Refused => true,
        JobState::Failed | JobState::Cancelled => now - result.ended >= SETTLED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap()
    }

    fn status(phase: Phase, message: &str) -> JobStatus {
        let text = format!(
            "phase: {phase:?}\nconditions:\n- {{type: Failed, status: 'True', reason: R, message: '{message}', lastTransitionTime: '2027-01-15T08:00:09Z'}}\n\
             jobsStatus: []\nstartTime: '2027-01-15T08:00:00Z'\ncompletionTime: '2027-01-15T08:00:09Z'\n"
        );
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("status.yaml"), text).unwrap();
        JobStatus::read(folder.path()).unwrap().unwrap()
    }

    #[test]
    fn a_failed_run_says_nothing_of_its_job_until_no_attempt_can_follow() {
        for (state, after, settled) in [
            (JobState::Finished, 0, true),
            (JobState::Refused, 0, true),
            (JobState::Failed, 60, false),
            (JobState::Cancelled, 3599, false),
            (JobState::Failed, 3600, true),
        ] {
            assert_eq!(is_settled(&JobResult::new(state, at(0)), at(after)), settled, "{state}");
        }
    }

    #[test]
    fn the_status_decides_whether_a_job_has_ended_and_the_run_what_came_of_it() {
        let run = |state| JobResult { run: Some("r".to_owned()), ..JobResult::new(state, at(5)) };
        for phase in [Phase::Pending, Phase::Running, Phase::Cancelled] {
            assert_eq!(by_status(&status(phase, ""), Some(run(JobState::Finished))), None, "{phase:?}");
        }
        let refused = by_status(&status(Phase::Complete, ""), Some(run(JobState::Refused)));
        assert_eq!(refused, Some(run(JobState::Refused)));
        let lost = by_status(&status(Phase::Complete, ""), None).unwrap();
        assert_eq!((lost.state, lost.started, lost.ended), (JobState::Finished, Some(at(0)), at(9)));
        let killed = by_status(&status(Phase::Failed, "no memory"), Some(run(JobState::Cancelled))).unwrap();
        assert_eq!(
            (killed.state, killed.reason.as_deref(), killed.run.as_deref()),
            (JobState::Failed, Some("no memory"), Some("r"))
        );
        let never = by_status(&status(Phase::Failed, "it asks for 5 GPUs"), None).unwrap();
        assert_eq!((never.state, never.reason.as_deref()), (JobState::Failed, Some("it asks for 5 GPUs")));
    }
}
