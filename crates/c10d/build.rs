//! Compiles the C++ shim against libtorch's headers and links it.

use std::path::{Path, PathBuf};
use std::process::exit;

/// Where `guard.h` is, which all shims share.
const GUARD: &str = "../shim/include";

fn main() {
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-changed={GUARD}");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Some(root) = std::env::var_os("LIBTORCH").map(PathBuf::from) else {
        fail(
            "LIBTORCH is not set. Point it at an unpacked libtorch 2.13.0; `make` does this, and `slipway doctor` says how to get it.",
        );
    };
    let header = root.join("include/torch/csrc/distributed/c10d/ProcessGroupGloo.hpp");
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
        .include(GUARD)
        .file("shim/shim.cpp")
        .file("shim/training.cpp")
        .file("shim/engine.cpp")
        .compile("slipway_c10d_shim");
    forwarding_library();
    let lib = root.join("lib");
    println!("cargo:rustc-link-search=native={}", lib.display());
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    // for this package's tests; each program has its own build script for the same
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
}

/// Links the empty libtorch.so that compiled packages name as a library that they need. PyTorch's own only leads to libtorch_cpu.so, which
/// programs link to themselves, and to libraries for GPUs.
fn forwarding_library() {
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let (source, library) = (folder.join("empty.c"), folder.join("libtorch.so"));
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system != "linux") {
        write(&library, "");
        return;
    }
    write(&source, "");
    let linked = cc::Build::new()
        .get_compiler()
        .to_command()
        .args(["-shared", "-nostdlib", "-s", "-Wl,-soname,libtorch.so", "-Wl,--build-id=none", "-o"])
        .args([&library, &source])
        .status();
    if !linked.is_ok_and(|status| status.success()) {
        fail("the C compiler cannot link a shared library");
    }
}

fn write(file: &Path, text: &str) {
    if let Err(error) = std::fs::write(file, text) {
        fail(&format!("{}: {error}", file.display()));
    }
}

fn fail(message: &str) -> ! {
    println!("cargo:warning={message}");
    exit(1)
}
