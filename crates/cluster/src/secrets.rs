//! Credentials that bootstrap makes once: which Secrets and keys are missing, and what goes into them.
//!
//! What is there is never written over. A credential that any Secret holds already is used for the others as well.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::apply::Outcome;
use crate::connection::Cluster;
use crate::error::{Error, Result};
use crate::template::Template;

/// How long a random credential is; each character one of 62, so 238 bits.
const LENGTH: usize = 40;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A Secret as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Labels for one that is made.
    pub labels: BTreeMap<String, String>,
    /// Its keys.
    pub data: BTreeMap<String, Template>,
}

impl Credential {
    /// `Secret minio/minio-root`
    pub(crate) fn title(&self) -> String {
        format!("Secret {}/{}", self.namespace, self.name)
    }
}

/// What a Secret holds, by key.
type Held = BTreeMap<String, String>;

/// What has to be written: the keys that are missing.
#[derive(Debug, PartialEq, Eq)]
struct Missing<'a> {
    secret: &'a Credential,
    /// Whether the Secret itself is missing.
    whole: bool,
    keys: Held,
}

/// What is missing, filled in. `held` has a declared Secret's content at its place, `None` where it is not there.
fn missing<'a>(
    declared: &'a [Credential],
    held: &[Option<Held>],
    mut random: impl FnMut() -> Result<String>,
) -> Result<Vec<Missing<'a>>> {
    let mut credentials: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (secret, held) in declared.iter().zip(held) {
        for (key, template) in &secret.data {
            let found = held.as_ref().and_then(|held| held.get(key)).and_then(|value| template.read(value));
            for (name, value) in found.unwrap_or_default() {
                let place = format!("{} {key}", secret.title());
                match credentials.get(&name) {
                    Some((other, one)) if *other != value => {
                        return Err(Error::Disagreement { name, one: one.clone(), other: place });
                    }
                    Some(_) => {}
                    None => {
                        credentials.insert(name, (value, place));
                    }
                }
            }
        }
    }
    let mut values: BTreeMap<String, String> =
        credentials.into_iter().map(|(name, (value, _))| (name, value)).collect();
    let mut all = Vec::new();
    for (secret, held) in declared.iter().zip(held) {
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
            all.push(Missing { secret, whole: held.is_none(), keys });
        }
    }
    Ok(all)
}

/// Makes what is missing; says what became of each declared Secret. On a dry run nothing is written.
pub(crate) async fn ensure(
    cluster: &Cluster,
    declared: &[Credential],
    dry_run: bool,
) -> Result<Vec<(String, Outcome)>> {
    let mut held = Vec::with_capacity(declared.len());
    for secret in declared {
        held.push(cluster.get(&path(secret)).await?.map(|found| (read(&found), found)));
    }
    let contents: Vec<Option<Held>> = held.iter().map(|one| one.as_ref().map(|(held, _)| held.clone())).collect();
    let missing = missing(declared, &contents, random)?;
    let mut outcomes: Vec<(String, Outcome)> =
        declared.iter().map(|secret| (secret.title(), Outcome::Unchanged)).collect();
    for one in missing {
        let at = declared.iter().position(|secret| std::ptr::eq(secret, one.secret)).unwrap_or_default();
        if let Some(outcome) = outcomes.get_mut(at) {
            outcome.1 = if one.whole { Outcome::Created } else { Outcome::Changed };
        }
        if !dry_run {
            let version =
                held.get(at).and_then(Option::as_ref).and_then(|(_, found)| found.pointer("/metadata/resourceVersion"));
            write(cluster, &one, version).await?;
        }
    }
    Ok(outcomes)
}

/// Somebody who writes at the same time makes this fail, never lose what they wrote.
async fn write(cluster: &Cluster, missing: &Missing<'_>, version: Option<&Value>) -> Result<()> {
    let secret = missing.secret;
    let done = if missing.whole {
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": secret.name, "namespace": secret.namespace, "labels": secret.labels },
            "stringData": missing.keys,
        });
        cluster.post(&format!("/api/v1/namespaces/{}/secrets?fieldManager=slipway", secret.namespace), &object).await
    } else {
        let change = json!({ "metadata": { "resourceVersion": version }, "stringData": missing.keys });
        let path = format!("{}?fieldManager=slipway", path(secret));
        cluster.patch(&path, "application/merge-patch+json", &change).await
    };
    done.map(drop).map_err(|error| {
        if error.is_conflict() {
            Error::Malformed {
                what: secret.title(),
                message: "somebody else wrote it just now; run this again".to_owned(),
            }
        } else {
            error
        }
    })
}

fn path(secret: &Credential) -> String {
    format!("/api/v1/namespaces/{}/secrets/{}", secret.namespace, secret.name)
}

/// A Secret's content; what is not text is kept as a key, with no value that a template could match.
fn read(secret: &Value) -> Held {
    let data = secret.get("data").and_then(Value::as_object);
    let entries = data.into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), value.as_str().and_then(decode).unwrap_or_default())).collect()
}

/// Base64 as Kubernetes writes it.
fn decode(text: &str) -> Option<String> {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(json!(text)).ok()?;
    String::from_utf8(bytes.0).ok()
}

/// Forty letters and digits, each as likely as any other.
fn random() -> Result<String> {
    let mut text = String::with_capacity(LENGTH);
    while text.len() < LENGTH {
        let mut bytes = [0_u8; LENGTH];
        getrandom::fill(&mut bytes).map_err(|error| Error::Random(error.to_string()))?;
        // 248 is the largest multiple of 62 in a byte: what lies above would favour the first letters
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
        assert!(all.iter().all(|one| one.whole));
    }

    #[test]
    fn what_is_there_is_kept_and_used_for_the_rest() {
        let declared =
            [secret("a", &[("password", "${p}"), ("token", "${t}")]), secret("b", &[("uri", "db://${p}@x")])];
        let all = missing(&declared, &[None, held(&[("uri", "db://old@x"), ("more", "y")])], counted()).unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].keys, held(&[("password", "old"), ("token", "r1")]).unwrap());
        let all =
            missing(&declared, &[held(&[("password", "old")]), held(&[("uri", "db://old@x")])], counted()).unwrap();
        assert_eq!((all.len(), all[0].whole, &all[0].keys), (1, false, &held(&[("token", "r1")]).unwrap()));
        let whole = [held(&[("password", "old"), ("token", "t")]), held(&[("uri", "db://old@x")])];
        assert!(missing(&declared, &whole, counted()).unwrap().is_empty());
    }

    #[test]
    fn two_values_of_one_credential_are_refused_with_both_places() {
        let declared = [secret("a", &[("password", "${p}")]), secret("b", &[("uri", "db://${p}@x")])];
        let error =
            missing(&declared, &[held(&[("password", "1")]), held(&[("uri", "db://2@x")])], counted()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("Secret a/s password") && text.contains("Secret b/s uri"), "{text}");
        // what was changed by hand altogether is left alone, and not taken for a credential
        let all = missing(&declared, &[None, held(&[("uri", "other://")])], counted()).unwrap();
        assert_eq!((all.len(), &all[0].keys), (1, &held(&[("password", "r1")]).unwrap()));
    }

    #[test]
    fn random_credentials_are_long_and_differ() {
        let (one, two) = (random().unwrap(), random().unwrap());
        assert!(one.len() == LENGTH && one != two && one.bytes().all(|byte| ALPHABET.contains(&byte)));
    }
}
