//! The two doors of a cloud cluster: one public, one private, with each cloud's own word for it.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use serde_json::{Value, json};
use slipway_gitops_tests::program::{kustomize, need};
use slipway_gitops_tests::tree::{documents, repository};

/// What makes a load balancer private: AWS by the controller that is part of Kubernetes, AWS by its Load Balancer Controller, Azure, Google.
const PRIVATE: [(&str, &str); 4] = [
    ("service.beta.kubernetes.io/aws-load-balancer-internal", "true"),
    ("service.beta.kubernetes.io/aws-load-balancer-scheme", "internal"),
    ("service.beta.kubernetes.io/azure-load-balancer-internal", "true"),
    ("networking.gke.io/load-balancer-type", "Internal"),
];

#[test]
fn each_door_says_to_every_cloud_what_it_is() {
    need(&["kustomize"]).unwrap();
    for environment in ["staging", "production"] {
        let objects = documents(&kustomize(&repository().join("overlays").join(environment).join("traefik")).unwrap());
        let objects = objects.unwrap();
        let balancers: Vec<&Value> =
            objects.iter().filter(|one| one["kind"] == "Service" && one["spec"]["type"] == "LoadBalancer").collect();
        let named = |name: &str| *balancers.iter().find(|one| one["metadata"]["name"] == name).unwrap();
        assert_eq!(balancers.len(), 2);
        let (public, private) = (named("traefik"), named("traefik-internal"));

        assert_eq!(
            public["metadata"]["annotations"],
            json!({"service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing"})
        );
        let annotations = private["metadata"]["annotations"].as_object().unwrap();
        assert_eq!(annotations.len(), PRIVATE.len());
        for (key, value) in PRIVATE {
            assert_eq!(annotations[key], value, "{environment}: {key}");
        }
        // `slipway doctor --cluster` finds it by this
        assert_eq!(private["metadata"]["labels"]["slipway.dev/exposure"], "internal");
        // and if a cloud knows none of the annotations, only private networks get in, judged by the sender's own address
        assert_eq!(private["spec"]["externalTrafficPolicy"], "Local");
        let ranges = private["spec"]["loadBalancerSourceRanges"].as_array().unwrap();
        let mut ranges: Vec<&str> = ranges.iter().map(|range| range.as_str().unwrap()).collect();
        ranges.sort_unstable();
        assert_eq!(ranges, ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"]);
        // the tools that operate the stack have no port at the public one
        assert!(public["spec"]["ports"].as_array().unwrap().iter().all(|port| port["targetPort"] != "internal"));
    }
}

#[test]
fn the_page_with_its_trainings_and_datasets_is_for_people_inside() {
    need(&["kustomize"]).unwrap();
    for environment in ["staging", "production"] {
        let built = |component: &str| {
            let folder = repository().join("overlays").join(environment).join(component);
            documents(&kustomize(&folder).unwrap()).unwrap()
        };
        let page = built("demo-ui");
        let settings =
            page.iter().find(|one| one["kind"] == "ConfigMap" && !one["data"]["SLIPWAY_SERVER_URL"].is_null());
        let settings = &settings.unwrap()["data"];
        let (manager, monitor) = (&settings["SLIPWAY_MANAGER_URL"], &settings["SLIPWAY_MONITOR_URL"]);
        assert_eq!(manager, "http://training-manager.training-manager.svc:8080", "{environment}");
        assert_eq!(monitor, "http://dataset-monitor.dataset-monitor.svc:8080", "{environment}");
        let routes = built("gateway");
        let door = |name: &str| {
            let route =
                routes.iter().find(|one| one["kind"] == "HTTPRoute" && one["metadata"]["name"] == name).unwrap();
            route["spec"]["parentRefs"][0]["sectionName"].clone()
        };
        assert_eq!(
            (door("demo-ui"), door("training-manager")),
            (json!("internal"), json!("internal")),
            "{environment}"
        );
        assert_eq!(door("server"), "public", "{environment}");
    }
}
