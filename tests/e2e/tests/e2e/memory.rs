//! How much memory the stack takes at rest, for docs/resources.md. The only assertion is that it fits into a small laptop.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use slipway_e2e::Stack;

/// What is left of 8 GiB after the operating system, a browser and Docker.
const LAPTOP_MIB: u64 = 4096;

#[test]
fn the_stack_at_rest_fits_into_a_small_laptop() -> Result<()> {
    let stack = Stack::get()?;
    stack.wait_until_healthy_except(&["root", "training-jobs"])?;
    let memory: BTreeMap<String, u64> = stack.memory()?;
    let mib = |bytes: u64| bytes / (1 << 20);
    println!("memory at rest, MiB:");
    for (name, bytes) in &memory {
        println!("  {name:<40} {:>6}", mib(*bytes));
    }
    let all: u64 = memory.values().sum();
    println!("  {:<40} {:>6}", "all", mib(all));
    ensure!(mib(all) > 500, "too little to be everything: {memory:?}");
    ensure!(mib(all) < LAPTOP_MIB, "{} MiB at rest", mib(all));
    Ok(())
}
