//! How long a cluster takes and how large it is: `make bench-cluster`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cluster::{Error, Forget, OnMilestone, Options};
use crate::testing::Testbed;
use crate::{Cache, Cluster};

/// After this time, nothing that only a start needs is still running.
const REST: Duration = Duration::from_secs(30);

/// Measurements by name, each with the value of every round. The name ends with the unit.
#[derive(Debug, Default, Serialize)]
pub struct Figures(BTreeMap<String, Vec<f64>>);

/// Measures `rounds` lives of a cluster of its own: fresh with its images unpacked, down, up again, down.
///
/// # Errors
/// A cluster that does not come up.
pub async fn run(cache: &Cache, rounds: usize, report: OnMilestone<'_>) -> Result<Figures, Error> {
    let cluster = Cluster::new(cache, "bench")?;
    let mut figures = Figures::default();
    cluster.down(Forget::Everything)?;
    figures.up(&cluster, "first up, images to unpack", report).await?;
    for _ in 0..rounds {
        figures.down(&cluster, Forget::State, "down", report)?;
        figures.up(&cluster, "fresh up, images there", report).await?;
        figures.namespace(&cluster).await?;
        tokio::time::sleep(REST).await;
        figures.memory(&cluster).await?;
        figures.down(&cluster, Forget::Nothing, "down", report)?;
        figures.up(&cluster, "warm up, state kept", report).await?;
    }
    figures.down(&cluster, Forget::Everything, "down, images removed", report)?;
    Ok(figures)
}

impl Figures {
    async fn up(&mut self, cluster: &Cluster, what: &str, report: OnMilestone<'_>) -> Result<(), Error> {
        let (began, steps) = (Instant::now(), Mutex::new(Vec::new()));
        let progress = |step: &str| {
            if let Ok(mut steps) = steps.lock() {
                steps.push((step.to_owned(), began.elapsed().as_secs_f64()));
            }
        };
        cluster.up(&Options::default(), &progress).await?;
        self.add(&format!("{what}: everything, s"), began.elapsed().as_secs_f64(), report);
        for (step, seconds) in steps.into_inner().unwrap_or_default() {
            self.add(&format!("{what}: {step}, s"), seconds, report);
        }
        Ok(())
    }

    fn down(&mut self, cluster: &Cluster, forget: Forget, what: &str, report: OnMilestone<'_>) -> Result<(), Error> {
        let began = Instant::now();
        cluster.down(forget)?;
        self.add(&format!("{what}, s"), began.elapsed().as_secs_f64(), report);
        Ok(())
    }

    async fn namespace(&mut self, cluster: &Cluster) -> Result<(), Error> {
        let testbed = Testbed::of(cluster)?;
        for _ in 0..5 {
            let began = Instant::now();
            testbed.namespace("bench").await?;
            self.add("a namespace for a test, s", began.elapsed().as_secs_f64(), &|_| {});
        }
        Ok(())
    }

    async fn memory(&mut self, cluster: &Cluster) -> Result<(), Error> {
        let status = cluster.status().await?;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        self.add("memory at rest: all, MiB", mib(status.memory), &|_| {});
        for component in &status.components {
            // the names of a Deployment's pods end in two parts that differ each time
            let name = component.name.split_once('/').map_or(component.name.as_str(), |(namespace, _)| namespace);
            let figure = format!("memory at rest: {name} {}, MiB", component.version);
            self.add(&figure, mib(component.memory), &|_| {});
        }
        Ok(())
    }

    fn add(&mut self, name: &str, value: f64, report: OnMilestone<'_>) {
        report(&format!("{name}: {value:.1}"));
        self.0.entry(name.to_owned()).or_default().push(value);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.keys().map(String::len).max().unwrap_or(0);
        writeln!(f, "{:width$}  {:>8}  {:>8}  {:>8}  rounds", "", "min", "median", "max")?;
        for (name, values) in &self.0 {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else { continue };
            writeln!(f, "{name:width$}  {min:8.2}  {:8.2}  {max:8.2}  {:6}", sorted[sorted.len() / 2], sorted.len())?;
        }
        Ok(())
    }
}
