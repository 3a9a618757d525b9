//! Compiles the C++ shim against libtorch's headers and links it.

use std::path::PathBuf;
use std::process::exit;

fn main() {
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Some(root) = std::env::var_os("LIBTORCH").map(PathBuf::from) else {
        fail(
            "LIBTORCH is not set. Point it at an unpacked libtorch 2.13.0; `make` does this, and `slipway doctor` says how to get it.",
        );
    };
    let header = root.join("include/torch/csrc/distributed/c10d/reducer.hpp");
    if !header.is_file() {
        fail(&format!(
            "LIBTORCH is {}, but {} does not exist: this is not libtorch 2.13.0 with c10d's headers.",
            root.display(),
            header.display()
        ));
    }
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        .warnings(false)
        .define("USE_C10D_GLOO", None)
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .include(root.join("include"))
        .include(root.join("include/torch/csrc/api/include"))
        .include("shim/gloo_min")
        .file("shim/shim.cpp")
        .compile("slipway_c10d_shim");
    let lib = root.join("lib");
    println!("cargo:rustc-link-search=native={}", lib.display());
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    // for this package's tests; each program has its own build script for the same
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
}

fn fail(message: &str) -> ! {
    println!("cargo:warning={message}");
    exit(1)
}
