//! This program and its tests run against the libtorch that they were linked with.

/// Length of the library search path, in bytes. It is the same everywhere, so that the location of libtorch on this machine does not
/// shift the rest of the program. An image overwrites the path with its own.
const SEARCH_PATH: usize = 255;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Ok(root) = std::env::var("LIBTORCH") else {
        println!(
            "cargo:warning=LIBTORCH is not set. Point it at an unpacked libtorch 2.13.0; `make` does this, \
             and `slipway doctor` says how to get it."
        );
        return;
    };
    let slashes = "/".repeat(SEARCH_PATH.saturating_sub(root.len() + "/lib".len()));
    println!("cargo:rustc-link-arg=-Wl,-rpath,{root}{slashes}/lib");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        // the build ID would be a hash that includes this path
        println!("cargo:rustc-link-arg=-Wl,--build-id=none");
    }
}
