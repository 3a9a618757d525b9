//! One command turns an empty cluster into a healthy stack.

use anyhow::{Result, ensure};
use slipway_e2e::Stack;

#[test]
fn one_command_makes_everything_synced_and_healthy_and_a_second_time_changes_nothing() -> Result<()> {
    let stack = Stack::get()?;
    println!("bootstrap took {:.1} s", stack.bootstrapped.took.as_secs_f64());
    let components = stack.bootstrapped.report["components"].as_array().cloned().unwrap_or_default();
    for component in &components {
        println!(
            "  {:<20} {:>6.1} s",
            component["name"].as_str().unwrap_or_default(),
            component["seconds"].as_f64().unwrap_or_default()
        );
    }
    // what clusters/local lists, and root
    let list = std::fs::read_to_string(stack.repository().root().join("clusters/local/kustomization.yaml"))?;
    let listed = list.lines().filter(|line| line.contains("argocd/applications/")).count();
    stack.wait_until_healthy_except(&["root", "training-jobs"])?;
    let applications = stack.applications()?;
    ensure!(
        applications.len() == listed + 1 && components.len() == listed + 1,
        "{listed} are listed: {applications:#?}"
    );

    let before = generations(stack)?;
    let again = stack.slipway(&["bootstrap", "local"])?;
    let steps = again["steps"].as_array().cloned().unwrap_or_default();
    ensure!(!steps.is_empty());
    for step in &steps {
        ensure!(
            step["objects"]["created"] == 0 && step["objects"]["changed"] == 0,
            "the second bootstrap changed something: {step}"
        );
    }
    ensure!(generations(stack)? == before, "the second bootstrap changed what is deployed");
    Ok(())
}

/// The generation of each workload's specification.
fn generations(stack: &Stack) -> Result<Vec<(String, u64)>> {
    let all = stack.kubectl().list(&["deployments,statefulsets", "-A"])?;
    let of = |one: &serde_json::Value| {
        let metadata = &one["metadata"];
        (format!("{}/{}", metadata["namespace"], metadata["name"]), metadata["generation"].as_u64().unwrap_or_default())
    };
    Ok(all.iter().map(of).collect())
}
