//! The Gateway API.

use testbed::testing::Testbed;

use crate::{BUSYBOX, LIMIT, client, curl, has, is_ready};

#[tokio::test]
async fn an_http_route_leads_through_the_gateway() {
    let testbed = Testbed::get().await.unwrap();
    let namespace = testbed.namespace("route").await.unwrap();
    let objects = format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: web, labels: {{app: web}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: web
      image: {BUSYBOX}
      command: [sh, -c, "mkdir /tmp/w; echo through the gateway >/tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w"]
      readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: web}}
spec:
  parentRefs: [{{name: web, namespace: gateway}}]
  hostnames: [{host}]
  rules: [{{backendRefs: [{{name: web, port: 80}}]}}]
"#,
        host = host(namespace.name()),
    );
    namespace.apply(&(objects + &client())).await.unwrap();
    namespace.wait("v1/Pod", "web", LIMIT, is_ready).await.unwrap();
    namespace.wait("v1/Pod", "client", LIMIT, is_ready).await.unwrap();
    let accepted = |route: &kube::api::DynamicObject| {
        let conditions = route.data["status"]["parents"][0]["conditions"].as_array().cloned().unwrap_or_default();
        ["Accepted", "ResolvedRefs"]
            .iter()
            .all(|wanted| conditions.iter().any(|c| c["type"] == *wanted && c["status"] == "True"))
    };
    namespace.wait("gateway.networking.k8s.io/v1/HTTPRoute", "web", LIMIT, accepted).await.unwrap();
    let get = |host: &str| curl(&namespace, &["-H", &format!("Host: {host}"), "http://traefik.gateway"]);
    assert_eq!(get(&host(namespace.name())).unwrap(), "through the gateway\n");
    let nobody = get("nobody.example").unwrap_err().to_string();
    assert!(nobody.contains("404"), "a host without a route is nobody's: {nobody}");
    // Traefik is the class's controller.
    let class = testbed.kubectl().args(["get", "gatewayclass", "traefik", "-o", "json"]).output().unwrap();
    let class: kube::api::DynamicObject = serde_json::from_slice(&class.stdout).unwrap();
    assert!(has(&class, "Accepted"));
}

fn host(namespace: &str) -> String {
    format!("{namespace}.slipway.example")
}
