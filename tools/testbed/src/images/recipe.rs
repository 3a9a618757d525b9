//! What each image holds. Images replace upstream's: the same reference, the same program at the same path, the same user.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::layer::{Layer, Owner, ROOT};
use crate::Cache;

/// An image to assemble.
pub(super) struct Recipe {
    /// A short name, for progress and errors.
    pub(super) name: &'static str,
    /// The references under which it is pulled; progress shows the first.
    pub(super) references: &'static [&'static str],
    /// The programs of the cache's `bin/` that it holds. It is out of date when one of them is.
    pub(super) programs: &'static [&'static str],
    /// Whether the Debian layer is below it.
    pub(super) debian: bool,
    /// The image's configuration, in the terms of the OCI image specification.
    pub(super) config: fn() -> Value,
    /// Writes its own layer; `None` if it has only the Debian layer.
    pub(super) layer: Option<fn(&mut Layer<'_>, &Sources<'_>) -> io::Result<()>>,
}

/// Where the files of images come from.
pub(super) struct Sources<'a> {
    pub(super) cache: &'a Cache,
    /// The pause program, compiled.
    pub(super) pause: &'a Path,
    /// Argo CD's own source.
    pub(super) argocd: &'a Path,
    /// The names under which busybox can be called.
    pub(super) applets: &'a [String],
    /// Python packages with MLflow among them; `None` if this machine has none.
    pub(super) mlflow: Option<PathBuf>,
}

/// Part of every image's inputs: a changed recipe is a changed image.
pub(super) const SOURCE: &str = concat!(include_str!("recipe.rs"), include_str!("postgres-entrypoint.sh"));

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const ARGOCD: Owner = Owner(999);

/// One static program and nothing else.
macro_rules! single {
    ($name:literal, $program:literal at $path:literal, $user:expr, [$($reference:literal),+]) => {
        Recipe {
            name: $name,
            references: &[$($reference),+],
            programs: &[$program],
            debian: false,
            config: || json!({ "User": $user, "WorkingDir": "/", "Entrypoint": [$path], "Env": [PATH] }),
            layer: Some(|layer, sources| {
                folders(layer, $path)?;
                layer.folder("tmp", 0o1777, ROOT)?;
                layer.copy($path, 0o755, &sources.cache.program($program))
            }),
        }
    };
}

/// Every image.
pub(super) const RECIPES: &[Recipe] = &[
    Recipe {
        name: "pause",
        references: &["registry.k8s.io/pause:3.10.1"],
        programs: &[],
        debian: false,
        config: || json!({ "User": "65535:65535", "Entrypoint": ["/pause"], "Env": [PATH] }),
        layer: Some(|layer, sources| layer.copy("pause", 0o755, sources.pause)),
    },
    Recipe {
        name: "busybox",
        references: &["docker.io/library/busybox:1.35.0"],
        programs: &[],
        debian: false,
        config: || json!({ "Cmd": ["sh"], "Env": [PATH] }),
        layer: Some(|layer, sources| {
            folders(layer, "/bin/busybox")?;
            layer.folder("etc", 0o755, ROOT)?;
            layer.folder("tmp", 0o1777, ROOT)?;
            layer.file(
                "etc/passwd",
                0o644,
                ROOT,
                b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
            )?;
            layer.file("etc/group", 0o644, ROOT, b"root:x:0:\nnogroup:x:65534:\n")?;
            layer.copy("bin/busybox", 0o755, Path::new("/bin/busybox"))?;
            sources.applets.iter().try_for_each(|applet| layer.link(&format!("bin/{applet}"), "busybox"))
        }),
    },
    single!("coredns", "coredns" at "/coredns", "65532:65532", ["registry.k8s.io/coredns/coredns:v1.14.7"]),
    single!("jobset", "jobset" at "/manager", "65532:65532", [
        "registry.k8s.io/jobset/jobset:v0.12.0",
        "us-central1-docker.pkg.dev/k8s-staging-images/jobset/jobset:v0.12.0"
    ]),
    single!("trainer", "trainer-controller-manager" at "/manager", "65532:65532", [
        "ghcr.io/kubeflow/trainer/trainer-controller-manager:v2.3.0"
    ]),
    single!("traefik", "traefik" at "/usr/local/bin/traefik", "", ["docker.io/library/traefik:v3.7.13"]),
    single!("storage", "storage" at "/storage", "", ["localhost/testbed/storage:1"]),
    // of a later commit than the last published image, because only the source was still updated
    single!("minio", "minio" at "/usr/bin/minio", "", ["quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"]),
    Recipe {
        name: "base",
        references: &["localhost/testbed/base:bookworm"],
        programs: &[],
        debian: true,
        config: || json!({ "Cmd": ["/bin/sh"], "Env": [PATH] }),
        layer: None,
    },
    Recipe {
        name: "argocd",
        references: &["quay.io/argoproj/argocd:v3.5.7"],
        programs: &["argocd", "helm", "kustomize"],
        debian: true,
        config: || {
            json!({
                "User": "999", "WorkingDir": "/home/argocd", "Entrypoint": ["/usr/bin/tini", "--"],
                "Env": [PATH, "USER=argocd", "GRPC_ENABLE_TXT_SERVICE_CONFIG=false"],
            })
        },
        layer: Some(argocd),
    },
    Recipe {
        name: "mc",
        // a little older inside: the newest version that is available as a Go module
        references: &["quay.io/minio/mc:RELEASE.2025-08-13T08-35-41Z"],
        programs: &["mc"],
        debian: true,
        config: || json!({ "Entrypoint": ["mc"], "Env": [PATH] }),
        layer: Some(|layer, sources| layer.copy("usr/local/bin/mc", 0o755, &sources.cache.program("mc"))),
    },
    Recipe {
        name: "redis",
        references: &["public.ecr.aws/docker/library/redis:8.2.3-alpine", "docker.io/library/redis:8.2.3-alpine"],
        programs: &[],
        debian: true,
        // arguments begin with a dash, as for the well-known image
        config: || json!({ "User": "999:999", "WorkingDir": "/data", "Entrypoint": ["redis-server"], "Env": [PATH] }),
        layer: Some(|layer, _| layer.folder("data", 0o777, ARGOCD)),
    },
    Recipe {
        name: "postgres",
        references: &["docker.io/library/postgres:15.20-bookworm", "docker.io/library/postgres:15-bookworm"],
        programs: &[],
        debian: true,
        config: || {
            json!({
                "User": "999:999", "Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["postgres"], "StopSignal": "SIGINT",
                "Env": [format!("{PATH}:/usr/lib/postgresql/15/bin"), "PGDATA=/var/lib/postgresql/data", "LANG=C.UTF-8"],
            })
        },
        layer: Some(|layer, _| {
            layer.folder("run/postgresql", 0o1777, ROOT)?;
            layer.folder("var/lib/postgresql/data", 0o1777, ROOT)?;
            layer.file("usr/local/bin/docker-entrypoint.sh", 0o755, ROOT, include_bytes!("postgres-entrypoint.sh"))
        }),
    },
    Recipe {
        name: "mlflow",
        references: &["localhost/testbed/mlflow:3.17.2"],
        programs: &[],
        debian: true,
        config: || {
            json!({
                "User": "1000:1000", "WorkingDir": "/tmp", "Entrypoint": ["python3", "-m", "mlflow"],
                "Env": [PATH, "PYTHONPATH=/opt/mlflow", "HOME=/tmp", "PYTHONDONTWRITEBYTECODE=1"],
            })
        },
        layer: Some(|layer, sources| {
            let Some(packages) = &sources.mlflow else { return Ok(()) };
            layer.folder("opt/mlflow", 0o755, ROOT)?;
            tree(layer, "opt/mlflow", packages)
        }),
    },
];

/// As in its Dockerfile, without git-lfs.
fn argocd(layer: &mut Layer<'_>, sources: &Sources<'_>) -> io::Result<()> {
    layer.folder("home/argocd", 0o775, ARGOCD)?;
    for folder in ["app", "app/config", "app/config/ssh", "app/config/tls", "app/config/gpg", "app/config/gpg/source"] {
        layer.folder(folder, 0o755, ROOT)?;
    }
    layer.folder("app/config/gpg/keys", 0o700, ARGOCD)?;
    layer.file("app/config/ssh/ssh_known_hosts", 0o644, ROOT, b"")?;
    layer.link("etc/ssh/ssh_known_hosts", "/app/config/ssh/ssh_known_hosts")?;
    layer.copy("usr/local/bin/argocd", 0o755, &sources.cache.program("argocd"))?;
    for name in ["helm", "kustomize"] {
        layer.copy(&format!("usr/local/bin/{name}"), 0o755, &sources.cache.program(name))?;
    }
    for name in [
        "server",
        "repo-server",
        "cmp-server",
        "application-controller",
        "applicationset-controller",
        "commit-server",
        "dex",
        "k8s-auth",
        "notifications",
        "git-ask-pass",
    ] {
        layer.link(&format!("usr/local/bin/argocd-{name}"), "argocd")?;
    }
    // the first two check the signature of each commit
    for script in ["hack/git-verify-wrapper.sh", "hack/gpg-wrapper.sh", "entrypoint.sh"] {
        let name = script.trim_start_matches("hack/");
        layer.copy(&format!("usr/local/bin/{name}"), 0o755, &sources.argocd.join(script))?;
    }
    Ok(())
}

/// Adds the folders above a path.
fn folders(layer: &mut Layer<'_>, path: &str) -> io::Result<()> {
    let mut above: Vec<_> = Path::new(path).ancestors().skip(1).collect();
    above.reverse();
    above
        .iter()
        .filter_map(|path| path.to_str())
        .filter(|path| *path != "/")
        .try_for_each(|path| layer.folder(path, 0o755, ROOT))
}

/// Adds a folder of this machine, without what Python does not need.
fn tree(layer: &mut Layer<'_>, path: &str, from: &Path) -> io::Result<()> {
    let mut entries = std::fs::read_dir(from)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (name, source) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str().filter(|name| !matches!(*name, "__pycache__" | "tests" | "streamlit" | "pip"))
        else {
            continue;
        };
        let target = format!("{path}/{name}");
        if source.is_dir() {
            layer.folder(&target, 0o755, ROOT)?;
            tree(layer, &target, &source)?;
        } else {
            layer.copy(&target, 0o644, &source)?;
        }
    }
    Ok(())
}
