//! The manager's loops against an API server in memory, a real bare repository and a real MLflow.

mod declaring;
mod kills;
mod kubernetes;
mod life;
mod logs;
mod many;
mod watching;
mod world;
