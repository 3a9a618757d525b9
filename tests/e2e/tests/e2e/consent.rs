//! A line removed from the list of components deletes nothing before a person agrees, and can be taken back.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use slipway_e2e::{Stack, text, until};

const LIMIT: Duration = Duration::from_secs(240);
/// The component, which nothing else needs.
const NAME: &str = "demo-ui";

#[test]
fn a_component_is_deleted_when_a_person_agrees_and_not_before() -> Result<()> {
    let stack = Stack::get()?;
    let before = application(stack, NAME)?;

    // by mistake
    stack.change("Remove the page", |root| replace(root, &line(), ""))?;
    until_asked(stack)?;
    let report = stack.slipway_fails(6, &["doctor", "--cluster"])?;
    ensure!(report.contains("deletion-approved") && report.contains(NAME), "doctor does not say what to do: {report}");
    stack.change("Put the page back", restore)?;
    let end = r#"{"status":{"operationState":{"phase":"Terminating"}}}"#;
    stack.kubectl().run(&["patch", "-n", "argocd", "applications.argoproj.io", "root", "--type=merge", "-p", end])?;
    until_synced(stack)?;
    let after = application(stack, NAME)?;
    ensure!(text(&after, "/metadata/uid") == text(&before, "/metadata/uid"), "it was deleted and made again: {after}");
    ensure!(after["metadata"]["deletionTimestamp"].is_null(), "it is being deleted: {after}");

    // on purpose
    stack.change("Remove the page", |root| replace(root, &line(), ""))?;
    until_asked(stack)?;
    let now = stack.inside(["date", "-u", "+%FT%TZ"])?;
    let agreed = format!("argocd.argoproj.io/deletion-approved={}", now.trim());
    stack.kubectl().run(&["annotate", "-n", "argocd", "applications.argoproj.io", "root", "--overwrite", &agreed])?;
    until("the page is gone", LIMIT, || {
        let applications = stack.kubectl().list(&["applications.argoproj.io", "-n", "argocd"])?;
        let deployments = stack.kubectl().list(&["deployments", "-n", NAME])?;
        let left = applications.iter().any(|one| text(one, "/metadata/name") == NAME) || !deployments.is_empty();
        Ok(if left { Err("it is there".to_owned()) } else { Ok(()) })
    })?;
    stack.change("Put the page back", restore)?;
    until_synced(stack)?;
    stack.wait_until_healthy_except(&["root", "training-jobs"])?;
    Ok(())
}

fn line() -> String {
    format!("  - ../../argocd/applications/{NAME}\n")
}

fn restore(root: &Path) -> Result<()> {
    replace(root, "resources:\n", &format!("resources:\n{}", line()))
}

fn replace(root: &Path, from: &str, to: &str) -> Result<()> {
    let path = root.join("clusters/local/kustomization.yaml");
    let text = fs::read_to_string(&path)?;
    ensure!(text.contains(from), "{} has no {from}", path.display());
    Ok(fs::write(&path, text.replacen(from, to, 1))?)
}

fn application(stack: &Stack, name: &str) -> Result<Value> {
    stack.kubectl().get(&["applications.argoproj.io", name, "-n", "argocd"]).context("reading an Application")
}

/// Waits until the root's sync waits for consent.
fn until_asked(stack: &Stack) -> Result<()> {
    until("Argo CD asks before it deletes the page", LIMIT, || {
        let root = application(stack, "root")?;
        let operation = &root["status"]["operationState"];
        let asks = operation["phase"] == "Running" && text(operation, "/message").contains(NAME);
        Ok(if asks { Ok(()) } else { Err(operation["message"].to_string()) })
    })?;
    Ok(())
}

/// Waits until the root is at the newest commit. Jobs that failed in other tests do not matter.
fn until_synced(stack: &Stack) -> Result<()> {
    let main = stack.repository().main()?;
    until("the root is synced", LIMIT, || {
        let root = stack.application("root")?;
        let there = application(stack, NAME).is_ok();
        Ok(if root.sync == "Synced" && root.revision == main && there { Ok(()) } else { Err(format!("{root:?}")) })
    })?;
    Ok(())
}
