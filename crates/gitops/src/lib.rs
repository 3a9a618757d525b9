//! What a GitOps repository deploys: the objects that Argo CD would create in each cluster, what is wrong with them, and how two
//! versions of the repository differ.
//!
//! Pure: no files, no processes, no network. The caller gives the repository's files and the output of `kustomize build` for its
//! folders; findings or differences come out.
//!
//! ```text
//! files --buildable--> folders to build --(caller runs kustomize)--> builds
//! files + builds --follow--> Environment: Applications with their objects --check--> findings
//!                                                                        --compare--> differences by resource
//! what the caller rendered from other repositories --from_upstream--> objects --check_upstream--> findings
//! ```

mod application;
mod application_set;
mod build;
mod build_error;
mod checks;
mod difference;
mod environment;
mod glob;
mod image;
mod kustomization;
mod locate;
mod markdown;
mod object;
mod path;
mod pods;
mod remote;
mod repository;
mod scope;
mod suggest;

use std::collections::BTreeMap;

pub use application::{Application, Source};
pub use build::{Builds, Changed};
pub use checks::{Demands, Secret, check, check_upstream, unbuildable};
pub use difference::{Change, Difference, compare};
pub use environment::{Deployed, Environment, follow, root_folder};
pub use kustomization::{Kustomization, digest, kustomizations};
pub use markdown::markdown;
pub use object::{Id, Object, at_source, from_upstream};
pub use remote::buildable;
pub use repository::is_same_repository;
pub use slipway_source::{Finding, Malformed, Node};

/// The repository's files by path, with `/` between folders.
pub type Files = BTreeMap<String, Vec<u8>>;
