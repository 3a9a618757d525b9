//! Tries a model in a process of its own before the server loads it.
//!
//! A compiled package is native code: one that was made for another processor, or whose signature is not that of the model, could end
//! the server or read memory that is not its own. In that process libtorch compares what the package was compiled for with what its
//! signature says, and the memory that the model takes can be measured and limited.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use slipway_signature::Content;

use crate::interface::{BATCH, Interface};
use crate::network::Network;
use crate::room::{data, resident};

/// The argument with which the server's program tries a model.
pub const COMMAND: &str = "try";
/// How long a trial may take.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// What libtorch's own memory may grow by, on top of the model's.
const SLACK: u64 = 256 << 20;
/// What stands for any size in dimensions after the first, in this order. libtorch checks that such a size is at least 2.
const SIZES: [i64; 3] = [2, 32, 224];

/// What a trial found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The bytes that the model takes, with what a call of its largest batch needs.
    pub bytes: u64,
    /// The most rows of one call.
    pub most: usize,
    /// The size that stands for any size in dimensions after the first.
    pub other: i64,
}

/// Runs this program with the command [`COMMAND`] on a version's folder, with at most `room` bytes for the model.
///
/// # Errors
/// Why the model does not run.
pub async fn trial(folder: &Path, room: u64) -> Result<Found, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    let mut command = tokio::process::Command::new(program);
    command.arg(COMMAND).arg(folder).arg(room.to_string());
    command.env("AOTI_RUNTIME_CHECK_INPUTS", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(TIME_LIMIT, command.output())
        .await
        .map_err(|_| format!("its trial took longer than {} s", TIME_LIMIT.as_secs()))?
        .map_err(|error| format!("starting its trial: {error}"))?;
    // libtorch may have written lines of its own before
    let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
    let found: Option<Result<Found, String>> = serde_json::from_str(&last).ok();
    found.unwrap_or_else(|| {
        Err(format!(
            "it ended its trial with {}: it may be compiled for another processor, or need more memory than the {} MiB that are free",
            output.status,
            room >> 20
        ))
    })
}

/// Tries the model of a version's folder in this process. Returns one line of JSON.
pub fn run(folder: &Path, room: u64) -> String {
    let found = try_here(folder, room);
    serde_json::to_string(&found).unwrap_or_default()
}

fn try_here(folder: &Path, room: u64) -> Result<Found, String> {
    let before = resident();
    let limit = data() + room + SLACK;
    setrlimit(Resource::Data, Rlimit { current: Some(limit), maximum: Some(limit) })
        .map_err(|error| format!("limiting the memory of its trial: {error}"))?;
    let content = slipway_signature::content(folder).map_err(|error| error.to_string())?;
    let (mut network, mut interface) = Network::load(content, folder, 1)?;
    if content == Content::Servable {
        (interface.most, interface.other) = largest(&mut network, &mut interface)?;
    }
    Ok(Found { bytes: resident().saturating_sub(before), most: interface.most, other: interface.other })
}

/// The most rows that the model takes, and the size that it takes in dimensions of any other size.
fn largest(network: &mut Network, interface: &mut Interface) -> Result<(usize, i64), String> {
    let skipped = usize::from(interface.batched);
    let any = interface.inputs.iter().any(|input| input.shape.iter().skip(skipped).any(|size| *size == -1));
    let mut reason = None;
    for other in if any { &SIZES[..] } else { &SIZES[..1] } {
        interface.other = *other;
        // the server itself tries one row as well
        let rows = if interface.batched { vec![interface.most.max(2), BATCH, 2] } else { vec![1] };
        let mut last = None;
        for rows in rows {
            match network.run(interface, &interface.zeros(rows), false) {
                Ok(_) => return Ok((rows.min(interface.most), *other)),
                Err(reason) => last = Some(reason),
            }
        }
        reason = reason.or(last);
    }
    Err(format!("it does not answer zeros: {}", reason.unwrap_or_default()))
}
