//! Charts, made from upstream's Go modules as their releases make them: the chart repositories cannot be reached from everywhere.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::program::{path, run};
use crate::tree::documents;
use crate::upstream::module_folder;

/// A chart, and where upstream's repository has its parts.
struct Chart {
    name: &'static str,
    module: &'static str,
    /// The version of the module; `None` if it is that of the chart.
    stand_in: Option<&'static str>,
    folder: &'static str,
    /// Definitions that a release adds to the chart.
    definitions: Option<&'static str>,
}

const CHARTS: [Chart; 2] = [
    Chart {
        name: "cert-manager",
        module: "github.com/cert-manager/cert-manager",
        stand_in: None,
        folder: "deploy/charts/cert-manager",
        definitions: None,
    },
    Chart {
        name: "external-secrets",
        module: "github.com/external-secrets/external-secrets",
        // The path of its module has no `/v2`, so Go knows no version from 2.0.0 on.
        stand_in: Some("v1.3.2"),
        folder: "deploy/charts/external-secrets",
        definitions: Some("config/crds/bases"),
    },
];

/// The objects of a chart as an Application deploys it, rendered as Argo CD renders them, as one text.
///
/// # Errors
/// When the chart is not known here, or does not render.
pub(crate) fn render(application: &str, namespace: &str, source: &Value) -> Result<String> {
    let (name, version) = (&source["chart"], source["targetRevision"].as_str().context("a chart without a version")?);
    let chart =
        CHARTS.iter().find(|chart| name == chart.name).with_context(|| format!("{name}: no such chart here"))?;
    let folder = tempfile::tempdir()?;
    let made = folder.path().join(chart.name);
    chart.make(version, &made)?;
    let empty = Map::new();
    let options = source["helm"].as_object().unwrap_or(&empty);
    for key in options.keys() {
        ensure!(key == "valuesObject", "source.helm.{key} is not known to this test");
    }
    let values = folder.path().join("values.json");
    std::fs::write(&values, options.get("valuesObject").unwrap_or(&json!({})).to_string())?;
    let mut command = Command::new(path("helm")?);
    command.arg("template").arg(&made).args([
        "--name-template",
        application,
        "--namespace",
        namespace,
        "--include-crds",
    ]);
    let printed = run(command.arg("--values").arg(&values), "")?;
    ensure!(printed.succeeded, "{} does not render: {}", chart.name, printed.errors);
    Ok(printed.output)
}

impl Chart {
    fn make(&self, version: &str, to: &Path) -> Result<()> {
        let module = module_folder(self.module, self.stand_in.unwrap_or(version))?;
        copy(&module.join(self.folder), to)?;
        if let Some(definitions) = self.definitions {
            copy(&module.join(definitions), &to.join("crds"))?;
            std::fs::remove_file(to.join("crds/kustomization.yaml"))?;
        }
        let about = to.join("Chart.yaml");
        let mut chart = documents(&std::fs::read_to_string(&about)?)?.remove(0);
        // What a release writes into it. The one chart that another depends on is off unless its values say otherwise.
        chart["version"] = json!(version);
        chart["appVersion"] = json!(self.stand_in.unwrap_or(version));
        if let Some(chart) = chart.as_object_mut() {
            chart.remove("dependencies");
        }
        Ok(std::fs::write(&about, chart.to_string())?)
    }
}

/// Copies what is in a folder. Unlike Go's module cache, the copy is writable.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            std::fs::write(&target, std::fs::read(&path)?)?;
        }
    }
    Ok(())
}
