//! Bringing a cluster up: the node, the API, and what runs in pods.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::Api;
use tokio::time::sleep;

use super::error::{Error, Tried as _};
use super::{Cluster, Forget, diagnose, preflight, stack};
use crate::{images, mirror, node};

/// How soon a condition that does not hold is looked at again.
const AGAIN: Duration = Duration::from_millis(50);
const NODE_LIMIT: Duration = Duration::from_secs(60);

/// What to bring up.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Forget the cluster's state and keys first; a cluster that runs is taken down.
    pub fresh: bool,
    /// Names of the components; `None` is all of them.
    pub components: Option<Vec<String>>,
}

/// Told what has been reached, in order.
pub type Progress<'a> = &'a (dyn Fn(&str) + Sync);

impl Cluster {
    /// Brings the cluster up and returns when everything that was asked for is ready. What runs already is left alone.
    ///
    /// # Errors
    /// What the machine lacks, what is not ready in time with its last log lines, or an object that the API server refuses.
    pub async fn up(&self, options: &Options, progress: Progress<'_>) -> Result<(), Error> {
        preflight::check(&self.cache)?;
        let components = stack::select(&self.cache, options.components.as_deref())?;
        if options.fresh {
            self.down(Forget::State)?;
        }
        // Also while it runs: what was built meanwhile can be pulled then.
        images::registry_storage(&self.cache, &self.folder.registry())?;
        mirror::copy(&self.cache, &self.folder.git())?;
        let keeper = if self.folder.is_locked() { None } else { Some(self.start_keeper()?) };
        let client = self.wait_for_api(keeper).await?;
        progress("API ready");
        let node = async {
            self.wait_for_node(&client).await?;
            progress("node ready");
            Ok(())
        };
        futures::try_join!(node, stack::bring_up(&client, &components, self.since(), progress))?;
        Ok(())
    }

    fn start_keeper(&self) -> Result<Child, Error> {
        fs::create_dir_all(self.folder.log()).tried(format!("making {}", self.folder.log().display()))?;
        let file = self.folder.log_of("node");
        let log = fs::File::create(&file).tried(format!("writing {}", file.display()))?;
        let errors = log.try_clone().tried("sharing the node's log")?;
        Command::new(own_program()?)
            .arg0("testbed")
            .args(["keep", "--cluster", &self.name])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .tried("starting the keeper")
    }

    /// A keeper that ends at once lost a race for the lock, which is as good; or it failed.
    async fn wait_for_api(&self, mut keeper: Option<Child>) -> Result<Client, Error> {
        let end = Instant::now() + NODE_LIMIT;
        loop {
            if let Some(child) = &mut keeper
                && child.try_wait().tried("waiting for the keeper")?.is_some()
            {
                if !self.folder.is_locked() {
                    return Err(Error::NodeEnded {
                        cluster: self.name.clone(),
                        evidence: diagnose::evidence(&self.folder.log_of("node")),
                    });
                }
                keeper = None;
            }
            if self.folder.init().is_some() && self.folder.kubeconfig().exists() {
                let client = self.client().await?;
                if is_ready(&client).await {
                    return Ok(client);
                }
            }
            if Instant::now() > end {
                let log = ["etcd", "kube-apiserver"]
                    .into_iter()
                    .find(|name| *name == "kube-apiserver" || !self.runs(name))
                    .unwrap_or("node");
                return Err(Error::Late {
                    what: "the API".to_owned(),
                    limit: NODE_LIMIT,
                    evidence: diagnose::evidence(&self.folder.log_of(log)),
                });
            }
            sleep(AGAIN).await;
        }
    }

    async fn wait_for_node(&self, client: &Client) -> Result<(), Error> {
        let (end, nodes) = (Instant::now() + NODE_LIMIT, Api::<Node>::all(client.clone()));
        let since = self.since();
        while !nodes.get_opt(node::NAME).await?.is_some_and(|node| is_node_ready(&node, since)) {
            if Instant::now() > end {
                let evidence = diagnose::evidence(&self.folder.log_of("kubelet"));
                return Err(Error::Late { what: "the node".to_owned(), limit: NODE_LIMIT, evidence });
            }
            sleep(AGAIN).await;
        }
        Ok(())
    }

    /// When the node began: what is older in the API server is of an earlier life.
    pub(super) fn since(&self) -> SystemTime {
        fs::metadata(self.folder.pid_file()).and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// The `testbed` program: this one, or for a test the one that cargo built beside it.
fn own_program() -> Result<PathBuf, Error> {
    let this = std::env::current_exe().tried("finding this program")?;
    let beside = this.ancestors().skip(1).take(2).map(|folder| folder.join("testbed"));
    let program = std::iter::once(this.clone()).chain(beside).find(|path| path.ends_with("testbed") && path.is_file());
    program.ok_or_else(|| {
        Error::Machine(vec![format!("the program `testbed` beside {}: cargo build -p slipway-testbed", this.display())])
    })
}

async fn is_ready(client: &Client) -> bool {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else { return false };
    client.request_text(request).await.is_ok()
}

fn is_node_ready(node: &Node, since: SystemTime) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| {
        let beat = condition.last_heartbeat_time.as_ref().map_or(0, |time| time.0.as_second());
        let since = since.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        condition.type_ == "Ready" && condition.status == "True" && beat.cast_unsigned() >= since
    })
}
