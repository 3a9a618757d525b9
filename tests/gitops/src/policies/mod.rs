//! What NetworkPolicies let through, worked out from the declarations alone by the rules of `networking.k8s.io/v1`. Not of pods: the
//! kubelet's probes come from the node, which no policy keeps out.

mod cluster;
mod pods;
mod policy;
mod selector;
#[cfg(test)]
mod tests;

pub use cluster::Cluster;
pub use pods::{ContainerPort, Pod, Protocol};
pub use policy::{Direction, Policy};
pub use selector::{Labels, Selector};
