//! Bringing a cluster up: the node, the API, and what runs in pods.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::core::v1::Node;
use kube::api::Api;
use slipway_cluster::Deadline;
use tokio::time::sleep;

use super::error::{Error, Tried as _};
use super::milestone::OnMilestone;
use super::{Cluster, Forget, diagnose, preflight, stack};
use crate::{images, mirror, node};

/// How soon a condition that does not hold is checked again.
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

impl Cluster {
    /// Brings the cluster up and returns when everything that was asked for is ready. What runs already keeps running.
    ///
    /// # Errors
    /// What the machine lacks; what is not ready in time, with its last log lines; or an object that the API server refuses.
    pub async fn up(&self, options: &Options, on_milestone: OnMilestone<'_>) -> Result<(), Error> {
        preflight::check(&self.cache)?;
        let components = stack::select(&self.cache, options.components.as_deref())?;
        if options.fresh {
            self.down(Forget::State)?;
        }
        // also while it runs, so that what was built since can be pulled
        images::registry_storage(&self.cache, &self.folder.registry())?;
        mirror::copy(&self.cache, &self.folder.git())?;
        let keeper = if self.folder.is_locked() { None } else { Some(self.start_keeper()?) };
        let api = self.wait_for_api(keeper).await?;
        on_milestone("API ready");
        let node = async {
            self.wait_for_node(&api).await?;
            on_milestone("node ready");
            Ok(())
        };
        futures::try_join!(node, stack::bring_up(&api, &components, self.since(), on_milestone))?;
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

    /// A keeper that ends at once has failed, unless another one holds the lock: then that one is waited for.
    async fn wait_for_api(&self, mut keeper: Option<Child>) -> Result<slipway_cluster::Cluster, Error> {
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
                let api = self.api().await?;
                if is_ready(&api).await {
                    return Ok(api);
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

    async fn wait_for_node(&self, api: &slipway_cluster::Cluster) -> Result<(), Error> {
        let (nodes, since) = (Api::<Node>::all(api.client().clone()), self.since());
        let ready = |node: Option<&Node>| node.is_some_and(|node| is_node_ready(node, since));
        match api.wait_for(nodes, node::NAME, "the node", Deadline::after(NODE_LIMIT), ready).await {
            Ok(_) => Ok(()),
            Err(slipway_cluster::Error::Timeout { .. }) => {
                let evidence = diagnose::evidence(&self.folder.log_of("kubelet"));
                Err(Error::Late { what: "the node".to_owned(), limit: NODE_LIMIT, evidence })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// When the node started: what the API server holds from before is of an earlier life.
    pub(super) fn since(&self) -> SystemTime {
        fs::metadata(self.folder.pid_file()).and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// The `testbed` program: this one, or in a test the one that cargo built beside it.
fn own_program() -> Result<PathBuf, Error> {
    let this = std::env::current_exe().tried("finding this program")?;
    let beside = this.ancestors().skip(1).take(2).map(|folder| folder.join("testbed"));
    let program = std::iter::once(this.clone()).chain(beside).find(|path| path.ends_with("testbed") && path.is_file());
    program.ok_or_else(|| {
        Error::Machine(vec![format!("the program `testbed` beside {}: cargo build -p slipway-testbed", this.display())])
    })
}

async fn is_ready(api: &slipway_cluster::Cluster) -> bool {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else { return false };
    api.client().request_text(request).await.is_ok()
}

fn is_node_ready(node: &Node, since: SystemTime) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| {
        let beat = condition.last_heartbeat_time.as_ref().map_or(0, |time| time.0.as_second());
        let since = since.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        condition.type_ == "Ready" && condition.status == "True" && beat.cast_unsigned() >= since
    })
}
