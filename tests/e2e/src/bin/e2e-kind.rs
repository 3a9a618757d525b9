//! Brings up what the tests stand on if that is kind, and removes it: `make e2e CLUSTER=kind` runs this.

use std::path::Path;

use anyhow::{Result, bail};
use slipway_e2e::Kind;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["up"] => Kind::up(),
        ["diagnose", folder] => Kind::diagnose(Path::new(folder)),
        ["down"] => Kind::down(),
        _ => bail!("usage: e2e-kind up | diagnose FOLDER | down"),
    }
}
