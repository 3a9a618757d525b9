//! The programs that are built.

/// A program that is built from a Go module.
#[derive(Debug)]
pub struct Program {
    /// Its file in the cache's `bin/`.
    pub name: &'static str,
    /// Its folder under `modules/`, where go.mod pins every version.
    pub module: &'static str,
    /// The package that holds its `main`.
    pub package: &'static str,
    /// Variables that the linker sets, mostly the version that the program prints.
    pub variables: &'static [(&'static str, &'static str)],
    /// Other names in `bin/`, links to the program, which acts by the name that it is called by.
    pub links: &'static [&'static str],
}

/// The version of Kubernetes, as modules/kube/go.mod pins it. 1.36 is the last minor version whose kubelet runs without the CRI's
/// `RuntimeConfig`, which Debian 12's containerd 1.6 lacks.
pub(crate) const KUBERNETES: &str = "v1.36.3";

/// Every program, in the order in which they are needed.
pub const PROGRAMS: &[Program] = &[
    Program {
        name: "kustomize",
        module: "kustomize",
        package: "sigs.k8s.io/kustomize/kustomize/v5",
        variables: &[("sigs.k8s.io/kustomize/api/provenance.version", "v5.8.1")],
        links: &[],
    },
    Program {
        name: "helm",
        module: "helm",
        package: "helm.sh/helm/v4/cmd/helm",
        variables: &[("helm.sh/helm/v4/internal/version.version", "v4.2.1")],
        links: &[],
    },
    Program {
        name: "kube",
        module: "kube",
        package: ".",
        variables: &[
            ("k8s.io/component-base/version.gitVersion", KUBERNETES),
            ("k8s.io/component-base/version.gitMajor", "1"),
            ("k8s.io/component-base/version.gitMinor", "36"),
            ("k8s.io/client-go/pkg/version.gitVersion", KUBERNETES),
        ],
        links: &[
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kube-proxy",
            "kubelet",
            "kubeadm",
            "kubectl",
        ],
    },
    Program { name: "etcd", module: "etcd", package: ".", variables: &[], links: &[] },
    Program { name: "coredns", module: "coredns", package: ".", variables: &[], links: &[] },
    Program {
        name: "registry",
        module: "registry",
        package: ".",
        variables: &[("github.com/distribution/distribution/v3/version.version", "v3.1.2")],
        links: &[],
    },
    Program { name: "gitserve", module: "gitserve", package: ".", variables: &[], links: &[] },
    Program { name: "storage", module: "storage", package: ".", variables: &[], links: &[] },
    Program {
        name: "trainer-controller-manager",
        module: "controllers",
        package: "github.com/kubeflow/trainer/v2/cmd/trainer-controller-manager",
        variables: &[],
        links: &[],
    },
    Program { name: "jobset", module: "controllers", package: "sigs.k8s.io/jobset", variables: &[], links: &[] },
    Program { name: "trainer-config", module: "controllers", package: ".", variables: &[], links: &[] },
    Program {
        name: "argocd",
        module: "argocd",
        package: "github.com/argoproj/argo-cd/v3/cmd",
        variables: &[("github.com/argoproj/argo-cd/v3/common.version", "3.5.7")],
        links: &[],
    },
    Program {
        name: "minio",
        module: "minio",
        package: "github.com/minio/minio",
        // the program parses its version as a time; the module's version is a commit of that time
        variables: &[
            ("github.com/minio/minio/cmd.Version", "2026-02-12T20:18:48Z"),
            ("github.com/minio/minio/cmd.ReleaseTag", "RELEASE.2026-02-12T20-18-48Z"),
            ("github.com/minio/minio/cmd.CopyrightYear", "2026"),
        ],
        links: &[],
    },
    Program {
        name: "mc",
        module: "mc",
        package: "github.com/minio/mc",
        variables: &[
            ("github.com/minio/mc/cmd.Version", "2025-03-13T08:02:18Z"),
            ("github.com/minio/mc/cmd.ReleaseTag", "RELEASE.2025-03-13T08-02-18Z"),
        ],
        links: &[],
    },
    Program {
        name: "traefik",
        module: "traefik",
        package: "github.com/traefik/traefik/v3/cmd/traefik",
        variables: &[("github.com/traefik/traefik/v3/pkg/version.Version", "3.7.13")],
        links: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::super::modules;
    use super::*;

    #[test]
    fn printed_versions_are_those_that_go_mod_pins() {
        // these two print the time of a commit
        for program in PROGRAMS.iter().filter(|program| !matches!(program.name, "minio" | "mc")) {
            let pins = std::fs::read_to_string(modules().join(program.module).join("go.mod")).unwrap();
            let is_version = |name: &str| name.to_lowercase().ends_with("version");
            for (name, value) in program.variables.iter().filter(|(name, _)| is_version(name)) {
                let pinned = format!(" v{}", value.trim_start_matches('v'));
                assert!(
                    pins.lines().any(|line| line.trim_end_matches(" // indirect").ends_with(&pinned)),
                    "{name}: {value}"
                );
            }
        }
        let kube = PROGRAMS.iter().find(|program| program.name == "kube").unwrap();
        let minor = kube.variables.iter().find(|(name, _)| name.ends_with("gitMinor")).unwrap().1;
        assert_eq!(KUBERNETES.split('.').nth(1), Some(minor));
        assert!(include_str!("../node/etc/kubeadm.yaml").contains(&format!("kubernetesVersion: {KUBERNETES}\n")));
    }
}
