//! What Argo CD would deploy to each cluster, from a project's files: built by kustomize and helm, followed, checked and compared.

mod changes;
mod credentials;
mod difference;
mod error;
mod examine;
mod helm;
mod kustomize;
mod program;
mod upstream;

pub use credentials::{Credentials, credentials};
pub use difference::{Differences, InPullRequest, differences, in_pull_request, own_differences};
pub use error::{Error, Result};
pub use examine::{Deployment, environments, examine};
pub use helm::{HOW_TO_GET_HELM, Helm};
pub use kustomize::{HOW_TO_GET_KUSTOMIZE, Kustomize};
pub use upstream::{Programs, Upstream, examine_upstream, not_rendered, render};
