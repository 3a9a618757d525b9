//! `slipway history`: what came of TrainJobs that are in the history.

use std::collections::BTreeMap;

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use slipway_experiment::{JobState, Record};
use slipway_git::Repository;
use slipway_project::plan::parameters;
use slipway_project::{Project, Tree, cluster::Prices, count, history};
use slipway_proposal::Error;

use crate::context::Context;
use crate::failure::Failure;
use crate::record_text::{COLUMNS, hours, price, row};
use crate::running::LoopArgs;

#[derive(Debug, Args)]
#[command(
    after_help = "Needs neither a network nor MLflow: the records are files of the repository, overlays/*/history/. Prices are those of now.\n\n\
                  Examples:\n  slipway history\n  slipway history mnist-cnn --environment staging\n  slipway history -o json | jq '.totals'"
)]
pub(crate) struct History {
    /// Only this experiment
    experiment: Option<String>,
    /// Only this environment [default: all]
    #[arg(long, alias = "env", value_name = "ENV")]
    environment: Option<String>,
    /// The most records to show, the newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = parse_limit)]
    limit: usize,
    #[command(flatten)]
    running: LoopArgs,
}

/// A record with where it ran and what it cost.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    environment: String,
    #[serde(flatten)]
    record: Record,
    /// `None` if its hours are not known, or GPUs have no price there.
    cost: Option<f64>,
    currency: String,
}

/// Sums over all records that were asked for, shown or not.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    records: usize,
    states: BTreeMap<JobState, usize>,
    cpu_hours: f64,
    gpu_hours: f64,
    /// By currency.
    cost: BTreeMap<String, f64>,
    /// Records whose cost is not known.
    without_cost: usize,
}

#[derive(Debug, Serialize)]
struct Shown {
    records: Vec<Recorded>,
    totals: Totals,
}

impl History {
    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        let tree = self.tree(context)?;
        let project = Project::read(&tree.limited_to(&["clusters", "overlays"]));
        if let Some(name) = self.environment.as_ref().filter(|name| !project.environments.contains_key(*name)) {
            let known = project.environments.keys().cloned().collect();
            return Err(Error::UnknownEnvironment { name: name.clone(), known }.into());
        }
        let experiment = self.experiment.as_deref();
        let (mut records, mut unreadable) = (Vec::new(), 0);
        let asked =
            project.environments.iter().filter(|(name, _)| self.environment.as_ref().is_none_or(|one| one == *name));
        for (environment, target) in asked {
            let prices = &target.cluster.prices;
            let read = history::records(&tree, environment, experiment);
            let of_experiment = |job: &&String| experiment.is_none_or(|name| history::is_of(job, name));
            unreadable += target.archived.iter().filter(of_experiment).count() - read.len();
            records.extend(read.into_iter().map(|record| Recorded {
                environment: environment.clone(),
                cost: cost(&record, prices),
                currency: prices.currency.clone(),
                record,
            }));
        }
        if unreadable > 0 {
            context.warn(format!("{} cannot be read: `slipway check` says why", count(unreadable, "record")));
        }
        records
            .sort_by(|a, b| b.record.result.ended.cmp(&a.record.result.ended).then(a.record.name.cmp(&b.record.name)));
        let totals = Totals::of(&records);
        records.truncate(self.limit);
        let shown = Shown { records, totals };
        if !context.is_json() {
            self.show(context, &shown);
        }
        context.json(&shown)
    }

    /// Main of the loop on this machine, where what was merged need not be here; otherwise the work tree.
    fn tree(&self, context: &Context) -> Result<Tree, Failure> {
        let Some((_, state)) = self.running.find(context)? else { return Ok(Tree::of_work_tree(&context.root)?) };
        let prefix = Repository::project(&context.root)?.prefix().to_owned();
        Ok(Tree::at(&Repository::open(&state.forge)?.below(&prefix), "refs/heads/main")?)
    }

    fn show(&self, context: &Context, shown: &Shown) {
        let Shown { records, totals } = shown;
        if totals.records == 0 {
            let of = self.experiment.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
            context.say(format!("no TrainJob{of} is in the history: `slipway archive` moves there what has ended"));
            return;
        }
        let mut table = Table::new();
        let header = ["ENVIRONMENT"].into_iter().chain(COLUMNS).chain(["COST", "PARAMETERS"]);
        table.load_style(NOTHING).set_header(header);
        for Recorded { environment, record, cost, currency } in records {
            let cost = cost.map(|cost| price(cost, currency)).unwrap_or_default();
            let cells = [environment.clone()].into_iter().chain(row(record));
            table.add_row(cells.chain([cost, parameters(&record.spec.parameters)]));
        }
        context.say(table.trim_fmt());
        if records.len() < totals.records {
            context.say(format!(
                "… and {} older: --limit {} shows all",
                totals.records - records.len(),
                totals.records
            ));
        }
        context.say(format!("\n{}", totals.text()));
    }
}

impl Totals {
    fn of(records: &[Recorded]) -> Self {
        let mut totals = Self { records: records.len(), ..Self::default() };
        for Recorded { record, cost, currency, .. } in records {
            *totals.states.entry(record.result.state).or_default() += 1;
            totals.cpu_hours += record.result.cpu_hours.unwrap_or_default();
            totals.gpu_hours += record.result.gpu_hours.unwrap_or_default();
            match cost {
                Some(cost) => *totals.cost.entry(currency.clone()).or_default() += cost,
                None => totals.without_cost += 1,
            }
        }
        totals
    }

    /// One line, such as `3 TrainJobs: 2 finished, 1 failed; 1.25 CPU-hours, 0.05 USD`.
    fn text(&self) -> String {
        let states: Vec<String> = self.states.iter().map(|(state, number)| format!("{number} {state}")).collect();
        let gpus =
            if self.gpu_hours > 0.0 { format!(" and {} GPU-hours", hours(self.gpu_hours)) } else { String::new() };
        let costs: Vec<String> = self.cost.iter().map(|(currency, cost)| price(*cost, currency)).collect();
        let costs = if costs.is_empty() { String::new() } else { format!(", {}", costs.join(" + ")) };
        let unknown = match self.without_cost {
            0 => String::new(),
            unknown => format!("; the cost of {unknown} is not known"),
        };
        let (all, cpu) = (count(self.records, "TrainJob"), hours(self.cpu_hours));
        format!("{all}: {}; {cpu} CPU-hours{gpus}{costs}{unknown}", states.join(", "))
    }
}

fn parse_limit(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "write a whole number, such as 50".to_owned())
}

/// What a record's hours cost by the prices of now.
fn cost(record: &Record, prices: &Prices) -> Option<f64> {
    let gpu_hours = record.result.gpu_hours.unwrap_or_default();
    let gpus = if gpu_hours > 0.0 { gpu_hours * prices.gpu_hour? } else { 0.0 };
    Some(record.result.cpu_hours? * prices.cpu_hour + gpus)
}
