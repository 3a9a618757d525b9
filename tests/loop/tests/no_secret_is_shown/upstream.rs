//! An Application from elsewhere, whose address holds a login.

use anyhow::{Result, ensure};
use slipway_loop::programs::program;

use crate::surrounding::Surrounding;

/// A source of an Application whose address holds a login: in a repository that has no such folder, and in chart repositories that refuse.
/// The file, and what is built from it, repeat the address and are not searched.
pub(crate) async fn upstream(surrounding: &Surrounding) -> Result<()> {
    let cluster = surrounding.clone.join("clusters/local");
    let list = cluster.join("kustomization.yaml");
    let before = std::fs::read_to_string(&list)?;
    std::fs::write(&list, before.replace("resources:\n", "resources:\n  - upstream.yaml\n"))?;
    let file = cluster.join("upstream.yaml");
    let cache = tempfile::tempdir()?;
    let builds = cache.path().display().to_string();
    for source in [
        "repoURL: 'https://ann:m4rked-remote@github.com/acme/ml.git', targetRevision: main, path: nowhere",
        "repoURL: 'http://ann:m4rked-charts@{stub}/charts', chart: web, targetRevision: 1.0.0",
        "repoURL: 'ann:m4rked-charts@{stub}/charts', chart: web, targetRevision: 1.0.0",
    ] {
        let source = source.replace("{stub}", &surrounding.stub);
        let text = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: upstream, namespace: argocd}}\n\
             spec: {{project: none, source: {{{source}}}, destination: {{namespace: none}}}}\n"
        );
        std::fs::write(&file, text)?;
        for arguments in [&["check"][..], &["check", "--complete"]] {
            let mut check = surrounding.command(&program("slipway")?, &[("XDG_CACHE_HOME", &builds)])?;
            ensure!(!surrounding.finish(check.args(arguments)).await?, "{source} was rendered");
        }
        for arguments in [&["diff"][..], &["diff", "-o", "json"], &["diff", "--markdown"]] {
            let mut diff = surrounding.command(&program("slipway")?, &[("XDG_CACHE_HOME", &builds)])?;
            surrounding.finish(diff.args(arguments)).await?;
        }
    }
    std::fs::remove_file(file)?;
    std::fs::write(list, before)?;
    Ok(())
}
