//! Kubeflow Trainer and JobSet.

use std::time::{Duration, Instant};

use testbed::testing::Testbed;

use crate::{DEBIAN, LIMIT, has};

#[tokio::test]
async fn the_jobs_of_a_jobset_know_each_other_by_name() {
    let testbed = Testbed::get().await.unwrap();
    let namespace = testbed.namespace("jobset").await.unwrap();
    let pair = format!(
        r#"
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata: {{name: pair}}
spec:
  replicatedJobs:
    - name: w
      replicas: 2
      template:
        spec:
          parallelism: 1
          completions: 1
          backoffLimit: 0
          template:
            spec:
              restartPolicy: Never
              containers:
                - name: c
                  image: {DEBIAN}
                  command: [sh, -c, 'for i in $(seq 60); do getent hosts pair-w-0-0.pair pair-w-1-0.pair && exit 0; sleep 0.5; done; exit 1']
"#
    );
    namespace.apply(&pair).await.unwrap();
    namespace.wait("jobset.x-k8s.io/v1alpha2/JobSet", "pair", LIMIT, |pair| has(pair, "Completed")).await.unwrap();
    for job in ["job/pair-w-0", "job/pair-w-1"] {
        let log = namespace.ask(&["logs", job]).unwrap();
        assert!(log.contains(&format!("pair-w-0-0.pair.{}.svc.cluster.local", namespace.name())), "{log}");
    }
}

#[tokio::test]
async fn two_workers_get_the_torch_environment_and_their_progress_shows() {
    let testbed = Testbed::get().await.unwrap();
    let namespace = testbed.namespace("trainjob").await.unwrap();
    let script = r#"
        env | grep -E '^(PET_|JOB_COMPLETION_INDEX)' | sort
        for i in $(seq 60); do getent hosts "$PET_MASTER_ADDR" >/dev/null && break; sleep 0.5; done
        [ "$PET_NODE_RANK" = 0 ] || exit 0
        for percent in 50 100; do
          curl -fsS -o /dev/null --retry 20 --retry-delay 1 --retry-all-errors --cacert "$KUBEFLOW_TRAINER_SERVER_CA_CERT" \
            -H "Authorization: Bearer $(cat "$KUBEFLOW_TRAINER_SERVER_TOKEN")" -H 'Content-Type: application/json' \
            -d '{"trainerStatus":{"progressPercentage":'$percent',"estimatedRemainingSeconds":0,"metrics":[{"name":"loss","value":"0.25"}],"lastUpdatedTime":"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'"}}' \
            "$KUBEFLOW_TRAINER_SERVER_URL"
        done
"#;
    let runtime = format!(
        r#"
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainingRuntime
metadata: {{name: torch, labels: {{trainer.kubeflow.org/framework: torch}}}}
spec:
  mlPolicy: {{numNodes: 1, torch: {{}}}}
  template:
    spec:
      replicatedJobs:
        - name: node
          template:
            metadata: {{labels: {{trainer.kubeflow.org/trainjob-ancestor-step: trainer}}}}
            spec:
              backoffLimit: 0
              template:
                spec:
                  containers: [{{name: node, image: "{DEBIAN}"}}]
"#
    );
    let job = format!(
        r#"
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {{name: first}}
spec:
  runtimeRef: {{kind: TrainingRuntime, name: torch}}
  trainer:
    image: {DEBIAN}
    numNodes: 2
    numProcPerNode: 1
    command: [sh, -c]
    args:
      - |
{}
"#,
        script.trim_matches('\n')
    );
    namespace.apply(&runtime).await.unwrap();
    // Trainer's webhook answers from a cache, which learns of a runtime a moment later.
    let patience = Instant::now() + LIMIT;
    while let Err(error) = namespace.apply(&job).await {
        let message = error.to_string();
        assert!(message.contains("must be created before the TrainJob") && Instant::now() < patience, "{message}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let job = namespace
        .wait("trainer.kubeflow.org/v1alpha1/TrainJob", "first", LIMIT, |job| has(job, "Complete"))
        .await
        .unwrap();
    let status = &job.data["status"]["trainerStatus"];
    assert_eq!(status["progressPercentage"], 100, "{status}");
    assert_eq!(status["metrics"][0]["value"], "0.25", "{status}");

    let pods = namespace.ask(&["get", "pods", "-l", "jobset.sigs.k8s.io/jobset-name=first", "-o", "name"]).unwrap();
    let mut environments: Vec<_> = pods.lines().map(|pod| namespace.ask(&["logs", pod]).unwrap()).collect();
    environments.sort();
    assert_eq!(environments.len(), 2);
    for (rank, environment) in environments.iter().enumerate() {
        let expected = [
            "JOB_COMPLETION_INDEX=".to_owned(),
            "PET_MASTER_ADDR=first-node-0-0.first".to_owned(),
            "PET_MASTER_PORT=29500".to_owned(),
            "PET_NNODES=2".to_owned(),
            format!("PET_NODE_RANK={rank}"),
            "PET_NPROC_PER_NODE=1".to_owned(),
        ];
        let lines: Vec<_> = environment.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{environment}");
        assert!(lines.iter().zip(&expected).all(|(line, expected)| line.starts_with(expected)), "{environment}");
    }
}
