//! Runs helm as Argo CD's repo-server does: it fetches a chart, and renders it without a cluster.
//!
//! Argo CD passes the version of its cluster and the APIs there. Here there is no cluster: unless the Application names them, a chart sees
//! the version of Kubernetes that helm was made for, and its APIs.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};
use slipway_causes::hide_login;
use slipway_gitops::Source;

use crate::program::{on_path, output};
use crate::{Error, Result};

/// How to get helm.
pub const HOW_TO_GET_HELM: &str = "`make setup` · brew install helm · https://github.com/helm/helm/releases";

/// What helm says if a chart is not complete: its dependencies are in other repositories.
const DEPENDENCIES_MISSING: &str = "missing in charts/ directory";

/// The program helm.
#[derive(Clone, Debug)]
pub struct Helm {
    program: PathBuf,
    cache: PathBuf,
}

/// A chart as an Application deploys it.
pub(crate) struct Release<'a> {
    /// The Application's name.
    pub(crate) application: &'a str,
    /// The namespace that the Application deploys to.
    pub(crate) namespace: &'a str,
    /// `source.helm`
    pub(crate) options: Option<&'a Value>,
    /// The content of a file of the repository that a `ref` names, for `$REF/PATH`.
    pub(crate) referenced: &'a dyn Fn(&str) -> Result<Vec<u8>>,
}

impl Helm {
    /// The program at `program`, or the one of this name on the PATH; `None` if there is none. The folder `cache` keeps charts.
    #[must_use]
    pub fn find(program: &Path, cache: &Path) -> Option<Self> {
        on_path(program).map(|program| Self { program, cache: cache.to_owned() })
    }

    /// The program's path.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Fetches a chart of a chart repository or an OCI registry into an empty folder. The user's helm settings, such as logins, apply.
    pub(crate) fn pull(&self, source: &Source, folder: &Path) -> Result<()> {
        let (repository, version) = (source.repository.trim_end_matches('/'), source.revision.as_str());
        let mut command = self.command(folder);
        command.arg("pull");
        match (&source.chart, repository.contains("://") && !repository.starts_with("oci://")) {
            (Some(chart), true) => command.args([chart, "--repo", repository]),
            // Argo CD writes a registry without the scheme
            (Some(chart), false) => command.arg(format!("oci://{}/{chart}", repository.trim_start_matches("oci://"))),
            (None, _) => command.arg(repository),
        };
        command.args(["--version", version, "--untar", "--untardir", "."]);
        let failed = |reason: String| {
            let what = format!("{repository} {}", source.chart.as_deref().unwrap_or_default());
            let message = format!("helm cannot fetch {} {version}: {reason}", what.trim_end());
            Error::Fetch(hide_login(&message, repository))
        };
        run(command)?.map(drop).map_err(failed)
    }

    /// Renders the chart in a folder, which may be changed by that. The inner error is helm's own message.
    pub(crate) fn template(&self, folder: &Path, release: &Release<'_>) -> Result<Result<String, String>> {
        // apart from the chart, which is rendered with every file in it
        let values = tempfile::tempdir().map_err(Error::file(&std::env::temp_dir()))?;
        let arguments = arguments(folder, release, values.path())?;
        let render = || {
            let mut command = self.command(folder);
            command.arg("template").arg(".").args(&arguments);
            run(command)
        };
        let rendered = render()?;
        if !rendered.as_ref().is_err_and(|reason| reason.contains(DEPENDENCIES_MISSING)) {
            return Ok(rendered);
        }
        let mut build = self.command(folder);
        build.args(["dependency", "build", "."]);
        run(build)?.map_err(|reason| Error::Fetch(format!("helm cannot fetch what the chart depends on: {reason}")))?;
        render()
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(folder).env("HELM_CACHE_HOME", self.cache.join("helm"));
        // what is rendered does not depend on the user's cluster
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("HELM_KUBE") || matches!(name.as_ref(), "HELM_NAMESPACE" | "HELM_DEBUG" | "KUBECONFIG")
            {
                command.env_remove(name.as_ref());
            }
        }
        command
    }
}

/// What helm prints. The inner error is its message without the prefix that every one has.
fn run(command: Command) -> Result<Result<String, String>> {
    Ok(output(command)?.map_err(|errors| errors.trim().trim_start_matches("Error: ").to_owned()))
}

/// The arguments of `helm template` after the chart, as Argo CD makes them from `source.helm`. Values that are not in a file of the chart are
/// written into `folder`. An option that is not known here is an error, so that none is lost.
fn arguments(chart: &Path, release: &Release<'_>, folder: &Path) -> Result<Vec<String>> {
    let none = Map::new();
    let options = release.options.and_then(Value::as_object).unwrap_or(&none);
    let cannot = |what: &str| Error::Upstream(format!("source.helm.{what} cannot be rendered here"));
    let text = |key: &str| options.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let is = |key: &str| options.get(key).and_then(Value::as_bool).unwrap_or_default();
    let items = |key: &str| options.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if let Some(other) = options.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(cannot(other));
    }

    let mut arguments =
        vec!["--name-template".to_owned(), text("releaseName").unwrap_or(release.application).to_owned()];
    let mut add = |flag: &str, value: &str| arguments.extend([flag.to_owned(), value.to_owned()]);
    let namespace = text("namespace").unwrap_or(release.namespace);
    if !namespace.is_empty() {
        add("--namespace", namespace);
    }
    if let Some(version) = text("kubeVersion") {
        add("--kube-version", version);
    }
    for parameter in items("parameters") {
        let field = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
        if field("value").contains("$ARGOCD_") || field("value").contains("${ARGOCD_") {
            return Err(cannot(&format!("parameters: {} with a variable of Argo CD", field("name"))));
        }
        let is_text = parameter.get("forceString").and_then(Value::as_bool).unwrap_or_default();
        let flag = if is_text { "--set-string" } else { "--set" };
        add(flag, &format!("{}={}", field("name"), escaped(field("value"))));
    }
    if !items("fileParameters").is_empty() {
        return Err(cannot("fileParameters"));
    }
    for (number, file) in items("valueFiles").iter().filter_map(Value::as_str).enumerate() {
        if file.contains(['*', '?', '[']) {
            return Err(cannot(&format!("valueFiles: {file} names several files, which")));
        } else if file.starts_with('$') {
            let path = folder.join(format!("referenced-{number}.yaml"));
            std::fs::write(&path, (release.referenced)(file)?).map_err(Error::file(&path))?;
            add("--values", &path.display().to_string());
        } else if file.contains("://") || chart.join(file).is_file() || !is("ignoreMissingValueFiles") {
            add("--values", file);
        }
    }
    let own = match options.get("valuesObject").filter(|object| !object.is_null()) {
        // JSON is YAML
        Some(object) => Some(object.to_string()),
        None => text("values").map(str::to_owned),
    };
    if let Some(own) = own {
        let path = folder.join("values.yaml");
        std::fs::write(&path, own).map_err(Error::file(&path))?;
        add("--values", &path.display().to_string());
    }
    for version in items("apiVersions").iter().filter_map(Value::as_str) {
        add("--api-versions", version);
    }
    let flags = [
        (!is("skipCrds"), "--include-crds"),
        (is("skipSchemaValidation"), "--skip-schema-validation"),
        (is("skipTests"), "--skip-tests"),
    ];
    arguments.extend(flags.iter().filter(|(given, _)| *given).map(|(_, flag)| (*flag).to_owned()));
    Ok(arguments)
}

/// Argo CD's fields of `source.helm`. `version` and `passCredentials` change nothing here: there is one helm, with the user's logins.
const KNOWN: [&str; 15] = [
    "apiVersions",
    "fileParameters",
    "ignoreMissingValueFiles",
    "kubeVersion",
    "namespace",
    "parameters",
    "passCredentials",
    "releaseName",
    "skipCrds",
    "skipSchemaValidation",
    "skipTests",
    "valueFiles",
    "values",
    "valuesObject",
    "version",
];

/// A parameter's value for `--set`, to which a comma would begin another parameter. A list, `{a,b}`, stays one.
fn escaped(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') {
        return value.to_owned();
    }
    let mut text = String::with_capacity(value.len());
    let mut before = ' ';
    for character in value.chars() {
        if character == ',' && before != '\\' {
            text.push('\\');
        }
        text.push(character);
        before = character;
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(options: &Value) -> Result<Vec<String>> {
        let chart = tempfile::tempdir().unwrap();
        std::fs::write(chart.path().join("small.yaml"), "").unwrap();
        let values = tempfile::tempdir().unwrap();
        let release = Release {
            application: "web",
            namespace: "web-system",
            options: Some(options),
            referenced: &|name| Ok(format!("# {name}\n").into_bytes()),
        };
        let made = arguments(chart.path(), &release, values.path())?;
        let folder = values.path().display().to_string();
        Ok(made
            .into_iter()
            .map(|argument| match argument.strip_prefix(&folder) {
                // the content instead of a name that is different each time
                Some(name) => std::fs::read_to_string(values.path().join(&name[1..])).unwrap(),
                None => argument,
            })
            .collect())
    }

    #[test]
    fn options_become_the_arguments_that_argo_cd_makes() {
        assert_eq!(
            made(&json!({})).unwrap(),
            ["--name-template", "web", "--namespace", "web-system", "--include-crds"]
        );
        let all = json!({
            "releaseName": "site", "namespace": "other", "kubeVersion": "1.36", "apiVersions": ["a/v1", "b/v1"], "skipCrds": true,
            "skipTests": true, "skipSchemaValidation": true, "ignoreMissingValueFiles": true, "passCredentials": true,
            "valueFiles": ["small.yaml", "none.yaml", "$ours/web.yaml"], "valuesObject": {"replicas": 2}, "values": "not: read",
            "parameters": [{"name": "a", "value": "1,2"}, {"name": "b", "value": "true", "forceString": true}, {"name": "c", "value": "{1,2}"}],
        });
        assert_eq!(
            made(&all).unwrap().join(" "),
            "--name-template site --namespace other --kube-version 1.36 --set a=1\\,2 --set-string b=true --set c={1,2} \
             --values small.yaml --values # $ours/web.yaml\n --values {\"replicas\":2} --api-versions a/v1 --api-versions b/v1 \
             --skip-schema-validation --skip-tests"
        );
    }

    #[test]
    fn what_cannot_be_rendered_is_an_error() {
        for (options, said) in [
            (json!({"postRenderer": "x"}), "source.helm.postRenderer"),
            (json!({"fileParameters": [{"name": "a", "path": "b"}]}), "source.helm.fileParameters"),
            (json!({"valueFiles": ["values-*.yaml"]}), "values-*.yaml"),
            (json!({"parameters": [{"name": "a", "value": "$ARGOCD_APP_NAME"}]}), "variable of Argo CD"),
        ] {
            let error = made(&options).unwrap_err().to_string();
            assert!(error.contains(said), "{options}: {error}");
        }
    }
}
