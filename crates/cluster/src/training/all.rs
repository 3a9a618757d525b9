//! All trainings of a namespace at one moment, for whoever does not watch them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ListParams};

use super::{JOBSET, JobSet, TrainJob, Training, WARNINGS, Warning, WorkerPod};
use crate::{Cluster, Result};

/// All trainings of a namespace by name.
///
/// # Errors
/// When the API server does not answer or refuses.
pub async fn trainings(cluster: &Cluster, namespace: &str) -> Result<BTreeMap<String, Training>> {
    let client = || cluster.client().clone();
    let all = ListParams::default();
    let jobs = cluster.list(&Api::<TrainJob>::namespaced(client(), namespace), &all).await?;
    let sets = cluster.list(&Api::<JobSet>::namespaced(client(), namespace), &all).await?;
    // every pod that a JobSet made, and no other
    let of_sets = all.clone().labels(JOBSET);
    let pods = cluster.list(&Api::<Pod>::namespaced(client(), namespace), &of_sets).await?;
    let events = cluster.list(&Api::<Event>::namespaced(client(), namespace), &all.fields(WARNINGS)).await?;

    let jobs = by_name(jobs);
    let sets = by_name(sets);
    let names: BTreeSet<String> = jobs.keys().cloned().collect();
    let pods: Vec<WorkerPod> = pods.iter().filter_map(WorkerPod::of).collect();
    let warnings: Vec<Warning> = events.into_iter().filter_map(Warning::of).collect();
    let training = |(name, job): (&String, &TrainJob)| {
        let pods: Vec<&WorkerPod> = pods.iter().filter(|pod| pod.job == *name).collect();
        let warnings: Vec<&Warning> =
            warnings.iter().filter(|warning| warning.job(&names) == Some(name.as_str())).collect();
        (name.clone(), Training::of(job, sets.get(name), &pods, &warnings))
    };
    Ok(jobs.iter().map(training).collect())
}

fn by_name<K: kube::Resource>(objects: Vec<K>) -> BTreeMap<String, K> {
    objects.into_iter().filter_map(|object| Some((object.meta().name.clone()?, object))).collect()
}
