//! How much the stack takes when nothing happens, for docs/resources.md. No figure is asserted but what a small laptop has.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use slipway_e2e::Stack;

/// What is left of 8 GiB when the machine itself, its browser and Docker have theirs.
const LAPTOP_MIB: u64 = 4096;

#[test]
fn the_stack_at_rest_fits_into_a_small_laptop() -> Result<()> {
    let stack = Stack::get()?;
    stack.all_well_but(&["root", "training-jobs"])?;
    let memory: BTreeMap<String, u64> = stack.memory()?;
    let mib = |bytes: u64| bytes / (1 << 20);
    println!("memory at rest, MiB:");
    for (name, bytes) in &memory {
        println!("  {name:<40} {:>6}", mib(*bytes));
    }
    let all: u64 = memory.values().sum();
    println!("  {:<40} {:>6}", "all", mib(all));
    ensure!(mib(all) > 500, "that cannot be all: {memory:?}");
    ensure!(mib(all) < LAPTOP_MIB, "{} MiB at rest", mib(all));
    Ok(())
}
