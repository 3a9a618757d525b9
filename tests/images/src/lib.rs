//! What the tests of the images share: a containerd and a registry of their own, and the images as they were built.

pub mod built;
pub mod container;
pub mod containerd;
pub mod proxy;
pub mod registry;
