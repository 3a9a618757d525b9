//! Credentials that bootstrap creates once: which Secrets and keys are missing, and what goes into them.
//!
//! An existing value is never overwritten. A credential that one Secret holds already is used for the others as well.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::apply::Outcome;
use crate::connection::Cluster;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::template::Template;

/// The field manager that Secrets are written as.
const MANAGER: &str = "slipway";

/// The length of a random credential. Each character is one of 62, so it has 238 bits.
const LENGTH: usize = 40;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A Secret as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name.
    pub name: String,
    /// Labels of a Secret that is created; an existing one keeps its own.
    pub labels: BTreeMap<String, String>,
    /// Keys with their values.
    pub data: BTreeMap<String, Template>,
}

impl Credential {
    /// `Secret minio/minio-root`
    pub(crate) fn title(&self) -> String {
        format!("Secret {}/{}", self.namespace, self.name)
    }

    fn api(&self, cluster: &Cluster) -> Api<Secret> {
        Api::namespaced(cluster.client().clone(), &self.namespace)
    }
}

/// What a Secret holds, by key.
type Held = BTreeMap<String, String>;

/// The keys of a Secret that have to be written.
#[derive(Debug, PartialEq, Eq)]
struct Missing {
    /// Which of the declared Secrets.
    index: usize,
    keys: Held,
}

/// What is missing, filled in. `held` has the content of each declared Secret, `None` for one that does not exist.
fn missing(
    declared: &[Credential],
    held: &[Option<Held>],
    mut random: impl FnMut() -> Result<String>,
) -> Result<Vec<Missing>> {
    let mut credentials: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (secret, held) in declared.iter().zip(held) {
        for (key, template) in &secret.data {
            let found = held.as_ref().and_then(|held| held.get(key)).and_then(|value| template.read(value));
            for (name, value) in found.unwrap_or_default() {
                let location = format!("{} {key}", secret.title());
                match credentials.get(&name) {
                    Some((other, one)) if *other != value => {
                        return Err(Error::Disagreement { name, one: one.clone(), other: location });
                    }
                    Some(_) => {}
                    None => {
                        credentials.insert(name, (value, location));
                    }
                }
            }
        }
    }
    let mut values: BTreeMap<String, String> =
        credentials.into_iter().map(|(name, (value, _))| (name, value)).collect();
    let mut all = Vec::new();
    for (index, (secret, held)) in declared.iter().zip(held).enumerate() {
        let mut keys = Held::new();
        for (key, template) in &secret.data {
            if held.as_ref().is_some_and(|held| held.contains_key(key)) {
                continue;
            }
            for name in template.names() {
                if !values.contains_key(name) {
                    values.insert(name.to_owned(), random()?);
                }
            }
            keys.insert(key.clone(), template.fill(&values));
        }
        if held.is_none() || !keys.is_empty() {
            all.push(Missing { index, keys });
        }
    }
    Ok(all)
}

/// Creates what is missing; returns the title of each declared Secret with what became of it. On a dry run nothing is written. What
/// someone else writes at the same time is read again and kept.
pub(crate) async fn ensure(
    cluster: &Cluster,
    declared: &[Credential],
    dry_run: bool,
    deadline: Deadline,
) -> Result<Vec<(String, Outcome)>> {
    let mut outcomes = vec![Outcome::Unchanged; declared.len()];
    deadline.retry(async || attempt(cluster, declared, dry_run, &mut outcomes).await).await?;
    Ok(declared.iter().map(Credential::title).zip(outcomes).collect())
}

async fn attempt(cluster: &Cluster, declared: &[Credential], dry_run: bool, outcomes: &mut [Outcome]) -> Result<()> {
    let mut found = Vec::with_capacity(declared.len());
    for secret in declared {
        let object = secret.api(cluster).get_opt(&secret.name).await;
        found.push(object.map_err(|error| cluster.failed(&secret.title(), error))?);
    }
    let held: Vec<Option<Held>> = found.iter().map(|object| object.as_ref().map(read)).collect();
    for one in missing(declared, &held, random)? {
        let object = found[one.index].as_ref();
        if !dry_run {
            write(cluster, &declared[one.index], one.keys, object).await?;
        }
        outcomes[one.index] = if object.is_none() { Outcome::Created } else { Outcome::Changed };
    }
    Ok(())
}

/// Writes keys into a Secret that is as it was read, or that still does not exist.
async fn write(cluster: &Cluster, secret: &Credential, keys: Held, found: Option<&Secret>) -> Result<()> {
    let api = secret.api(cluster);
    let written = match found {
        None => {
            let metadata = ObjectMeta {
                name: Some(secret.name.clone()),
                namespace: Some(secret.namespace.clone()),
                labels: Some(secret.labels.clone()),
                ..ObjectMeta::default()
            };
            let object = Secret { metadata, string_data: Some(keys), ..Secret::default() };
            let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
            api.create(&params, &object).await
        }
        Some(found) => {
            let version = &found.metadata.resource_version;
            let change = json!({ "metadata": { "resourceVersion": version }, "stringData": keys });
            let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            api.patch(&secret.name, &params, &Patch::Merge(&change)).await
        }
    };
    written.map(drop).map_err(|error| cluster.failed(&secret.title(), error))
}

/// A Secret's content. A value that is not text is empty here, which no template matches.
fn read(secret: &Secret) -> Held {
    let text = |value: &ByteString| String::from_utf8(value.0.clone()).unwrap_or_default();
    secret.data.iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

/// Letters and digits, each as likely as any other.
fn random() -> Result<String> {
    let mut text = String::with_capacity(LENGTH);
    while text.len() < LENGTH {
        let mut bytes = [0_u8; LENGTH];
        getrandom::fill(&mut bytes).map_err(|error| Error::Random(error.to_string()))?;
        // 248 is the largest multiple of 62 in a byte; bytes above it would favour the first letters
        let fair = bytes.iter().filter(|byte| **byte < 248).map(|byte| char::from(ALPHABET[usize::from(byte % 62)]));
        text.extend(fair.take(LENGTH - text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(namespace: &str, data: &[(&str, &str)]) -> Credential {
        let data = data.iter().map(|(key, text)| ((*key).to_owned(), Template::parse(text).unwrap())).collect();
        Credential { namespace: namespace.to_owned(), name: "s".to_owned(), labels: BTreeMap::new(), data }
    }

    fn held(data: &[(&str, &str)]) -> Option<Held> {
        Some(data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    fn counted() -> impl FnMut() -> Result<String> {
        let mut number = 0;
        move || {
            number += 1;
            Ok(format!("r{number}"))
        }
    }

    #[test]
    fn the_same_credential_is_the_same_everywhere() {
        let declared =
            [secret("a", &[("user", "slipway"), ("password", "${p}")]), secret("b", &[("uri", "db://${p}@x")])];
        let all = missing(&declared, &[None, None], counted()).unwrap();
        assert_eq!(all[0].keys, held(&[("password", "r1"), ("user", "slipway")]).unwrap());
        assert_eq!(all[1].keys, held(&[("uri", "db://r1@x")]).unwrap());
        assert_eq!(all.iter().map(|one| one.index).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn an_existing_value_is_kept_and_used_for_the_rest() {
        let declared =
            [secret("a", &[("password", "${p}"), ("token", "${t}")]), secret("b", &[("uri", "db://${p}@x")])];
        let all = missing(&declared, &[None, held(&[("uri", "db://old@x"), ("more", "y")])], counted()).unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].keys, held(&[("password", "old"), ("token", "r1")]).unwrap());
        let all =
            missing(&declared, &[held(&[("password", "old")]), held(&[("uri", "db://old@x")])], counted()).unwrap();
        assert_eq!((all.len(), all[0].index, &all[0].keys), (1, 0, &held(&[("token", "r1")]).unwrap()));
        let whole = [held(&[("password", "old"), ("token", "t")]), held(&[("uri", "db://old@x")])];
        assert!(missing(&declared, &whole, counted()).unwrap().is_empty());
    }

    #[test]
    fn two_values_of_one_credential_are_refused_with_both_locations() {
        let declared = [secret("a", &[("password", "${p}")]), secret("b", &[("uri", "db://${p}@x")])];
        let error =
            missing(&declared, &[held(&[("password", "1")]), held(&[("uri", "db://2@x")])], counted()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("Secret a/s password") && text.contains("Secret b/s uri"), "{text}");
        // a value of another form was set by hand: it is left alone, and not taken for a credential
        let all = missing(&declared, &[None, held(&[("uri", "other://")])], counted()).unwrap();
        assert_eq!((all.len(), &all[0].keys), (1, &held(&[("password", "r1")]).unwrap()));
    }

    #[test]
    fn random_credentials_are_long_and_differ() {
        let (one, two) = (random().unwrap(), random().unwrap());
        assert!(one.len() == LENGTH && one != two && one.bytes().all(|byte| ALPHABET.contains(&byte)));
    }
}
