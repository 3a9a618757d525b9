//! `slipway-supervise <program> <arguments…>`: see `slipway_embedded::supervise`.
#![expect(clippy::print_stderr, reason = "a program says on standard error why it could not run another")]

use std::ffi::OsString;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let command: Vec<OsString> = std::env::args_os().skip(1).collect();
    let code = slipway_embedded::supervise(&command).await.unwrap_or_else(|error| {
        eprintln!("{error}");
        127
    });
    std::process::exit(code.into());
}
