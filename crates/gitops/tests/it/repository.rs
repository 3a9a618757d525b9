//! A small repository without mistakes.

use slipway_gitops::{Builds, Demands, Environment, Files, Finding, Secret, buildable, check, follow};

const ROOT: &str = "apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: root, namespace: argocd}
spec:
  sourceRepos: ['https://example.org/this.git']
  destinations: [{server: https://kubernetes.default.svc, namespace: argocd}]
  namespaceResourceWhitelist: [{group: argoproj.io, kind: '*'}]
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: root, namespace: argocd}
spec:
  project: root
  source: {repoURL: https://example.org/this.git, targetRevision: main, path: clusters/local}
  destination: {server: https://kubernetes.default.svc, namespace: argocd}
";

const APPLICATIONS: &str = "apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: stack, namespace: argocd}
spec:
  sourceRepos: ['https://example.org/*']
  destinations: [{server: https://kubernetes.default.svc, namespace: '*'}]
  clusterResourceWhitelist:
    - {group: '', kind: Namespace}
    - {group: trainer.kubeflow.org, kind: ClusterTrainingRuntime}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: namespaces
  namespace: argocd
  annotations: {argocd.argoproj.io/sync-wave: '0'}
spec:
  project: stack
  source: {repoURL: https://example.org/this.git, targetRevision: main, path: overlays/local/namespaces}
  destination: {server: https://kubernetes.default.svc}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: web, namespace: argocd}
spec:
  project: stack
  source:
    repoURL: https://example.org/this.git
    targetRevision: main
    path: overlays/local/web
  destination: {server: https://kubernetes.default.svc, namespace: web}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: upstream, namespace: argocd}
spec:
  project: stack
  source: {repoURL: https://example.org/upstream.git, targetRevision: v1, path: manifests}
  destination:
    server: https://kubernetes.default.svc
    namespace: upstream
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: training-jobs, namespace: argocd}
spec:
  project: stack
  source: {repoURL: https://example.org/this.git, targetRevision: main, path: overlays/local/training-jobs}
  destination: {server: https://kubernetes.default.svc, namespace: training}
";

const NAMESPACES: &str = "apiVersion: v1
kind: Namespace
metadata: {name: argocd}
---
apiVersion: v1
kind: Namespace
metadata: {name: web}
---
apiVersion: v1
kind: Namespace
metadata: {name: training}
---
apiVersion: v1
kind: Namespace
metadata: {name: upstream}
";

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      serviceAccountName: web
      securityContext:
        runAsNonRoot: true
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: web
          image: example.org/web:1.2
          securityContext:
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
          env:
            - name: PASSWORD
              valueFrom:
                secretKeyRef: {name: web-password, key: password}
            - name: OWN
              value: http://web.web.svc:80/
          envFrom:
            - configMapRef: {name: web-settings}
          resources:
            requests: {cpu: 100m, memory: 64Mi}
            limits: {memory: 64Mi}
          readinessProbe: {httpGet: {path: /, port: 8080}}
          livenessProbe: {httpGet: {path: /, port: 8080}}
          volumeMounts: []
      volumes:
        - name: settings
          configMap:
            name: web-settings
            items: [{key: level, path: level}]
        - name: data
          persistentVolumeClaim: {claimName: web-data}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web-settings}
data:
  level: info
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: web-data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gate}
spec:
  gatewayClassName: traefik
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs:
    - name: gate
      sectionName: http
  hostnames: [web.example.org]
  rules:
    - backendRefs:
        - name: web
          port: 80
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: reader
subjects:
  - kind: ServiceAccount
    name: web
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec:
  minAvailable: 1
  selector:
    matchLabels: {app: web}
---
apiVersion: trainer.kubeflow.org/v1alpha1
kind: ClusterTrainingRuntime
metadata: {name: rust}
spec:
  template:
    spec:
      replicatedJobs:
        - name: node
          template:
            spec:
              template:
                spec:
                  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
                  containers:
                    - name: node
                      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
                      envFrom:
                        - secretRef: {name: trainer-s3}
";

const JOB: &str = "apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {name: digits-1, namespace: training}
spec:
  runtimeRef:
    name: rust
  trainer:
    image: example.org/trainer:1
";

/// A repository, and what its environments require.
pub(crate) struct Repository {
    pub(crate) files: Files,
    pub(crate) demands: Demands,
}

impl Repository {
    pub(crate) fn new() -> Self {
        let all = [
            ("clusters/local/root/kustomization.yaml", "resources: [root.yaml]\n"),
            ("clusters/local/root/root.yaml", ROOT),
            ("clusters/local/kustomization.yaml", "resources: [applications.yaml]\n"),
            ("clusters/local/applications.yaml", APPLICATIONS),
            ("overlays/local/namespaces/kustomization.yaml", "resources: [../../../base/namespaces]\n"),
            ("base/namespaces/kustomization.yaml", "resources: [namespaces.yaml]\n"),
            ("base/namespaces/namespaces.yaml", NAMESPACES),
            ("overlays/local/web/kustomization.yaml", "resources: [../../../base/web]\n"),
            ("base/web/kustomization.yaml", "resources: [web.yaml]\n"),
            ("base/web/web.yaml", WEB),
            ("overlays/local/training-jobs/README.md", "not: [yaml"),
            ("overlays/local/training-jobs/digits-1.yaml", JOB),
        ];
        let secret = |namespace: &str, name: &str| Secret {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            keys: vec!["password".to_owned()],
        };
        Self {
            files: all.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect(),
            demands: Demands {
                environment: "local".to_owned(),
                images_by_digest: false,
                jobs_namespace: "training".to_owned(),
                secrets: vec![secret("web", "web-password"), secret("training", "trainer-s3")],
            },
        }
    }

    pub(crate) fn write(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), text.as_bytes().to_vec());
    }

    /// Appends to a file.
    pub(crate) fn append(&mut self, path: &str, more: &str) {
        self.files.get_mut(path).unwrap().extend_from_slice(more.as_bytes());
    }

    /// Replaces a text that occurs in a file.
    pub(crate) fn replace(&mut self, path: &str, from: &str, to: &str) {
        let text = String::from_utf8(self.files[path].clone()).unwrap();
        assert!(text.contains(from), "{path} holds {from}");
        self.write(path, &text.replacen(from, to, 1));
    }

    /// Stands in for kustomize: the resources one after the other, which is all that these kustomizations need.
    pub(crate) fn builds(&self) -> Builds {
        let folders = buildable(&self.files).0;
        Builds {
            folders: folders.iter().map(|folder| (folder.clone(), self.build(folder))).collect(),
            ..Builds::default()
        }
    }

    fn build(&self, folder: &str) -> Result<String, String> {
        let file = format!("{folder}/kustomization.yaml");
        let text = std::str::from_utf8(self.files.get(&file).ok_or("no kustomization")?).unwrap();
        let listed = text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(list, _)| list);
        let mut built = Vec::new();
        for name in listed.split(", ").filter(|name| !name.is_empty()) {
            if let Some(up) = name.strip_prefix("../../../") {
                built.push(self.build(up)?);
            } else {
                let path = format!("{folder}/{name}");
                let bytes = self.files.get(&path).ok_or_else(|| format!("trouble\nError: no such file {path}\n"))?;
                built.push(String::from_utf8(bytes.clone()).unwrap());
            }
        }
        Ok(built.join("---\n"))
    }

    pub(crate) fn findings(&self) -> Vec<Finding> {
        self.check().1
    }

    /// The environment, and what is wrong with it.
    pub(crate) fn check(&self) -> (Environment, Vec<Finding>) {
        let (environment, mut findings) = self.check_with(&self.builds());
        findings.extend(buildable(&self.files).1);
        (environment, findings)
    }

    pub(crate) fn check_with(&self, builds: &Builds) -> (Environment, Vec<Finding>) {
        let followed = vec![follow(&self.files, builds, "local")];
        let (environments, findings) = check(&self.files, builds, followed, std::slice::from_ref(&self.demands));
        (environments.into_iter().next().unwrap_or_default(), findings)
    }

    /// What is deployed and not read, each with the line that it points at.
    pub(crate) fn omitted(&self) -> Vec<String> {
        self.check().0.omitted.iter().map(|one| format!("{} | {}", one.message, self.line(one))).collect()
    }

    /// The code of every finding, and the line that it points at.
    pub(crate) fn found(&self) -> Vec<String> {
        let all = self.findings();
        all.iter().map(|one| format!("{} | {}", one.code, self.line(one))).collect()
    }

    /// The line that a finding points at.
    fn line(&self, finding: &Finding) -> String {
        let text = String::from_utf8(self.files[&finding.file].clone()).unwrap();
        text.lines().nth(finding.line - 1).unwrap().trim().to_owned()
    }
}
