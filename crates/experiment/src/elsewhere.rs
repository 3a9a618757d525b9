//! Where a field belongs that somebody wrote in another place, or by a name that other tools use.

/// Every field of the experiment file by its path. The schema has the same ones, as a test checks.
const FIELDS: [&str; 51] = [
    "apiVersion",
    "kind",
    "metadata",
    "metadata.name",
    "spec",
    "spec.budget",
    "spec.budget.cpuHours",
    "spec.budget.deadline",
    "spec.budget.gpuHours",
    "spec.cancelled",
    "spec.dataset",
    "spec.environments",
    "spec.model",
    "spec.model.architecture",
    "spec.model.dropout",
    "spec.parameters",
    "spec.program",
    "spec.program.args",
    "spec.program.command",
    "spec.program.image",
    "spec.program.trainer",
    "spec.promote",
    "spec.register",
    "spec.register.model",
    "spec.register.require",
    "spec.rerun",
    "spec.sweep",
    "spec.training",
    "spec.training.augmentation",
    "spec.training.augmentation.rotation",
    "spec.training.augmentation.shift",
    "spec.training.batchSize",
    "spec.training.earlyStopping",
    "spec.training.earlyStopping.patience",
    "spec.training.epochs",
    "spec.training.optimizer",
    "spec.training.optimizer.learningRate",
    "spec.training.optimizer.momentum",
    "spec.training.optimizer.name",
    "spec.training.optimizer.weightDecay",
    "spec.training.schedule",
    "spec.training.schedule.every",
    "spec.training.schedule.factor",
    "spec.training.schedule.name",
    "spec.training.schedule.warmupEpochs",
    "spec.training.seed",
    "spec.workers",
    "spec.workers.count",
    "spec.workers.cpu",
    "spec.workers.gpu",
    "spec.workers.memory",
];

/// What other tools call them, in lower case and without `-` and `_`.
const ALIASES: [(&str, &str); 46] = [
    ("arch", "spec.model.architecture"),
    ("network", "spec.model.architecture"),
    ("batch", "spec.training.batchSize"),
    ("bs", "spec.training.batchSize"),
    ("globalbatchsize", "spec.training.batchSize"),
    ("trainbatchsize", "spec.training.batchSize"),
    ("data", "spec.dataset"),
    ("epoch", "spec.training.epochs"),
    ("maxepochs", "spec.training.epochs"),
    ("nepochs", "spec.training.epochs"),
    ("numepochs", "spec.training.epochs"),
    ("numtrainepochs", "spec.training.epochs"),
    ("lr", "spec.training.optimizer.learningRate"),
    ("rate", "spec.training.optimizer.learningRate"),
    ("optim", "spec.training.optimizer.name"),
    ("wd", "spec.training.optimizer.weightDecay"),
    ("lrscheduler", "spec.training.schedule"),
    ("scheduler", "spec.training.schedule"),
    ("gamma", "spec.training.schedule.factor"),
    ("stepsize", "spec.training.schedule.every"),
    ("warmup", "spec.training.schedule.warmupEpochs"),
    ("earlystop", "spec.training.earlyStopping"),
    ("randomseed", "spec.training.seed"),
    ("nodes", "spec.workers.count"),
    ("nnodes", "spec.workers.count"),
    ("numnodes", "spec.workers.count"),
    ("numworkers", "spec.workers.count"),
    ("replicas", "spec.workers.count"),
    ("worldsize", "spec.workers.count"),
    ("cpus", "spec.workers.cpu"),
    ("mem", "spec.workers.memory"),
    ("ram", "spec.workers.memory"),
    ("timeout", "spec.budget.deadline"),
    ("arguments", "spec.program.args"),
    ("argv", "spec.program.args"),
    ("cmd", "spec.program.command"),
    ("container", "spec.program.image"),
    ("entrypoint", "spec.program.command"),
    ("run", "spec.program.command"),
    ("script", "spec.program.command"),
    ("gpus", "spec.workers.gpu"),
    ("ngpus", "spec.workers.gpu"),
    ("numgpus", "spec.workers.gpu"),
    ("hparams", "spec.parameters"),
    ("hyperparameters", "spec.parameters"),
    ("params", "spec.parameters"),
];

/// The path of the field that `name` means: the last part of a path, or another tool's name for it. `None` if no field, or
/// more than one, is called that.
pub(crate) fn field(name: &str) -> Option<&'static str> {
    let name = plain(name);
    if let Some((_, path)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        return Some(path);
    }
    let mut fields = FIELDS.into_iter().filter(|path| plain(path.rsplit('.').next().unwrap_or(path)) == name);
    fields.next().filter(|_| fields.next().is_none())
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace(['_', '-'], "")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_fields_are_those_of_the_schema() {
        fn collect(schema: &Value, path: &str, all: &mut Vec<String>) {
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                // the keys of these are not fields: they are metrics, paths of fields, and names of parameters
                if !["spec.register.require", "spec.sweep", "spec.parameters"].contains(&path.as_str()) {
                    collect(field, &path, all);
                }
                all.push(path);
            }
        }
        let mut all = Vec::new();
        collect(&serde_json::from_str(&crate::schema()).unwrap(), "", &mut all);
        all.sort();
        assert_eq!(all, FIELDS);
        for (alias, path) in ALIASES {
            assert!(FIELDS.contains(&path) && plain(alias) == alias, "{alias}");
        }
    }

    #[test]
    fn a_field_is_known_by_its_name_and_by_other_names() {
        for (name, path) in [
            ("lr", Some("spec.training.optimizer.learningRate")),
            ("learning_rate", Some("spec.training.optimizer.learningRate")),
            ("Batch-Size", Some("spec.training.batchSize")),
            ("cpuHours", Some("spec.budget.cpuHours")),
            ("optimizer", Some("spec.training.optimizer")),
            // what is trained, and what it is registered as
            ("model", None),
            ("momentum", Some("spec.training.optimizer.momentum")),
            ("lr-scheduler", Some("spec.training.schedule")),
            // of the experiment, of the optimizer and of the schedule
            ("name", None),
            ("nesterov", None),
        ] {
            assert_eq!(field(name), path, "{name}");
        }
    }
}
