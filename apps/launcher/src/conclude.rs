//! From a program that ended well on every worker to a registered version, on rank 0.

use std::time::Duration;

use slipway_dataset::Unpacked;
use slipway_experiment::{Metric, Register, Score, Trial};
use slipway_job::{
    Conclusion, Failure, Registration, Result, Verdict, add_files, cache, judge, now_ms, params, publish, upload,
};
use slipway_mlflow::{Client, Run, RunStatus, Tag};
use slipway_names::tag;
use slipway_signature::{MODEL_FILE, Servable, content, digest};
use tokio::runtime::Runtime;

use crate::data;
use crate::model::{Check, Checked, Found, Workspace, find};
use crate::processes::Processes;

/// How many metrics a message lists.
const LISTED: usize = 20;
/// How much of a reason a tag holds, in characters.
const REASON: usize = 1000;

/// What a program has achieved.
pub(crate) struct Outcome<'a> {
    pub(crate) trial: &'a Trial,
    /// Tags that lead back to what made it.
    pub(crate) tags: Vec<Tag>,
    pub(crate) client: &'a Client,
    pub(crate) runtime: &'a Runtime,
    pub(crate) processes: &'a Processes,
    pub(crate) conclusion: &'a Conclusion,
    pub(crate) workspace: Workspace<'a>,
    pub(crate) unpacked: &'a Unpacked,
    /// The run with everything that the program logged.
    pub(crate) run: Run,
    pub(crate) ran: Duration,
}

impl Outcome<'_> {
    /// Applies the gate, registers the model if it passes, and finishes the run. The version is created last; the gate's tag says that
    /// nothing is left to do.
    pub(crate) fn conclude(&self) -> Result<()> {
        let run_id = &self.run.run_id;
        let inputs = [data::input(&self.trial.dataset, self.unpacked)];
        self.runtime.block_on(self.client.log_inputs(run_id, &inputs))?;
        let tags = match &self.trial.register {
            None => vec![Tag::new(tag::GATE, "none")],
            Some(register) => self.apply(register)?,
        };
        self.conclusion.claim(self.runtime);
        self.runtime.block_on(self.client.log_batch(run_id, &[], &[], &tags))?;
        self.runtime.block_on(self.client.update_run(run_id, RunStatus::Finished, now_ms()))?;
        Ok(())
    }

    /// The tags that say what the gate decided. If it is passed, a version exists afterwards.
    fn apply(&self, register: &Register) -> Result<Vec<Tag>> {
        let verdict = judge(register, |metric| self.metric(metric), &self.listed())?;
        verdict.log();
        if verdict == Verdict::Passed {
            self.register(register)?;
        }
        Ok(verdict.tags())
    }

    /// The last value of a metric. MLflow keeps an infinity as the largest number.
    fn metric(&self, metric: &Metric) -> Option<f64> {
        let value = *self.run.metrics.get(metric.as_str())?;
        Some(if value.abs() == f64::MAX { f64::INFINITY.copysign(value) } else { value })
    }

    /// What its version is compared by with others, if that is not its accuracy.
    fn compared_by(&self, register: &Register) -> Option<Tag> {
        let (metric, bound) = register.compared_by()?;
        let score = Score::of_gate(metric, bound, self.metric(metric)?);
        // JSON has no infinity
        let is_other = !score.is_accuracy() && score.value.is_finite();
        is_other.then(|| serde_json::to_string(&score).ok()).flatten().map(|text| Tag::new(tag::COMPARED_BY, text))
    }

    /// What the run has, for whoever looks for a metric that it lacks.
    fn listed(&self) -> String {
        let names: Vec<&str> = self.run.metrics.keys().map(String::as_str).take(LISTED).collect();
        if names.is_empty() {
            return "the program logged no metric at all; log it by mlflow.log_metric() on the worker with rank 0"
                .to_owned();
        }
        let more = if self.run.metrics.len() > LISTED { ", …" } else { "" };
        format!("the program logged {}{more}; compare `register.require` with these names", names.join(", "))
    }

    fn register(&self, register: &Register) -> Result<()> {
        let (client, run, model) = (self.client, &self.run, register.model.as_str());
        self.runtime.block_on(self.warn_of_own_versions())?;
        let found = self.runtime.block_on(find(client, run, model, self.workspace.output))?;
        let base = cache();
        let folder = tempfile::tempdir_in(&base).map_err(|error| {
            Failure::Unexpected(format!("cannot create a folder for the model in {}: {error}", base.display()))
        })?;
        let check = Check {
            client,
            processes: self.processes,
            workspace: self.workspace,
            into: folder.path(),
            labels: self.unpacked.manifest.labels(),
        };
        let checked = self.runtime.block_on(check.run(&found))?;
        let unexpected =
            |error: slipway_signature::Error| Failure::Gate(format!("the model that was made to be served: {error}"));
        let mut tags = self.tags.clone();
        tags.extend([
            Tag::new(tag::DATASET, &self.trial.dataset.name),
            Tag::new(tag::SECONDS, format!("{:.2}", self.ran.as_secs_f64())),
        ]);
        tags.extend(run.metrics.get(Metric::ACCURACY).map(|value| Tag::new(tag::ACCURACY, value.to_string())));
        tags.extend(self.compared_by(register));
        let files = match &checked {
            Checked { engine: Some(_), .. } => {
                let description = std::fs::read(folder.path().join(MODEL_FILE))
                    .map_err(|error| Failure::Unexpected(format!("reading {MODEL_FILE}: {error}")))?;
                // a server reads it by the same rules
                let servable = Servable::parse(&description).map_err(unexpected)?;
                let digest = digest(folder.path()).map_err(unexpected)?;
                tags.extend([
                    Tag::new(tag::ENGINE, servable.engine.as_str()),
                    Tag::new(tag::DIGEST, digest.to_string()),
                ]);
                content(folder.path()).and_then(|content| content.files(folder.path())).map_err(unexpected)?
            }
            Checked { flavor, unservable, .. } => {
                let reason = unservable.as_deref().unwrap_or("no server of Slipway's runs it");
                tracing::warn!(
                    event = "not_servable",
                    flavor,
                    "the model is registered, but it cannot be promoted, because no server can run it: {reason}"
                );
                let reason: String = reason.chars().take(REASON).collect();
                tags.extend([Tag::new(tag::FLAVOR, flavor), Tag::new(tag::UNSERVABLE, reason)]);
                Vec::new()
            }
        };
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let params = params(self.trial);
        let registration = Registration { model, job: &self.trial.name, run, params: &params, tags: &tags };
        let logged = match found {
            Found::Logged(logged) => {
                self.runtime.block_on(add_files(client, &logged, folder.path(), &files))?;
                logged
            }
            Found::File(_) => self.runtime.block_on(upload(client, &registration, folder.path(), &files))?,
        };
        self.conclusion.claim(self.runtime);
        let version = self.runtime.block_on(publish(client, &registration, &logged))?;
        tracing::info!(
            event = "registered",
            model,
            version = version.version,
            engine = checked.engine,
            flavor = checked.flavor
        );
        Ok(())
    }

    /// Warns of versions that the program registered itself, past the gate.
    async fn warn_of_own_versions(&self) -> Result<()> {
        let mut versions = self.client.model_versions_of_run(&self.run.run_id).await?;
        versions.retain(|version| version.tag(tag::TRAINJOB).is_empty());
        if !versions.is_empty() {
            let names: Vec<_> =
                versions.iter().map(|version| format!("{} of `{}`", version.version, version.name)).collect();
            tracing::warn!(
                event = "registered_by_program",
                "the program registered by itself: version {}; no gate was asked and it says nothing of what it came from, so it cannot be \
                 promoted. The model is registered once more, as it should be; remove registered_model_name= and mlflow.register_model() from \
                 the program",
                names.join(", ")
            );
        }
        Ok(())
    }
}
