//! Calls of [`Store::from_env`] in processes with an environment of their own.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use slipway_dataset::{Blob, Digest, Result, RetryBudget, Store};

/// What a process did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `ok: …` or `error: …`
    pub(crate) text: String,
    pub(crate) time: Duration,
}

/// Runs `action` of [`act`] with exactly this environment.
pub(crate) async fn run(action: &str, environment: &[(&str, &str)]) -> Outcome {
    let begun = Instant::now();
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["child::act", "--exact", "--ignored", "--nocapture"])
        .env_clear()
        .envs(environment.iter().copied())
        .env("ACTION", action)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(300), output).await.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let outcome = text.lines().find_map(|line| line.split_once("OUTCOME ").map(|(_, outcome)| outcome.to_owned()));
    let text = outcome.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)));
    Outcome { text, time: begun.elapsed() }
}

#[tokio::test]
#[ignore = "other tests run it in a process of its own"]
async fn act() {
    let action = std::env::var("ACTION").unwrap();
    let words: Vec<&str> = action.split(' ').collect();
    let outcome = match perform(&words).await {
        Ok(done) => format!("ok: {done}"),
        Err(error) => format!("error: unavailable={} {error}", error.is_unavailable()),
    };
    println!("\nOUTCOME {outcome}");
}

async fn perform(words: &[&str]) -> Result<String> {
    match words {
        // a HEAD request, sent several times
        ["contains", times] => {
            let store = Store::from_env(RetryBudget::Interactive).await?;
            let mut contains = false;
            for _ in 0..times.parse().unwrap() {
                contains = store.contains(&Digest::of("")).await?;
            }
            Ok(contains.to_string())
        }
        // a HEAD request of a job
        ["wait"] => Ok(Store::from_env(RetryBudget::Job).await?.contains(&Digest::of("")).await?.to_string()),
        // gives by how many kB the process grew
        ["fetch", digest, size, cache] => {
            let store = Store::from_env(RetryBudget::Interactive).await?;
            store.contains(&Digest::of("")).await?;
            let before = peak();
            let blob = Blob { digest: digest.parse().unwrap(), size: size.parse().unwrap() };
            store.fetch_file(blob, Path::new(cache)).await?;
            Ok((peak() - before).to_string())
        }
        ["push", file] => {
            let store = Store::from_env(RetryBudget::Interactive).await?;
            store.contains(&Digest::of("")).await?;
            let before = peak();
            store.push_file(Path::new(file)).await?;
            Ok((peak() - before).to_string())
        }
        ["unpack", digest, cache] => {
            let store = Store::from_env(RetryBudget::Interactive).await?;
            let unpacked = store.unpack(&digest.parse().unwrap(), Path::new(cache)).await?;
            Ok(unpacked.folder.display().to_string())
        }
        _ => panic!("{words:?}"),
    }
}

/// The most memory that this process ever had, in kB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
