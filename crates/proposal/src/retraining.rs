//! The pull request that trains again, on what a dataset has become.

use std::collections::BTreeSet;

use slipway_deployment::Kustomize;
use slipway_digest::Digest;
use slipway_experiment::{Monitor, pin_digest, with_rerun};
use slipway_forge::{Opened, PullRequest};
use slipway_git::Repository;
use slipway_markdown::on_one_line;
use slipway_project::{Changes, Plan, Project, rendered};
use slipway_source::Finding;

use crate::base::Base;
use crate::{Error, Opening, Remote, Result};

/// The label of these pull requests.
const LABEL: &str = "retrain";
/// Digits of the digest in a branch's name: 64 bits.
const DIGITS: usize = 16;

/// A dataset's declaration with another digest, the experiments that its monitor names, and their rendered TrainJobs, on top of the remote's
/// default branch.
///
/// Its branch is named by the dataset and the digest alone. So there is one pull request for a digest, ever, whoever opens it and on which
/// commit of the default branch.
#[derive(Debug)]
pub struct Retraining {
    /// What it starts, stops and costs.
    pub plan: Plan,
    dataset: String,
    digest: Digest,
    base: Base,
    /// What is trained again.
    names: BTreeSet<String>,
    changes: Changes,
}

/// What came of opening one.
#[derive(Debug)]
pub struct Retrained {
    /// The pull request of this digest.
    pub opened: Opened,
    /// Whether it was opened just now; otherwise it was there, in whatever state.
    pub is_new: bool,
}

impl Retraining {
    /// Prepares the retraining of a dataset's experiments on the content with this digest, by what the remote's default branch declares now. `decided` is
    /// the monitor by which it was decided, perhaps on an older commit.
    ///
    /// Experiments that the monitor names are asked to run again. Others on the same dataset that have rendered TrainJobs follow the
    /// declaration as well, since those would be out of date otherwise.
    ///
    /// # Errors
    /// [`Error::NotRetrained`] if there is no such dataset, its monitor retrains nothing or is switched off, another retraining is declared by now, or
    /// this digest is pinned already; [`Error::Invalid`] when files have mistakes; when the remote cannot be fetched from.
    pub async fn prepare(
        git: &Repository,
        remote: &Remote,
        dataset: &str,
        digest: &Digest,
        decided: &Monitor,
    ) -> Result<Self> {
        let base = Base::fetch(git, remote).await?;
        let before = Project::read(&base.tree);
        let refused = |reason: &str| Error::NotRetrained { dataset: dataset.to_owned(), reason: reason.to_owned() };
        let declared = before.datasets.get(dataset).ok_or_else(|| refused("it is not declared"))?;
        let spec = &declared.dataset.spec;
        let monitor = spec.monitor.as_ref().ok_or_else(|| refused("it has no monitor"))?;
        let retrain = monitor.retrain.as_ref();
        let retrain = retrain.ok_or_else(|| refused("its monitor names no experiment (spec.monitor.retrain)"))?;
        // it was decided by another commit: what people have said since counts
        if !monitor.enabled {
            return Err(refused("its monitor is switched off by now (spec.monitor.enabled)"));
        }
        if monitor.retrain != decided.retrain {
            return Err(refused("spec.monitor.retrain is another one by now, so it is decided again"));
        }
        if monitor.requests != decided.requests {
            return Err(refused("spec.monitor.requests is another one by now, so it is decided again"));
        }
        if spec.digest.as_deref() == Some(digest.to_string().as_str()) {
            return Err(refused("this digest is pinned already"));
        }
        let mut changes = Changes::new();
        let text = base.tree.text(&declared.file).unwrap_or_default();
        let pinned = pin_digest(&declared.file, &text, &digest.to_string()).map_err(Error::Invalid)?;
        if pinned != text {
            changes.insert(declared.file.clone(), Some(pinned.into_bytes()));
        }
        let mut names = BTreeSet::new();
        for name in &retrain.experiments {
            let source = before.experiments.iter().find(|source| source.experiment.name == *name);
            let source = source.ok_or_else(|| refused(&format!("there is no valid experiment {name}")))?;
            let again = with_rerun(&source.text);
            let again = again.ok_or_else(|| refused(&format!("spec.rerun of {} cannot be raised", source.file)))?;
            changes.insert(source.file.clone(), Some(again.into_bytes()));
            names.insert(name.clone());
        }
        let follows =
            |name: &str| before.environments.keys().any(|target| before.rendered(name, target).next().is_some());
        let others = before.experiments.iter().filter(|source| source.experiment.spec.dataset == dataset);
        names.extend(others.map(|source| source.experiment.name.clone()).filter(|name| follows(name)));
        let after = Project::read(&base.tree.with(&changes));
        let is_wrong =
            |finding: &&Finding| changes.contains_key(&finding.file) || !finding.file.starts_with("experiments/");
        let wrong: Vec<Finding> = after.findings.iter().filter(is_wrong).cloned().collect();
        if !wrong.is_empty() {
            return Err(Error::Invalid(wrong));
        }
        let plan = Plan::new(&before, &after, Some(&names));
        changes.extend(rendered::changes(&after, Some(&names)));
        Ok(Self { plan, dataset: dataset.to_owned(), digest: *digest, base, names, changes })
    }

    /// Commits, pushes and opens the pull request, unless there was one of this digest, open, merged or closed. `evidence` is Markdown that stands above the
    /// plan.
    ///
    /// # Errors
    /// When the repository cannot be written, or the remote refuses.
    pub async fn open(
        self,
        git: &Repository,
        remote: &Remote,
        kustomize: Option<&Kustomize>,
        opening: Opening,
        evidence: &str,
    ) -> Result<Retrained> {
        let branch = retrain_branch(&self.dataset, &self.digest);
        if let Some(opened) = remote.first_of(&branch).await? {
            return Ok(Retrained { opened, is_new: false });
        }
        let names = self.names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let title = on_one_line(&format!("Retrain {names} on {} as it is now", self.dataset));
        let head = git.commit(Some(&self.base.commit), &self.changes, &title)?;
        let plan = self.base.body(&self.plan, &self.base.tree.with(&self.changes), kustomize, &opening);
        let mut labels = vec![LABEL.to_owned()];
        labels.extend(opening.labels);
        let base = self.base.branch.clone();
        let mut reviewers = opening.reviewers;
        reviewers.extend(self.base.code_owners(git, &head)?);
        let body = format!("{evidence}\n{plan}");
        let request = PullRequest { branch, base, title, body, draft: opening.draft, labels, reviewers };
        let (opened, is_new) = remote.open_once(git, &head, request).await?;
        Ok(Retrained { opened, is_new })
    }
}

/// The branch of the retraining on the content with a digest.
#[must_use]
pub fn retrain_branch(dataset: &str, digest: &Digest) -> String {
    format!("{}{}", retrain_branches(dataset), &digest.hex()[..DIGITS])
}

/// What the branches of all retrainings of a dataset begin with; what follows has 16 digits.
#[must_use]
pub fn retrain_branches(dataset: &str) -> String {
    format!("slipway/retrain-{dataset}-")
}

/// Whether a branch is that of a retraining of a dataset.
#[must_use]
pub fn is_retraining_of(dataset: &str, branch: &str) -> bool {
    let rest = branch.strip_prefix(&retrain_branches(dataset));
    rest.is_some_and(|rest| rest.len() == DIGITS && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_that_of_one_dataset_and_one_digest() {
        let digest = Digest::of("a");
        let branch = retrain_branch("digits", &digest);
        assert_eq!(branch, format!("slipway/retrain-digits-{}", &digest.hex()[..16]));
        assert!(is_retraining_of("digits", &branch) && !is_retraining_of("digit", &branch));
        // another dataset, whose name goes on
        assert!(!is_retraining_of("digits", &retrain_branch("digits-grown", &digest)));
    }
}
