//! Programs that go wrong: each has an exit code and a message, and registers nothing.

use serde_json::json;
use slipway_mlflow::RunStatus;

use crate::worker::Place;

#[tokio::test(flavor = "multi_thread")]
async fn each_has_an_exit_code_and_a_message() {
    let place = Place::new().await;
    for (name, script, code, says) in [
        (
            "early",
            "",
            7,
            "the gate requires accuracy, which is missing, so nothing is registered: the program logged no metric at all",
        ),
        ("silent", "import os; os._exit(1)", 3, "it wrote nothing to standard error"),
        ("syntax", "def", 3, "SyntaxError: invalid syntax"),
        (
            "usage",
            "import argparse; argparse.ArgumentParser().parse_args(['--what'])",
            3,
            "unrecognized arguments: --what",
        ),
        ("nan", "from tracking import log; log(accuracy='NaN')", 7, "the gate requires accuracy, which is NaN"),
        (
            "infinite",
            "from tracking import log; log(accuracy='Infinity')",
            7,
            "the gate requires accuracy, which is inf",
        ),
        (
            "other",
            "from tracking import log; log(acc=0.99, loss=0.1)",
            7,
            "the program logged acc, loss; compare `register.require`",
        ),
        ("late", "from tracking import log; log(loss=0.1); 1 / 0", 1, "ZeroDivisionError"),
        ("full", "open('/dev/full', 'w').write('x' * 100_000)", 1, "the disk is full"),
        ("memory", "raise MemoryError", 1, "raise `spec.workers.memory`"),
        ("killed", "import os; os.kill(os.getpid(), 9)", 137, "killed by signal 9"),
        ("terminated", "import os; os.kill(os.getpid(), 15)", 1, "killed by signal 15"),
        (
            "lost",
            "raise RuntimeError('[../gloo/transport/tcp/pair.cc:534] Connection closed by peer')",
            8,
            "lost the connection to another worker",
        ),
        (
            "experiment",
            "raise Exception('active experiment ID does not match environment run ID')",
            3,
            "remove mlflow.set_experiment()",
        ),
        ("modelless", "from tracking import log; log(accuracy=0.99)", 7, "the program logged no model"),
    ] {
        let (found, log) = place.run(&place.trial(name, 1, &["python3", "-c", script])).await;
        assert_eq!(found, Some(code), "{name}: {log}");
        // as JSON in the log, and as it is in the run
        let run = place.mlflow.run(name).await;
        assert_eq!(run.status, RunStatus::Failed, "{name}: {run:?}");
        assert!(run.tags["slipway.failure"].contains(says), "{name}: {:?}", run.tags["slipway.failure"]);
        assert!(log.contains("\"event\":\"failed\""), "{name}: {log}");
    }
    assert_eq!(place.mlflow.versions("fashion").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_gate_a_program_may_do_nothing_at_all() {
    let place = Place::new().await;
    let mut trial = place.trial("nothing", 1, &["true"]);
    trial["register"] = serde_json::Value::Null;
    let (code, log) = place.run(&trial).await;
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(place.mlflow.run("nothing").await.tags["slipway.gate"], "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_workers_mistake_is_the_jobs_and_the_others_say_so() {
    let place = Place::new().await;
    // rank 0 ends well, rank 1 does not
    let script = "import os, sys, time; time.sleep(0.5); sys.exit(int(os.environ['RANK']))";
    let mut trial = place.trial("one", 2, &["python3", "-c", script]);
    trial["register"] = json!({"model": "fashion", "require": {}});
    let port = crate::worker::free_port();
    let workers = [0, 1].map(|rank| crate::worker::Running::start(&mut place.worker(rank, port, &trial)));
    let [leader, follower] =
        tokio::task::spawn_blocking(move || workers.map(crate::worker::Running::end)).await.unwrap();
    assert_eq!((leader.0, follower.0), (Some(8), Some(3)), "{} {}", leader.1, follower.1);
    assert!(leader.1.contains("the worker with rank 1 did not end well"), "{}", leader.1);
    assert_eq!(place.mlflow.run("one").await.status, RunStatus::Failed);
}
