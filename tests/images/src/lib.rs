//! What the tests of the images share: a containerd and a registry for each test, and built images.

pub mod built;
pub mod container;
pub mod containerd;
pub mod proxy;
pub mod registry;
