//! What a change to the files changes in each cluster.

use slipway_gitops::{Change, Deployed, Difference, Environment, Object, Source, compare, markdown, root_folder};
use slipway_markdown::{code, shortened};
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

/// As [`differences`], from the files alone: nothing is fetched, so that a change which nobody has reviewed cannot choose what is. The
/// Applications whose upstream sources change are in [`Differences::not_shown`].
///
/// # Errors
/// When one of the trees cannot be built.
pub fn own_differences(before: &Tree, after: &Tree, kustomize: &Kustomize) -> Result<Differences> {
    let elsewhere =
        |_: Side<'_>| Err(Error::Upstream("they come from another repository; `slipway diff` shows them".to_owned()));
    changes(before, after, kustomize, None, elsewhere)
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

/// More warnings of a kind than this are counted.
const LISTED: usize = 10;

/// A warning is cut here. Twice [`LISTED`] of them fit into what a pull request's body leaves beside a plan and the objects.
const CHARACTERS: usize = 240;

impl Differences {
    /// The differences in Markdown: counts and what is not among them first. At most 48 Ki characters.
    #[must_use]
    pub fn markdown(&self) -> String {
        format!("{}\n{}", self.summary(), markdown(&self.objects))
    }

    /// The number of objects, and what is not among them. At most 6 Ki characters.
    fn summary(&self) -> String {
        let of = |change| self.objects.iter().filter(|one| one.change == change).count();
        let (added, changed, removed) = (of(Change::Added), of(Change::Changed), of(Change::Removed));
        let mut text = format!("**Objects in the clusters: {added} added, {changed} changed, {removed} removed**\n");
        text.push_str(&warnings("Not shown", self.not_shown.iter().map(String::clone)));
        text.push_str(&warnings("Not read here, and so not compared", self.omitted.iter().map(ToString::to_string)));
        text
    }
}

/// Warnings as a list under a heading; nothing if there are none.
fn warnings(heading: &str, all: impl ExactSizeIterator<Item = String>) -> String {
    let count = all.len();
    if count == 0 {
        return String::new();
    }
    let mut text = format!("\n{heading}:\n\n");
    text.extend(all.take(LISTED).map(|one| format!("- {}\n", code(&shortened(&one, CHARACTERS)))));
    if count > LISTED {
        text.push_str(&format!("- … and {} more\n", count - LISTED));
    }
    text
}

/// What a change does in the clusters, as parts of its pull request's body. Both are empty if nothing is deployed from this repository.
#[derive(Debug, Default)]
pub struct InPullRequest {
    /// Counts and warnings, for the top of the body. If nothing can be shown, it says why.
    pub summary: String,
    /// Each object, as a section for the end of the body.
    pub objects: String,
}

/// What a change does in the clusters, for its pull request. The proposal is opened also if it cannot be shown, since `check` reports the
/// problem.
#[must_use]
pub fn in_pull_request(before: &Tree, after: &Tree, kustomize: Option<&Kustomize>) -> InPullRequest {
    let deploys = |name: &String| after.text(&format!("{}/kustomization.yaml", root_folder(name))).is_some();
    if !after.folders_in("clusters").iter().any(deploys) {
        return InPullRequest::default();
    }
    // a proposal does not wait for other repositories
    let summary = match kustomize.map(|kustomize| own_differences(before, after, kustomize)) {
        Some(Ok(differences)) => {
            let objects = format!("\n## What changes in the clusters\n\n{}", markdown(&differences.objects));
            return InPullRequest { summary: differences.summary(), objects };
        }
        None => {
            "What changes in the clusters is not shown: kustomize was not found. `slipway diff --base main` shows it.\n"
                .to_owned()
        }
        Some(Err(error)) => {
            let heading = "What changes in the clusters is not shown, because what is deployed cannot be built";
            match findings(&error) {
                [] => warnings(heading, std::iter::once(error.to_string())),
                all => warnings(heading, all.iter().map(ToString::to_string)),
            }
        }
    };
    InPullRequest { summary, objects: String::new() }
}

/// What is wrong with files.
fn findings(error: &Error) -> &[Finding] {
    match error {
        Error::Invalid(findings) => findings,
        Error::Before(error) => findings(error),
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_stand_before_any_number_of_objects_and_are_counted() {
        let object = |index: usize| Difference {
            environment: "local".to_owned(),
            application: "jobs".to_owned(),
            kind: "TrainJob".to_owned(),
            namespace: "training".to_owned(),
            name: format!("job-{index}"),
            change: Change::Added,
            diff: "+ a line\n".repeat(30),
        };
        let long = "<details> `x`\n".repeat(1_000);
        let omitted = |index: usize| Finding::new(&format!("clusters/local/{index:03}.yaml"), 1, 1, "omitted", &long);
        let differences = Differences {
            objects: (0..1_000).map(object).collect(),
            omitted: (0..50).map(omitted).collect(),
            not_shown: (0..50).map(|index| format!("the objects of {index:03}: {long}")).collect(),
            deploys: true,
        };
        let summary = differences.summary();
        assert!(summary.starts_with("**Objects in the clusters: 1000 added, 0 changed, 0 removed**\n"), "{summary}");
        assert!(summary.chars().count() <= 6 * 1024, "{}", summary.chars().count());
        assert_eq!(
            (summary.matches("\n- `").count(), summary.matches("- … and 40 more\n").count()),
            (20, 2),
            "{summary}"
        );
        // no message ends its line or its code
        assert!(summary.lines().all(|line| line.matches('`').count() % 2 == 0), "{summary}");
        let text = differences.markdown();
        assert!(text.starts_with(&summary) && text[summary.len()..].starts_with("\n### `local`: 1000 added"), "{text}");
        assert!(text.chars().count() <= 48 * 1024, "{}", text.chars().count());
    }
}
