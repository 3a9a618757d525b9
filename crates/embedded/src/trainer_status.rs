//! What the workers of a TrainJob say about their progress, as Kubeflow Trainer keeps it in `status.trainerStatus`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// How far a training is, as its workers said last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainerStatus {
    /// From 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_percentage: Option<u32>,
    /// How long the rest will take, as far as that can be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_remaining_seconds: Option<u32>,
    /// The newest value of each metric.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// When the workers said so.
    #[serde(with = "time::serde::rfc3339")]
    pub last_updated_time: OffsetDateTime,
}

/// The newest value of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Its value as text.
    pub value: String,
}

/// The body of a report.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    trainer_status: TrainerStatus,
}

/// The most metrics of a report.
const METRICS: usize = 256;
/// The longest name and value of a metric, in characters.
const LENGTH: usize = 64;

impl TrainerStatus {
    /// Reads the body of a report, by the schema of Trainer's definition of TrainJobs.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn of_report(body: &[u8]) -> Result<Self, String> {
        let Report { trainer_status: status } =
            serde_json::from_slice(body).map_err(|error| format!("the body is not a report: {error}"))?;
        if status.progress_percentage.is_some_and(|percent| percent > 100) {
            return Err("trainerStatus.progressPercentage must be from 0 to 100".to_owned());
        }
        if status.estimated_remaining_seconds.is_some_and(|seconds| i32::try_from(seconds).is_err()) {
            return Err("trainerStatus.estimatedRemainingSeconds must have 32 bits".to_owned());
        }
        if status.metrics.len() > METRICS {
            return Err(format!("trainerStatus.metrics must have at most {METRICS} items"));
        }
        match status.metrics.iter().find(|metric| !metric.is_valid()) {
            Some(metric) => {
                let shown: String = metric.name.chars().take(LENGTH).collect();
                Err(format!(
                    "trainerStatus.metrics: name and value of {shown:?} must have from 1 to {LENGTH} characters"
                ))
            }
            None => Ok(status),
        }
    }
}

impl Metric {
    fn is_valid(&self) -> bool {
        [&self.name, &self.value].iter().all(|text| (1..=LENGTH).contains(&text.chars().count()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(status: &str) -> Result<TrainerStatus, String> {
        let body = format!(r#"{{"trainerStatus": {{{status} "lastUpdatedTime": "2026-11-24T09:00:00Z"}}}}"#);
        TrainerStatus::of_report(body.as_bytes())
    }

    #[test]
    fn a_report_is_kept_as_it_is() {
        let status = report(
            r#""progressPercentage": 42, "estimatedRemainingSeconds": 7, "metrics": [{"name": "loss", "value": "0.25"}],"#,
        );
        let expected = serde_json::json!({
            "progressPercentage": 42, "estimatedRemainingSeconds": 7, "metrics": [{"name": "loss", "value": "0.25"}],
            "lastUpdatedTime": "2026-11-24T09:00:00Z",
        });
        assert_eq!(serde_json::to_value(status.unwrap()).unwrap(), expected);
        assert_eq!(report("").unwrap().progress_percentage, None);
    }

    #[test]
    fn what_the_definition_refuses_is_refused() {
        for status in [
            r#""progressPercentage": 101,"#,
            r#""progressPercentage": -1,"#,
            r#""progressPercentage": "1","#,
            r#""estimatedRemainingSeconds": 2147483648,"#,
            r#""metrics": [{"name": "", "value": "1"}],"#,
            r#""metrics": [{"name": "loss", "value": ""}],"#,
            r#""metrics": [{"name": "loss"}],"#,
            r#""metrics": [{"name": "loss", "value": 1}],"#,
        ] {
            assert!(report(status).is_err(), "{status}");
        }
        let name = |length: usize| format!(r#""metrics": [{{"name": "{}", "value": "1"}}],"#, "é".repeat(length));
        assert!(report(&name(64)).is_ok() && report(&name(65)).is_err());
        let many =
            |number: usize| format!(r#""metrics": [{}],"#, [r#"{"name": "a", "value": "1"}"#].repeat(number).join(","));
        assert!(report(&many(256)).is_ok() && report(&many(257)).is_err());
        for body in ["", "[]", "{}", r#"{"trainerStatus": {"progressPercentage": 1}}"#] {
            assert!(TrainerStatus::of_report(body.as_bytes()).is_err(), "{body}");
        }
    }
}
