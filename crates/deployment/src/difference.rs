//! What a change to the files changes in each cluster.

use slipway_gitops::{Deployed, Difference, Environment, Object, Source, compare, markdown, root_folder};
use slipway_project::Tree;
use slipway_source::Finding;

use crate::examine::environments;
use crate::kustomize::Kustomize;
use crate::upstream::{Programs, Renderer, referenced, value_files};
use crate::{Error, Result};

/// What differs between two trees.
#[derive(Debug, Default)]
pub struct Differences {
    /// By environment, Application and object.
    pub objects: Vec<Difference>,
    /// What Argo CD deploys from the tree after the change and cannot be read here, so that its objects are not compared.
    pub omitted: Vec<Finding>,
    /// Applications whose objects come from another repository and may differ too, and why that is not shown.
    pub not_shown: Vec<String>,
    /// Whether anything is deployed from either tree.
    pub deploys: bool,
}

/// What differs between two trees; `only` limits it to one environment. An Application whose upstream source changes is rendered before and
/// after, which may fetch it.
///
/// # Errors
/// When one of the trees cannot be built. An upstream source that cannot be rendered is in [`Differences::not_shown`].
pub fn differences(before: &Tree, after: &Tree, programs: Programs<'_>, only: Option<&str>) -> Result<Differences> {
    let renderer = Renderer::new(programs);
    changes(before, after, programs.kustomize, only, |(tree, environment, deployed)| {
        renderer.objects(tree, environment, deployed)
    })
}

/// One Application before or after a change.
type Side<'a> = (&'a Tree, &'a Environment, &'a Deployed);

fn changes(
    before: &Tree,
    after: &Tree,
    kustomize: &Kustomize,
    only: Option<&str>,
    render: impl Fn(Side<'_>) -> Result<Vec<Object>>,
) -> Result<Differences> {
    let mut old = environments(before, kustomize, only).map_err(|error| Error::Before(Box::new(error)))?.0;
    let mut new = environments(after, kustomize, only)?.0;
    let mut names: Vec<String> = old.iter().chain(&new).map(|environment| environment.name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let mut omitted: Vec<Finding> = new.iter().flat_map(|environment| environment.omitted.clone()).collect();
    omitted.sort();
    omitted.dedup();
    let mut changes = Differences { omitted, deploys: !names.is_empty(), ..Differences::default() };
    for name in &names {
        let find = |all: &[Environment]| all.iter().position(|environment| environment.name == *name);
        let (mut one, mut two) = (find(&old).map(|at| &mut old[at]), find(&new).map(|at| &mut new[at]));
        changes.not_shown.extend(add_upstream((before, one.as_deref_mut()), (after, two.as_deref_mut()), &render));
        changes.objects.extend(compare(one.as_deref(), two.as_deref()));
    }
    Ok(changes)
}

/// Adds the objects of upstream sources to the Applications in which such a source changes. Returns why some are not added.
fn add_upstream(
    (before, mut old): (&Tree, Option<&mut Environment>),
    (after, mut new): (&Tree, Option<&mut Environment>),
    render: impl Fn(Side<'_>) -> Result<Vec<Object>>,
) -> Vec<String> {
    let of = |environment: &Option<&mut Environment>| {
        let all = environment.as_deref().map(|environment| environment.applications.as_slice()).unwrap_or_default();
        all.iter().map(|deployed| deployed.application.name().to_owned()).collect::<Vec<_>>()
    };
    let mut names = [of(&old), of(&new)].concat();
    names.sort_unstable();
    names.dedup();
    let mut not_shown = Vec::new();
    for name in names {
        let (one, two) = (side(before, old.as_deref(), &name), side(after, new.as_deref(), &name));
        if sources(one) == sources(two) {
            continue;
        }
        let rendered = |side: Option<Side<'_>>| side.map_or(Ok(Vec::new()), &render);
        match rendered(one).and_then(|one| Ok((one, rendered(two)?))) {
            Ok((one, two)) => {
                for (environment, objects) in [(old.as_deref_mut(), one), (new.as_deref_mut(), two)] {
                    let all = environment.into_iter().flat_map(|environment| &mut environment.applications);
                    let deployed = all.into_iter().find(|deployed| deployed.application.name() == name);
                    deployed.into_iter().for_each(|deployed| deployed.objects.extend(objects.iter().cloned()));
                }
            }
            Err(error) => {
                let environment = new.as_deref().or(old.as_deref()).map(|one| one.name.clone()).unwrap_or_default();
                not_shown.push(format!("the objects of {environment}'s Application {name}: {error}"));
            }
        }
    }
    not_shown
}

/// An Application in a tree, if it is there.
fn side<'a>(tree: &'a Tree, environment: Option<&'a Environment>, name: &str) -> Option<Side<'a>> {
    environment.and_then(|environment| Some((tree, environment, environment.application(name)?)))
}

/// Everything that decides what a source is rendered to: itself, the Application's namespace, and its values in this repository.
type Rendered<'a> = (&'a Source, &'a str, Vec<Option<&'a [u8]>>);

/// The upstream sources of an Application.
fn sources(side: Option<Side<'_>>) -> Vec<Rendered<'_>> {
    let Some((tree, environment, deployed)) = side else { return Vec::new() };
    let all = environment.upstream_sources(deployed);
    all.map(|source| {
        let values = value_files(source).map(|file| referenced(tree, environment, deployed, file).ok());
        (source, deployed.application.namespace.as_str(), values.collect())
    })
    .collect()
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
        text.extend(self.not_shown.iter().map(|one| format!("\nNot shown: {one}\n")));
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
    // a proposal does not wait for other repositories
    let elsewhere =
        |_: Side<'_>| Err(Error::Upstream("they come from another repository; `slipway diff` shows them".to_owned()));
    let text = match kustomize.map(|kustomize| changes(before, after, kustomize, None, elsewhere)) {
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
