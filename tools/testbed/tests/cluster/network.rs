//! Services and names.

use testbed::testing::Testbed;

use crate::{BUSYBOX, LIMIT, client, curl, is_ready};

#[tokio::test]
async fn a_service_is_reached_by_name_and_names_outside_do_not_exist() {
    let testbed = Testbed::get().await.unwrap();
    let namespace = testbed.namespace("service").await.unwrap();
    let objects = format!(
        r#"
apiVersion: v1
kind: ConfigMap
metadata: {{name: page}}
data: {{index.html: "from the config map"}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: {BUSYBOX}
          command: [httpd, -f, -p, "8080", -h, /page]
          readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}
          volumeMounts: [{{name: page, mountPath: /page}}]
      volumes: [{{name: page, configMap: {{name: page}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
"#
    );
    namespace.apply(&(objects + &client())).await.unwrap();
    namespace
        .wait("apps/v1/Deployment", "web", LIMIT, |web| web.data["status"]["availableReplicas"] == 2)
        .await
        .unwrap();
    namespace.wait("v1/Pod", "client", LIMIT, is_ready).await.unwrap();

    assert_eq!(curl(&namespace, &["http://web"]).unwrap(), "from the config map");
    let whole = format!("http://web.{}.svc.cluster.local", namespace.name());
    assert_eq!(curl(&namespace, &[&whole]).unwrap(), "from the config map");

    let outside = namespace
        .ask(&["exec", "client", "--", "sh", "-c", "curl -sS -m 5 http://outside.example 2>&1 || true"])
        .unwrap();
    assert!(outside.contains("Could not resolve host"), "{outside}");
    // TEST-NET-1: an address that no machine has; without a route the kernel refuses at once.
    let address =
        namespace.ask(&["exec", "client", "--", "sh", "-c", "curl -sS -m 5 http://192.0.2.1 2>&1 || true"]).unwrap();
    assert!(!address.contains("Connection timed out") && address.contains("curl: (7)"), "{address}");
}
