//! The server as `tritonclient` sees it, the protocol's most common client.

use std::process::Command;

use crate::process::{Server, list};
use crate::registry::Registry;

/// Runs a script with `tritonclient` against the server.
async fn agrees(script: &str) {
    let python = std::env::var_os("SLIPWAY_PYTHON_TRITON");
    let python = python.expect("SLIPWAY_PYTHON_TRITON is not set: run this through `make test`");
    let registry = Registry::start().await;
    let (_, digest) = registry.register("3", 1);
    let server = Server::start(&registry.address(), &list("3", &digest), &[]);
    server.ready().await;
    let script = format!("{}/tests/server/{script}", env!("CARGO_MANIFEST_DIR"));
    let address = server.address.trim_start_matches("http://").to_owned();
    let ran = move || Command::new(python).arg(script).arg(address).output();
    let output = tokio::task::spawn_blocking(ran).await.unwrap().unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{wrong}");
    assert_eq!(said.trim(), "all agree");
}

#[tokio::test]
async fn tritonclient_agrees_in_every_encoding_that_it_has() {
    agrees("triton.py").await;
}

#[tokio::test]
async fn tritonclient_agrees_over_grpc_at_the_same_address() {
    agrees("triton_grpc.py").await;
}
