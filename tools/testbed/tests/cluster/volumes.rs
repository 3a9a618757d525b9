//! Volumes of every kind that manifests here use.

use testbed::testing::Testbed;

use crate::{BUSYBOX, LIMIT};

#[tokio::test]
async fn a_pod_reads_its_config_secret_and_token_and_a_claim_outlives_it() {
    let testbed = Testbed::get().await.unwrap();
    let namespace = testbed.namespace("volume").await.unwrap();
    let name = namespace.name().to_owned();
    let pod = |pod: &str, command: &str| {
        format!(
            r#"
apiVersion: v1
kind: Pod
metadata: {{name: {pod}}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
    - name: c
      image: {BUSYBOX}
      command: [sh, -ec, '{command}']
      volumeMounts:
        - {{name: config, mountPath: /config}}
        - {{name: secret, mountPath: /secret}}
        - {{name: scratch, mountPath: /scratch}}
        - {{name: kept, mountPath: /kept}}
  volumes:
    - {{name: config, configMap: {{name: config}}}}
    - {{name: secret, secret: {{secretName: secret, defaultMode: 0400}}}}
    - {{name: scratch, emptyDir: {{medium: Memory}}}}
    - {{name: kept, persistentVolumeClaim: {{claimName: kept}}}}
"#
        )
    };
    let objects = format!(
        r#"
apiVersion: v1
kind: ConfigMap
metadata: {{name: config}}
data: {{greeting: hello}}
---
apiVersion: v1
kind: Secret
metadata: {{name: secret}}
stringData: {{word: sesame}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  capacity: {{storage: 1Mi}}
  accessModes: [ReadWriteOnce]
  storageClassName: ""
  claimRef: {{namespace: {name}, name: kept}}
  persistentVolumeReclaimPolicy: Delete
  hostPath: {{path: /tmp/{name}, type: DirectoryOrCreate}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: kept}}
spec: {{accessModes: [ReadWriteOnce], storageClassName: "", resources: {{requests: {{storage: 1Mi}}}}}}
"#
    );
    namespace.apply(&objects).await.unwrap();
    let write = pod(
        "writer",
        "cat /config/greeting /secret/word /var/run/secrets/kubernetes.io/serviceaccount/namespace; echo left >/kept/f; mount | grep -c \"/scratch type tmpfs\"",
    );
    namespace.apply(&write).await.unwrap();
    namespace.wait("v1/Pod", "writer", LIMIT, |pod| pod.data["status"]["phase"] == "Succeeded").await.unwrap();
    assert_eq!(namespace.ask(&["logs", "writer"]).unwrap(), format!("hellosesame{name}1\n"));

    namespace.ask(&["delete", "pod", "writer"]).unwrap();
    namespace.apply(&pod("reader", "cat /kept/f")).await.unwrap();
    namespace.wait("v1/Pod", "reader", LIMIT, |pod| pod.data["status"]["phase"] == "Succeeded").await.unwrap();
    assert_eq!(namespace.ask(&["logs", "reader"]).unwrap(), "left\n");
    namespace.ask(&["delete", "persistentvolume", &name, "--wait=false"]).unwrap();
}
