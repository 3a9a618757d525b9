//! Judges the GitOps tree by the programs that will judge it: kustomize, Argo CD, and an API server with the real definitions.

pub mod api_server;
pub mod policies;
pub mod program;
pub mod tree;
pub mod upstream;
