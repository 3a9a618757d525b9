//! Killed programs of a node come back, and pods run on.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use rustix::process::Pid;
use testbed::cluster::{Manifest, apply};

use crate::node::Bare;
use crate::{BUSYBOX, LIMIT};

#[tokio::test]
async fn killed_programs_come_back_and_pods_run_on() {
    let bare = Bare::up("test-recovery").await;
    run(&bare, "witness").await;
    let witness = container(&bare, "witness").await.unwrap();
    for program in [
        "kube-scheduler",
        "kube-controller-manager",
        "kube-proxy",
        "kubelet",
        "containerd",
        "kube-apiserver",
        "etcd",
        "registry",
        "gitserve",
    ] {
        let before = pid(&bare, program).await.unwrap();
        bare.0.kill(program).unwrap();
        let deadline = Instant::now() + LIMIT;
        while pid(&bare, program).await.is_none_or(|after| after == before) {
            assert!(Instant::now() < deadline, "{program} does not come back");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // A new pod takes all of them: admitted, scheduled, run, and its status stored.
        run(&bare, &format!("after-{program}")).await;
        assert_eq!(
            container(&bare, "witness").await.as_ref(),
            Some(&witness),
            "the pod from before {program} ended runs on"
        );
    }
}

/// Runs a pod; while the API server is away, tries again.
async fn run(bare: &Bare, name: &str) {
    let pod = format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: c, image: "{BUSYBOX}", command: [sleep, "3600"]}}]
"#
    );
    let (manifest, deadline) = (Manifest::parse(&pod).unwrap(), Instant::now() + LIMIT);
    loop {
        let applied = match bare.0.api().await {
            Ok(api) => apply(&api, &manifest, "default").await,
            Err(error) => Err(error),
        };
        if applied.is_ok() && container(bare, name).await.is_some() {
            return;
        }
        assert!(Instant::now() < deadline, "pod {name} does not run: {applied:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The id of a pod's running container, and how often it was started again.
async fn container(bare: &Bare, pod: &str) -> Option<(String, i32)> {
    let pods: Api<Pod> = Api::default_namespaced(bare.0.client().await.ok()?);
    let status = pods.get(pod).await.ok()?.status?.container_statuses?.into_iter().next()?;
    status.ready.then_some(())?;
    Some((status.container_id?, status.restart_count))
}

async fn pid(bare: &Bare, program: &str) -> Option<Pid> {
    let status = bare.0.status().await.ok()?;
    Pid::from_raw(status.components.into_iter().find(|component| component.name == program)?.pid?)
}
