//! How far a trial is: what its run in MLflow says, and what the cluster knows better.

use slipway_cluster::{State, Training};
use slipway_mlflow::{Run, RunStatus};
use slipway_names::tag::{FAILURE, GATE};
use slipway_report::{Hindrance, TrialState};

use crate::Result;
use crate::unregistered::{Unregistered, reason, unmet_bounds};

/// What is known of a TrainJob in its cluster.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// Nobody has looked.
    Unknown,
    /// It is not there.
    Gone,
    /// It is there.
    There(&'a Training),
}

/// How far a trial is. `is_wanted` is whether the default branch still asks for it.
///
/// The cluster knows whether workers run, why they cannot, and how they ended. The run knows what the gate said, and the reason of a failure in
/// the trainer's own words. Where the cluster says why by itself (out of memory, out of time, no image), no worker could have known.
///
/// # Errors
/// [`Error::Tag`](crate::Error::Tag).
pub fn state(run: Option<&Run>, seen: Seen<'_>, is_wanted: bool) -> Result<TrialState> {
    let said = run.map(of_run).transpose()?;
    let training = match seen {
        Seen::There(training) => training,
        // a run that is open cannot be of workers that are gone
        Seen::Gone if !is_wanted => {
            return Ok(said.filter(TrialState::is_over).unwrap_or(TrialState::Cancelled));
        }
        Seen::Gone => return Ok(said.filter(TrialState::is_over).unwrap_or_default()),
        Seen::Unknown => {
            let before = if is_wanted { TrialState::default() } else { TrialState::Cancelled };
            return Ok(match said {
                // one whose file has gone before it began never has a run
                None | Some(TrialState::Waiting(_)) => before,
                Some(said) => said,
            });
        }
    };
    let hindrance = training.hindrance.as_ref();
    Ok(match training.state {
        // its workers would find that an earlier attempt has done everything
        State::Waiting if matches!(said, Some(TrialState::Finished | TrialState::Refused(_))) => {
            said.unwrap_or_default()
        }
        State::Waiting => TrialState::Waiting(
            hindrance.map(|one| Hindrance { reason: one.reason.clone(), advice: one.advice.clone() }),
        ),
        State::Running => TrialState::Running,
        State::Ending => TrialState::Cancelled,
        State::Finished => match said {
            Some(TrialState::Refused(why)) => TrialState::Refused(why),
            _ => TrialState::Finished,
        },
        State::Failed => TrialState::Failed(match (hindrance, said) {
            (Some(one), _) if one.advice.is_empty() => one.reason.clone(),
            (Some(one), _) => format!("{}. {}", one.reason, one.advice),
            (None, Some(TrialState::Failed(why))) if !why.is_empty() => why,
            (None, _) => training.message.clone(),
        }),
    })
}

fn of_run(run: &Run) -> Result<TrialState> {
    Ok(match run.status {
        RunStatus::Scheduled => TrialState::Waiting(None),
        RunStatus::Running => TrialState::Running,
        RunStatus::Killed => TrialState::Cancelled,
        RunStatus::Failed => TrialState::Failed(run.tags.get(FAILURE).cloned().unwrap_or_default()),
        RunStatus::Finished if run.tags.get(GATE).is_some_and(|gate| gate == "refused") => {
            TrialState::Refused(match reason(run)? {
                Unregistered::GateRefused { unmet } => unmet_bounds(&unmet),
                other @ Unregistered::NotAsked => other.to_string(),
            })
        }
        RunStatus::Finished => TrialState::Finished,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use slipway_cluster::Hindrance as Why;
    use slipway_names::tag::GATE_UNMET;

    use super::*;

    fn run(status: RunStatus, tags: &[(&str, &str)]) -> Run {
        Run {
            run_id: "r".to_owned(),
            run_name: String::new(),
            experiment_id: "1".to_owned(),
            status,
            start_time: Some(1),
            end_time: None,
            artifact_uri: String::new(),
            metrics: <_>::default(),
            steps: <_>::default(),
            params: <_>::default(),
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn training(state: State, hindrance: Option<(&str, &str)>) -> Training {
        let hindrance = hindrance.map(|(reason, advice)| Why { reason: reason.to_owned(), advice: advice.to_owned() });
        Training { state, hindrance, message: "a worker failed: exit code 1".to_owned(), ..Training::default() }
    }

    fn waiting(reason: &str, advice: &str) -> TrialState {
        TrialState::Waiting(Some(Hindrance { reason: reason.to_owned(), advice: advice.to_owned() }))
    }

    #[rstest]
    #[case::no_run(None, true, TrialState::Waiting(None))]
    #[case::no_run_and_no_file(None, false, TrialState::Cancelled)]
    #[case::scheduled_without_file(Some(run(RunStatus::Scheduled, &[])), false, TrialState::Cancelled)]
    #[case::running(Some(run(RunStatus::Running, &[])), false, TrialState::Running)]
    #[case::killed(Some(run(RunStatus::Killed, &[])), true, TrialState::Cancelled)]
    #[case::failed(Some(run(RunStatus::Failed, &[(FAILURE, "NaN")])), true, TrialState::Failed("NaN".to_owned()))]
    #[case::finished(Some(run(RunStatus::Finished, &[(GATE, "passed")])), false, TrialState::Finished)]
    fn without_a_cluster_the_run_says_it(
        #[case] run: Option<Run>,
        #[case] is_wanted: bool,
        #[case] expected: TrialState,
    ) {
        assert_eq!(state(run.as_ref(), Seen::Unknown, is_wanted).unwrap(), expected);
    }

    #[rstest]
    #[case::on_its_way(training(State::Waiting, None), None, TrialState::Waiting(None))]
    #[case::hindered(training(State::Waiting, Some(("a", "b"))), None, waiting("a", "b"))]
    #[case::hindered_again(training(State::Waiting, Some(("a", "b"))), Some(run(RunStatus::Failed, &[])), waiting("a", "b"))]
    #[case::done_before(training(State::Waiting, Some(("a", "b"))), Some(run(RunStatus::Finished, &[])), TrialState::Finished)]
    #[case::running(training(State::Running, None), Some(run(RunStatus::Finished, &[])), TrialState::Running)]
    #[case::going(training(State::Ending, None), Some(run(RunStatus::Running, &[])), TrialState::Cancelled)]
    #[case::finished(training(State::Finished, None), Some(run(RunStatus::Running, &[])), TrialState::Finished)]
    #[case::before_it_had_a_run(training(State::Failed, None), None, TrialState::Failed("a worker failed: exit code 1".to_owned()))]
    #[case::in_its_own_words(training(State::Failed, None), Some(run(RunStatus::Failed, &[(FAILURE, "no GPU")])), TrialState::Failed("no GPU".to_owned()))]
    #[case::ended_by_the_cluster(training(State::Failed, Some(("out of time", "ask for more"))), Some(run(RunStatus::Killed, &[(FAILURE, "stopped")])),
        TrialState::Failed("out of time. ask for more".to_owned()))]
    #[case::open_run(training(State::Failed, Some(("no memory", ""))), Some(run(RunStatus::Running, &[])), TrialState::Failed("no memory".to_owned()))]
    fn the_cluster_wins_where_it_knows_more(
        #[case] training: Training,
        #[case] run: Option<Run>,
        #[case] expected: TrialState,
    ) {
        for is_wanted in [true, false] {
            assert_eq!(state(run.as_ref(), Seen::There(&training), is_wanted).unwrap(), expected);
        }
    }

    #[test]
    fn the_gate_is_known_to_the_run_alone() {
        let unmet = r#"[{"metric": "accuracy", "value": 0.5, "bound": ">= 0.9"}]"#;
        let refused = run(RunStatus::Finished, &[(GATE, "refused"), (GATE_UNMET, unmet)]);
        let expected = TrialState::Refused("accuracy is 0.5, but >= 0.9 is required".to_owned());
        for seen in [Seen::Unknown, Seen::Gone, Seen::There(&training(State::Finished, None))] {
            assert_eq!(state(Some(&refused), seen, true).unwrap(), expected);
        }
        let damaged = run(RunStatus::Finished, &[(GATE, "refused"), (GATE_UNMET, "x")]);
        assert!(state(Some(&damaged), Seen::Unknown, true).unwrap_err().to_string().contains("slipway.gate-unmet"));
    }

    #[rstest]
    #[case::never_made(None, true, TrialState::Waiting(None))]
    #[case::removed(None, false, TrialState::Cancelled)]
    #[case::lost(Some(RunStatus::Running), true, TrialState::Waiting(None))]
    #[case::cancelled_while_it_ran(Some(RunStatus::Running), false, TrialState::Cancelled)]
    #[case::archived(Some(RunStatus::Finished), false, TrialState::Finished)]
    fn a_job_that_is_gone_is_what_its_run_ended_as(
        #[case] status: Option<RunStatus>,
        #[case] is_wanted: bool,
        #[case] expected: TrialState,
    ) {
        let run = status.map(|status| run(status, &[]));
        assert_eq!(state(run.as_ref(), Seen::Gone, is_wanted).unwrap(), expected);
    }
}
