//! Pods: their logs, commands in them, ports of them; jobs; what is admitted.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use testbed::testing::Testbed;

use crate::{BUSYBOX, LIMIT, has, is_ready};

#[tokio::test]
async fn a_pod_logs_runs_commands_and_is_reached_through_a_forwarded_port() {
    let testbed = Testbed::get().await.unwrap();
    let namespace = testbed.namespace("pod").await.unwrap();
    let pod = format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: web
      image: {BUSYBOX}
      command: [sh, -c, "echo hello from $(hostname); mkdir /tmp/w; echo served >/tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w"]
      readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}
"#
    );
    namespace.apply(&pod).await.unwrap();
    namespace.wait("v1/Pod", "web", LIMIT, is_ready).await.unwrap();

    assert_eq!(namespace.ask(&["logs", "web"]).unwrap(), "hello from web\n");
    assert_eq!(
        namespace.ask(&["exec", "web", "--", "sh", "-c", "cat /tmp/w/index.html; id -u"]).unwrap(),
        "served\n0\n"
    );

    let forward = namespace.forward("pod/web", 8080).unwrap();
    let mut connection = TcpStream::connect(forward.address()).unwrap();
    connection.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 OK") && answer.ends_with("served\n"), "{answer}");
}

#[tokio::test]
async fn a_job_ends_well_and_a_failing_one_says_so() {
    let testbed = Testbed::get().await.unwrap();
    let namespace = testbed.namespace("job").await.unwrap();
    let job = |name: &str, command: &str| {
        format!(
            r#"
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  completions: 2
  parallelism: 2
  completionMode: Indexed
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{{name: work, image: "{BUSYBOX}", command: [sh, -c, "{command}"]}}]
"#
        )
    };
    namespace.apply(&job("good", "echo index $JOB_COMPLETION_INDEX")).await.unwrap();
    namespace.apply(&job("bad", "exit 3")).await.unwrap();
    let good = namespace.wait("batch/v1/Job", "good", LIMIT, |job| has(job, "Complete")).await.unwrap();
    assert_eq!(good.data["status"]["completedIndexes"], "0,1");
    let bad = namespace.wait("batch/v1/Job", "bad", LIMIT, |job| has(job, "Failed")).await.unwrap();
    assert_eq!(
        bad.data["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Failed").unwrap()["reason"],
        "BackoffLimitExceeded"
    );
}

#[tokio::test]
async fn pod_security_levels_are_enforced() {
    let testbed = Testbed::get().await.unwrap();
    let namespace =
        testbed.namespace_with("secure", &[("pod-security.kubernetes.io/enforce", "restricted")]).await.unwrap();
    let pod = |name: &str, context: &str| {
        format!(
            r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: c, image: "{BUSYBOX}", command: [sleep, "600"], securityContext: {context}}}]
"#
        )
    };
    let refused = namespace.apply(&pod("privileged", "{privileged: true}")).await.unwrap_err().to_string();
    assert!(refused.contains("violates PodSecurity \"restricted:latest\""), "{refused}");
    let context = "{runAsNonRoot: true, runAsUser: 1000, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}";
    namespace.apply(&pod("modest", context)).await.unwrap();
    namespace.wait("v1/Pod", "modest", LIMIT, is_ready).await.unwrap();
    assert_eq!(namespace.ask(&["exec", "modest", "--", "id", "-u"]).unwrap(), "1000\n");
}

#[tokio::test]
async fn admission_webhooks_are_called() {
    let testbed = Testbed::get().await.unwrap();
    let namespace = testbed.namespace("webhook").await.unwrap();
    // Trainer's webhook looks the runtime up, which the schema alone cannot.
    let lost = "
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {name: lost}
spec:
  runtimeRef: {name: no-such-runtime}
  trainer: {image: none, numNodes: 1}
";
    let refused = namespace.apply(lost).await.unwrap_err().to_string();
    assert!(refused.contains("admission webhook") && refused.contains("no-such-runtime"), "{refused}");
}

#[tokio::test]
async fn a_fresh_namespace_is_usable_at_once_and_goes_with_its_value() {
    let testbed = Testbed::get().await.unwrap();
    let namespace = testbed.namespace("fresh").await.unwrap();
    let name = namespace.name().to_owned();
    assert_eq!(namespace.ask(&["get", "serviceaccount", "default", "-o", "name"]).unwrap(), "serviceaccount/default\n");
    drop(namespace);
    let deadline = Instant::now() + LIMIT;
    while testbed.kubectl().args(["get", "namespace", &name]).output().unwrap().status.success() {
        assert!(Instant::now() < deadline, "namespace {name} is still there");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
