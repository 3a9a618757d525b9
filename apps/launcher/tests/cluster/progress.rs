//! Progress in the TrainJob's status, and how long the launcher takes.

use axum::http::StatusCode;
use serde_json::Value;

use crate::status_api::{Mounted, StatusApi};
use crate::worker::{Place, Running, free_port, until};

#[tokio::test(flavor = "multi_thread")]
async fn it_comes_from_what_the_program_logs_or_from_a_descriptor() {
    let place = Place::new().await;
    let logs = "import time\nfrom tracking import log\nlog(epoch=1, loss=0.5)\ntime.sleep(1000)";
    let writes = "import os, time\nto = int(os.environ['SLIPWAY_PROGRESS_FD'])\n\
                  os.write(to, b'nonsense\\n{\"progress\": 0.25, \"metrics\": {\"loss\": 0.5}}\\n')\ntime.sleep(1000)";
    for (name, script) in [("logs", logs), ("writes", writes)] {
        let api = StatusApi::start(StatusCode::OK).await;
        let mounted = Mounted::new(&place.folder.path().join(name), &api.ca, "token");
        let mut command = place.worker(0, free_port(), &place.trial(name, 1, &["python3", "-c", script]));
        command.env("SLIPWAY_PROGRESS_SECONDS", "1").envs(mounted.environment(&api.url));
        let running = Running::start(&mut command);
        let of = |status: &Value| status["progressPercentage"] == 25;
        until("a quarter", || api.reports().iter().any(|report| of(&report.status))).await;
        let reports = api.reports();
        let found = reports.iter().find(|report| of(&report.status)).unwrap();
        let metrics = found.status["metrics"].as_array().unwrap();
        assert!(metrics.iter().any(|metric| metric["name"] == "loss" && metric["value"] == "0.5"), "{metrics:?}");
        crate::worker::signal(running.pid(), slipway_processes::Signal::TERM);
        let (code, log) = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
        assert_eq!(code, Some(143), "{log}");
        assert_eq!(log.contains("progress_not_understood"), name == "writes", "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_takes_little_more_than_the_program_itself() {
    let place = Place::new().await;
    let mut seconds = Vec::new();
    for turn in 0..7 {
        let mut trial = place.trial("quick", 1, &["true"]);
        trial["name"] = format!("quick-{turn}").into();
        trial["register"] = Value::Null;
        let mut running = Running::start(&mut place.worker(0, free_port(), &trial));
        let line = running.until("\"event\":\"program\"");
        let (code, log) = running.end();
        assert_eq!(code, Some(0), "{log}");
        let event: Value = serde_json::from_str(&line).unwrap();
        seconds.push(event["seconds"].as_f64().unwrap());
    }
    seconds.sort_by(f64::total_cmp);
    // MLflow on SQLite takes most of it; a machine that is busy with other tests gets some room
    println!("from the launcher's start to the program's, median of {}: {:.0} ms", seconds.len(), 1000.0 * seconds[3]);
    assert!(seconds[0] < 1.0, "{seconds:?}");
}
