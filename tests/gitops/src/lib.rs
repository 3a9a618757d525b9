//! Judges the GitOps tree by the programs that will judge it: kustomize, helm, Argo CD, and an API server with the real definitions.

pub mod api_server;
mod charts;
pub mod policies;
pub mod program;
pub mod tree;
pub mod upstream;
