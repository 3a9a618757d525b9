//! Text that a person wrote: positions in it, YAML as a tree, and what is wrong with it.
//!
//! Pure: no files. Three ways to read YAML, by what the text is:
//!
//! | Text | Function | Gives |
//! |---|---|---|
//! | a file of Slipway's own formats, maybe hostile | [`document`] | one tree; aliases, tags and further documents are refused |
//! | Kubernetes manifests | [`documents`] | the tree of each document, as Kubernetes reads it; aliases are followed, within bounds |
//! | a small file whose first mistake is enough | [`typed`] | any type that serde can read |
//!
//! Every mistake is a [`Finding`].

mod builder;
mod excerpt;
mod finding;
mod malformed;
mod node;
mod position;
mod read;
mod scalar;
mod suggest;
mod syntax;
mod typed;

pub use excerpt::excerpt;
pub use finding::Finding;
pub use malformed::Malformed;
pub use node::{Entry, Node, Value};
pub use position::Position;
pub use read::{MAX_BYTES, document, documents, position_of};
pub use scalar::Scalar;
pub use suggest::{closest, suggest, suggestion};
pub use typed::typed;
