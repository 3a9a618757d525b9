//! The code of the gRPC interface is what `proto/inference.proto` makes.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::Path;

#[test]
fn the_code_is_generated_from_the_proto() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile(["inference.proto"], [package.join("proto")]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    tonic_prost_build::configure().build_client(false).out_dir(folder.path()).compile_fds(descriptors).unwrap();
    let made = std::fs::read_to_string(folder.path().join("inference.rs")).unwrap();
    let file = package.join("src/grpc/inference.rs");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    assert!(std::fs::read_to_string(&file).unwrap() == made, "{}: see proto/inference.proto", file.display());
}
