//! What Argo CD would deploy to each cluster, from a project's files alone: built by kustomize, followed, checked and compared.

mod changes;
mod credentials;
mod difference;
mod error;
mod examine;
mod kustomize;
mod upstream;

pub use credentials::{Credentials, credentials};
pub use difference::{Differences, differences, in_pull_request};
pub use error::{Error, Result};
pub use examine::{Deployment, environments, examine};
pub use kustomize::{HOW_TO_GET_KUSTOMIZE, Kustomize};
pub use upstream::render;
