//! This program and its tests run against the libtorch that they were linked with.

/// Bytes of the search path for libraries. The same everywhere, because where libtorch lies on this machine must not shift what
/// follows in the program; an image writes its own path over this one.
const SEARCH_PATH: usize = 255;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Ok(root) = std::env::var("LIBTORCH") else {
        println!(
            "cargo:warning=LIBTORCH is not set. Point it at an unpacked libtorch 2.13.0: `make` does, \
             `slipway doctor` says how."
        );
        return;
    };
    let slashes = "/".repeat(SEARCH_PATH.saturating_sub(root.len() + "/lib".len()));
    println!("cargo:rustc-link-arg=-Wl,-rpath,{root}{slashes}/lib");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        // it would be a hash over that path
        println!("cargo:rustc-link-arg=-Wl,--build-id=none");
    }
}
