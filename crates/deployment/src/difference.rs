//! What a change to the files changes in each cluster.

use slipway_gitops::{Difference, Environment, compare, markdown, root_folder};
use slipway_project::Tree;
use slipway_source::Finding;

use crate::examine::environments;
use crate::kustomize::Kustomize;
use crate::{Error, Result};

/// What differs between two trees.
#[derive(Debug, Default)]
pub struct Differences {
    /// By environment, Application and object.
    pub objects: Vec<Difference>,
    /// What Argo CD deploys from the tree after the change and cannot be read here, so that its objects are not compared.
    pub omitted: Vec<Finding>,
    /// Whether anything is deployed from either tree.
    pub deploys: bool,
}

/// What differs between two trees, by environment, Application and object; `only` limits it to one environment.
///
/// # Errors
/// When one of the trees cannot be built.
pub fn differences(before: &Tree, after: &Tree, kustomize: &Kustomize, only: Option<&str>) -> Result<Differences> {
    let old = environments(before, kustomize, only).map_err(|error| Error::Before(Box::new(error)))?.0;
    let new = environments(after, kustomize, only)?.0;
    let mut names: Vec<&str> = old.iter().chain(&new).map(|environment| environment.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let find = |all: &'_ [Environment], name: &str| all.iter().position(|environment| environment.name == name);
    let objects = names
        .iter()
        .flat_map(|name| compare(find(&old, name).map(|at| &old[at]), find(&new, name).map(|at| &new[at])))
        .collect();
    let mut omitted: Vec<Finding> = new.iter().flat_map(|environment| environment.omitted.clone()).collect();
    omitted.sort();
    omitted.dedup();
    Ok(Differences { objects, omitted, deploys: !names.is_empty() })
}

impl Differences {
    /// The differences in Markdown, and what is not among them.
    #[must_use]
    pub fn markdown(&self) -> String {
        /// More than this many are counted.
        const LISTED: usize = 10;
        /// A message is cut here.
        const CHARACTERS: usize = 300;
        let mut text = markdown(&self.objects);
        if self.omitted.is_empty() {
            return text;
        }
        text.push_str("\nNot read here, and so not compared:\n\n");
        for one in self.omitted.iter().take(LISTED) {
            let message: String = one.message.chars().filter(|c| !c.is_control()).take(CHARACTERS).collect();
            text.push_str(&format!("- `{}:{}` {}\n", one.file, one.line, message.replace('<', "&lt;")));
        }
        if self.omitted.len() > LISTED {
            text.push_str(&format!("- and {} more\n", self.omitted.len() - LISTED));
        }
        text
    }
}

/// What a change does in the clusters, as a section of its pull request. Empty if nothing is deployed from this repository. If it cannot be
/// shown, the section says why; the proposal is opened all the same, since `check` reports the problem.
#[must_use]
pub fn in_pull_request(before: &Tree, after: &Tree, kustomize: Option<&Kustomize>) -> String {
    let deploys = |name: &String| after.text(&format!("{}/kustomization.yaml", root_folder(name))).is_some();
    if !after.folders_in("clusters").iter().any(deploys) {
        return String::new();
    }
    let text = match kustomize.map(|kustomize| differences(before, after, kustomize, None)) {
        None => "Not shown: kustomize was not found. `slipway diff --base main` shows it.\n".to_owned(),
        Some(Ok(differences)) => differences.markdown(),
        Some(Err(error)) => format!("Not shown, because what is deployed cannot be built: {error}.\n{}", list(&error)),
    };
    format!("\n## What changes in the clusters\n\n{text}")
}

/// How many findings a pull request names.
const NAMED: usize = 10;

/// The findings of an error as a list, each cut to a line.
fn list(error: &Error) -> String {
    let findings = match error {
        Error::Invalid(findings) => findings.as_slice(),
        Error::Before(error) => return list(error),
        _ => return String::new(),
    };
    let mut text = String::from("\n");
    for finding in findings.iter().take(NAMED) {
        let line: String = finding.to_string().replace(['\n', '`'], " ").chars().take(400).collect();
        text += &format!("- `{line}`\n");
    }
    if findings.len() > NAMED {
        text += &format!("- … and {} more\n", findings.len() - NAMED);
    }
    text
}
