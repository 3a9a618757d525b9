//! Whether what workers printed is kept with their runs. Once a TrainJob's objects go, its pods take their logs with them.

use slipway_experiment::Record;
use slipway_mlflow::Client;
use slipway_names::artifact::LOGS;

/// The jobs of which no log is kept, those without a run among them.
pub(crate) async fn without_logs(mlflow: &Client, records: &[Record]) -> slipway_mlflow::Result<Vec<String>> {
    let mut without = Vec::new();
    for record in records {
        let has_logs = match &record.result.run {
            Some(id) => {
                let run = mlflow.get_run(id).await?;
                // a folder that is not there is an empty one
                !mlflow.list_artifacts(&format!("{}/{LOGS}", run.artifact_uri)).await?.is_empty()
            }
            None => false,
        };
        if !has_logs {
            without.push(record.name.clone());
        }
    }
    Ok(without)
}
