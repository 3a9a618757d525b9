//! What a GitOps tree says: the objects that Argo CD would put into each cluster, what is wrong with them, and how two trees differ.
//!
//! Pure: no files, no processes, no network. The caller gives the repository's files and what `kustomize build` made of its
//! folders; findings with places, or differences, come out.
//!
//! ```text
//! files --kustomizations--> folders to build --(caller runs kustomize)--> builds
//! files + builds --follow--> Environment: Applications with their objects --check--> findings
//!                                                                        --compare--> differences by resource
//! ```

mod application;
mod checks;
mod difference;
mod environment;
mod finding;
mod glob;
mod image;
mod kustomization;
mod locate;
mod markdown;
mod object;
mod path;
mod pods;
mod yaml;

use std::collections::BTreeMap;

pub use application::{Application, Source};
pub use checks::{Demands, Secret, check};
pub use difference::{Change, Difference, compare};
pub use environment::{Deployed, Environment, follow, root_folder};
pub use finding::Finding;
pub use kustomization::{Kustomization, digest, kustomizations};
pub use markdown::markdown;
pub use object::{Id, Object, built};
pub use yaml::{Malformed, Node, Place, documents};

/// The repository's files by path, `/` between folders.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What `kustomize build` printed for each folder, or what it said when it failed. A folder that was not built is missing: what
/// depends on it is then not checked.
pub type Builds = BTreeMap<String, Result<String, String>>;
