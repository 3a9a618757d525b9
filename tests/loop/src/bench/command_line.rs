//! Whole commands, start-up included.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};

use super::measurement::Measurements;
use crate::programs::program;

/// One round: `check`, `render` and `plan` on a clone of this repository.
pub fn round(clone: &Path, figures: &mut Measurements) -> Result<()> {
    for arguments in [&["check"][..], &["render"], &["plan"]] {
        let begun = Instant::now();
        let output =
            Command::new(program("slipway")?).arg("--repo").arg(clone).args(arguments).stdin(Stdio::null()).output()?;
        let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
        let name = arguments.join(" ");
        ensure!(output.status.success(), "slipway {name}: {}", String::from_utf8_lossy(&output.stderr));
        figures.add(&format!("slipway {name}"), "ms", milliseconds);
    }
    Ok(())
}
