//! The same tests on kind, for a machine with Docker and access to a registry: `CLUSTER=kind`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use super::{Git, Testbed};
use crate::Cache;
use crate::cluster::{Error, Tried as _, stack};

const NAME: &str = "slipway-testbed";

/// The kind cluster with the testbed's components, created if it does not exist.
pub(super) async fn get(cache: &Cache) -> Result<Testbed, Error> {
    let kubeconfig = cache.clusters().join("kind/kubeconfig");
    let file = kubeconfig.display().to_string();
    std::fs::create_dir_all(cache.clusters().join("kind")).tried("making the folder of kind's kubeconfig")?;
    if !run("kind", &["get", "clusters"])?.lines().any(|name| name == NAME) {
        run("kind", &["create", "cluster", "--name", NAME, "--kubeconfig", &file, "--wait", "120s"])?;
        let archive = cache.clusters().join("kind/images.tar").display().to_string();
        run("tar", &["-cf", &archive, "-C", &cache.images().display().to_string(), "."])?;
        run("kind", &["load", "image-archive", "--name", NAME, &archive])?;
        std::fs::remove_file(&archive).tried(format!("removing {archive}"))?;
    }
    run("kind", &["export", "kubeconfig", "--name", NAME, "--kubeconfig", &file])?;
    // kind has a DNS and rights for its API server already
    let components: Vec<_> = ["jobset", "trainer", "argocd", "gateway", "minio", "mlflow"].map(str::to_owned).into();
    let components = stack::select(cache, Some(&components))?;
    let api = slipway_cluster::Cluster::of_kubeconfig(&kubeconfig, None).await?;
    stack::bring_up(&api, &components, SystemTime::UNIX_EPOCH, &|_| {}).await?;
    Ok(Testbed { kubeconfig, kubectl: PathBuf::from("kubectl"), git: git(cache)? })
}

/// A git server on the address that kind's nodes have for this machine; pods and programs here reach it at the same
/// address. It ends with the test program's terminal, like every background job.
fn git(cache: &Cache) -> Result<Git, Error> {
    let gateway =
        run("docker", &["network", "inspect", "kind", "--format", "{{range .IPAM.Config}}{{.Gateway}} {{end}}"])?;
    let address = gateway.split_whitespace().find(|address| address.contains('.')).unwrap_or("127.0.0.1");
    let url = format!("http://{address}:3000");
    let root = cache.clusters().join("kind/git");
    if std::net::TcpStream::connect(format!("{address}:3000")).is_err() {
        std::fs::create_dir_all(&root).tried(format!("making {}", root.display()))?;
        Command::new(cache.program("gitserve"))
            .args(["-addr", &format!("{address}:3000"), "-root"])
            .arg(&root)
            .stdin(Stdio::null())
            .spawn()
            .tried("starting gitserve")?;
    }
    Ok(Git { root, here: url.clone(), inside: url })
}

fn run(program: &str, arguments: &[&str]) -> Result<String, Error> {
    let output =
        Command::new(program).args(arguments).stdin(Stdio::null()).output().tried(format!("running {program}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let what = format!("{program} {}", arguments.join(" "));
    Err(Error::Program { what, reason: String::from_utf8_lossy(&output.stderr).into_owned() })
}
