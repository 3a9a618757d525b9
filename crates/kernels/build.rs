//! Compiles the C++ shim against libtorch's headers and links it.

use std::path::PathBuf;
use std::process::exit;

/// Where `guard.h` is, which all shims share.
const GUARD: &str = "../shim/include";

fn main() {
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-changed={GUARD}");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Some(root) = std::env::var_os("LIBTORCH").map(PathBuf::from) else {
        println!(
            "cargo:warning=LIBTORCH is not set. Point it at an unpacked libtorch 2.13.0; `make` does this, \
             and `slipway doctor` says how to get it."
        );
        exit(1)
    };
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        .warnings(false)
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .include(root.join("include"))
        .include(root.join("include/torch/csrc/api/include"))
        .include(GUARD)
        .file("shim/max_pool_relu.cpp")
        .file("shim/convolution_max_pool_relu.cpp")
        .compile("slipway_kernels_shim");
    let lib = root.join("lib");
    println!("cargo:rustc-link-search=native={}", lib.display());
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    // for this package's tests; each program has its own build script for the same
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
}
