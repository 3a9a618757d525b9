//! What the components open that an environment may leave out, and that both ends of a notification fit.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use serde_json::{Value, json};
use slipway_gitops_tests::policies::{Cluster, Pod, Protocol, Selector};
use slipway_gitops_tests::program::{kustomize, need};
use slipway_gitops_tests::tree::{documents, environments, repository, with, with_settings};

const MINIO: &str = "minio/minio";
const MINIO_SET_UP: &str = "minio/minio-set-up";
const SERVER: &str = "server/server";
const MONITOR: &str = "dataset-monitor/dataset-monitor";
const PIPELINE: &str = "dataset-monitor/dataset-pipeline";

/// The parts of `local` that the components are about, with each of them.
fn objects() -> Vec<Value> {
    let parts: [(&str, &[&str]); 5] = [
        ("namespaces", &[]),
        ("minio", &["minio/feedback", "minio/samples"]),
        ("server", &["server/feedback", "server/samples"]),
        ("dataset-monitor", &["dataset-monitor/pipeline"]),
        ("mlflow", &[]),
    ];
    parts.iter().flat_map(|(overlay, components)| with("local", overlay, components).unwrap()).collect()
}

fn pod<'a>(cluster: &'a Cluster, name: &str) -> &'a Pod {
    cluster.pods.iter().find(|pod| pod.to_string() == name).unwrap()
}

/// The ports of TCP at which one may talk to another.
fn open(cluster: &Cluster, from: &str, to: &str) -> Vec<u16> {
    let (from, to) = (pod(cluster, from), pod(cluster, to));
    cluster.ports().into_iter().filter(|port| cluster.may(from, to, *port, Protocol::Tcp)).collect()
}

#[test]
fn a_switch_opens_the_way_that_it_needs_and_no_other() {
    need(&["kustomize"]).unwrap();
    let cluster = Cluster::read(&objects()).unwrap();
    assert_eq!(open(&cluster, SERVER, MINIO), [9000_u16]);
    assert_eq!(open(&cluster, PIPELINE, MINIO), [9000_u16]);
    assert_eq!(open(&cluster, MONITOR, MINIO), [9000_u16]);
    assert_eq!(open(&cluster, MINIO, MONITOR), [8080_u16]);
    for name in [MINIO, MINIO_SET_UP, SERVER, MONITOR, "mlflow/mlflow"] {
        assert_eq!(open(&cluster, name, PIPELINE), [0_u16; 0], "{name}");
        if name != MINIO {
            assert_eq!(open(&cluster, PIPELINE, name), [0_u16; 0], "{name}");
        }
    }
    assert_eq!(open(&cluster, MINIO_SET_UP, MONITOR), [0_u16; 0]);
    let pipeline = pod(&cluster, PIPELINE);
    let leaves = |port: &u16| cluster.may_leave(pipeline, *port, Protocol::Tcp);
    assert_eq!(cluster.ports().into_iter().filter(leaves).collect::<Vec<_>>(), [443_u16]);
}

#[test]
fn a_pipeline_is_nobodys_service_and_has_no_token_of_the_cluster() {
    need(&["kustomize"]).unwrap();
    let objects = objects();
    let cluster = Cluster::read(&objects).unwrap();
    let labels = &pod(&cluster, PIPELINE).labels;
    let of_monitor = |one: &&Value| one["metadata"]["namespace"] == "dataset-monitor";
    for one in objects.iter().filter(of_monitor) {
        let selector = match one["kind"].as_str().unwrap() {
            "Service" => json!({"matchLabels": one["spec"]["selector"]}),
            "Deployment" | "PodDisruptionBudget" => one["spec"]["selector"].clone(),
            _ => continue,
        };
        assert!(!Selector::read(&selector).unwrap().matches(labels), "{one}");
    }
    let job = find(&objects, "CronJob", "dataset-pipeline");
    let spec = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(spec["automountServiceAccountToken"], false);
    let account = find(&objects, "ServiceAccount", spec["serviceAccountName"].as_str().unwrap());
    assert_eq!(account["automountServiceAccountToken"], false);
    assert!(objects.iter().all(|one| one["kind"] != "RoleBinding"));
}

#[test]
fn what_minio_sends_is_what_the_monitor_takes() {
    need(&["kustomize"]).unwrap();
    let objects = objects();
    let settings = objects.iter().find(|one| !one["data"]["MINIO_NOTIFY_WEBHOOK_ENABLE_MONITOR"].is_null()).unwrap();
    let service = find(&objects, "Service", "dataset-monitor");
    let port = &service["spec"]["ports"][0]["port"];
    let endpoint = format!("http://dataset-monitor.dataset-monitor.svc:{port}/events");
    assert_eq!(settings["data"]["MINIO_NOTIFY_WEBHOOK_ENDPOINT_MONITOR"], endpoint.as_str());
    // the name of the target, as MinIO makes it of the variables' names
    let set_up = find(&objects, "Job", "minio-set-up").to_string();
    assert!(set_up.contains("arn:minio:sqs::MONITOR:webhook"), "{set_up}");
    let minio = find(&objects, "StatefulSet", "minio").to_string();
    assert!(minio.contains("minio-notifications"), "{minio}");
    let monitor = find(&objects, "Deployment", "dataset-monitor").to_string();
    for part in ["dataset-monitor-notifications", "/etc/slipway/notifications/token"] {
        assert!(monitor.contains(part), "no {part} in {monitor}");
    }
    for environment in ["local", "staging"] {
        let path = repository().join("clusters").join(environment).join("credentials.yaml");
        let credentials = documents(&std::fs::read_to_string(path).unwrap()).unwrap().remove(0);
        let secrets = credentials["spec"]["secrets"].as_array().unwrap();
        let data = |namespace: &str, name: &str| {
            let secret = secrets.iter().find(|one| one["namespace"] == namespace && one["name"] == name);
            secret.unwrap_or_else(|| panic!("{environment} has no {namespace}/{name}"))["data"].clone()
        };
        let sent = data("minio", "minio-notifications")["MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_MONITOR"].clone();
        assert!(sent.is_string(), "{environment}");
        assert_eq!(sent, data("dataset-monitor", "dataset-monitor-notifications")["token"], "{environment}");
    }
}

#[test]
fn notifications_need_a_token_also_where_nobody_sends_any() {
    need(&["kustomize"]).unwrap();
    let variable = json!({"name": "SLIPWAY_EVENTS_TOKEN_FILE", "value": "/etc/slipway/notifications/token"});
    let mount = json!({"name": "notifications", "mountPath": "/etc/slipway/notifications", "readOnly": true});
    // without the Secret the file is not there, and everything is refused
    let secret = json!({"secretName": "dataset-monitor-notifications", "optional": true});
    let volume = json!({"name": "notifications", "secret": secret});
    for environment in environments().unwrap() {
        let objects = overlay(&environment, "dataset-monitor");
        let spec = &find(&objects, "Deployment", "dataset-monitor")["spec"]["template"]["spec"];
        let has = |list: &Value, one: &Value| list.as_array().unwrap().contains(one);
        assert!(has(&spec["containers"][0]["env"], &variable), "{environment}: {spec}");
        assert!(has(&spec["containers"][0]["volumeMounts"], &mount), "{environment}: {spec}");
        assert!(has(&spec["volumes"], &volume), "{environment}: {spec}");
    }
}

#[test]
fn the_monitor_reads_the_sample_that_the_server_writes() {
    need(&["kustomize"]).unwrap();
    let bucket = |objects: &[Value]| {
        let found: Vec<Value> = objects
            .iter()
            .filter(|one| one["kind"] == "ConfigMap")
            .map(|one| one["data"]["SLIPWAY_REQUESTS"].clone())
            .filter(|value| !value.is_null())
            .collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].as_str().unwrap().to_owned()
    };
    for environment in environments().unwrap() {
        let written = bucket(&with_settings(&environment, "server", "server/samples").unwrap());
        let read = bucket(&overlay(&environment, "dataset-monitor"));
        assert!(written.starts_with("s3://"), "{environment}: {written}");
        assert_eq!(read, written, "{environment}");
    }
}

#[test]
fn what_is_switched_off_loses_its_rights_in_minio() {
    need(&["kustomize"]).unwrap();
    // the set-up job takes rights away only from users that it knows
    let server = json!({"name": "server", "secret": {"secretName": "minio-user-server", "optional": true}});
    for environment in ["local", "staging"] {
        let objects = overlay(environment, "minio");
        let spec = &find(&objects, "Job", "minio-set-up")["spec"]["template"]["spec"];
        assert!(spec["volumes"].as_array().unwrap().contains(&server), "{environment}: {spec}");
        let mut mounts = spec["containers"][0]["volumeMounts"].as_array().unwrap().iter();
        assert!(mounts.any(|one| one["name"] == "server" && one["mountPath"] == "/users/server"), "{environment}");
    }
}

/// What an overlay is as it stands.
fn overlay(environment: &str, name: &str) -> Vec<Value> {
    documents(&kustomize(&repository().join("overlays").join(environment).join(name)).unwrap()).unwrap()
}

fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    objects.iter().find(|one| one["kind"] == kind && one["metadata"]["name"] == name).unwrap()
}
