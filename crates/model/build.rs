//! Tests of this package run against the libtorch that they were linked with.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Ok(root) = std::env::var("LIBTORCH") else {
        println!(
            "cargo:warning=LIBTORCH is not set. Point it at an unpacked libtorch 2.13.0; `make` does this, \
             and `slipway doctor` says how to get it."
        );
        return;
    };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{root}/lib");
}
