//! `clusters/<env>/credentials.yaml`: Secrets that are not in git. Bootstrap creates some of them; the others come from elsewhere.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;
use slipway_cluster::{Credential, Template};
use slipway_gitops::Secret;
use slipway_project::Tree;
use slipway_project::header::{ApiVersion, Metadata};
use slipway_source::{Finding, typed};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "read so that a file of another kind is refused")]
    api_version: ApiVersion,
    #[expect(dead_code, reason = "read so that a file of another kind is refused")]
    kind: Kind,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
enum Kind {
    Credentials,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    #[serde(default)]
    secrets: Vec<Made>,
    #[serde(default)]
    external: Vec<External>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    namespace: String,
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    data: BTreeMap<String, Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct External {
    namespace: String,
    name: String,
    keys: Vec<String>,
}

/// The Secrets that an environment's credentials file declares.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The Secrets that bootstrap creates.
    pub made: Vec<Credential>,
    external: Vec<Secret>,
}

impl Credentials {
    /// Every Secret that will exist.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let made = self.made.iter().map(|one| Secret {
            namespace: one.namespace.clone(),
            name: one.name.clone(),
            keys: one.data.keys().cloned().collect(),
        });
        made.chain(self.external.iter().cloned()).collect()
    }
}

/// Reads an environment's credentials file. Without a file there are no Secrets.
///
/// # Errors
/// Every mistake in the file.
pub fn credentials(tree: &Tree, environment: &str) -> Result<Credentials, Vec<Finding>> {
    let path = format!("clusters/{environment}/credentials.yaml");
    let Some(text) = tree.text(&path) else { return Ok(Credentials::default()) };
    let file: File = typed(&path, &text).map_err(|finding| vec![finding])?;
    let mut credentials = Credentials::default();
    let mut findings: Vec<Finding> = file.metadata.misnamed(&path, &text, environment).into_iter().collect();
    for made in file.spec.secrets {
        let mut data = BTreeMap::new();
        for (key, value) in made.data {
            match Template::parse(&value.value) {
                Ok(template) => {
                    data.insert(key, template);
                }
                Err(error) => {
                    let (line, column) = (value.referenced.line() as usize, value.referenced.column() as usize);
                    let message = format!("{key} of Secret {}/{}: {error}", made.namespace, made.name);
                    findings.push(
                        Finding::new(&path, line, column, "wrong-template", message)
                            .with_help("such as postgresql://mlflow:${mlflow-database}@postgres/mlflow"),
                    );
                }
            }
        }
        credentials.made.push(Credential { namespace: made.namespace, name: made.name, labels: made.labels, data });
    }
    credentials.external = file
        .spec
        .external
        .into_iter()
        .map(|one| Secret { namespace: one.namespace, name: one.name, keys: one.keys })
        .collect();
    if findings.is_empty() { Ok(credentials) } else { Err(findings) }
}
