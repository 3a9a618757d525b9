//! Server-side apply.

use serde::Serialize;
use serde_json::Value;

use crate::connection::Cluster;
use crate::error::{Error, Result};
use crate::fields::{namespace, title};

/// What an apply did, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It held something else.
    Changed,
    /// Nothing.
    Unchanged,
}

impl Cluster {
    /// Applies an object in the name of a field manager, over the fields that others claim; on a dry run the server only says what
    /// it would do.
    ///
    /// # Errors
    /// When the server refuses. On a dry run, what does not find its namespace or its definition counts as [`Outcome::Created`]:
    /// they would be there.
    pub(crate) async fn apply(&self, object: &Value, manager: &str, dry_run: bool) -> Result<Outcome> {
        let not_yet = |error: Error| if dry_run && error.is_not_found() { Ok(Outcome::Created) } else { Err(error) };
        let path = match self.path_of(object).await {
            Ok(path) => path,
            Err(error) => return not_yet(error),
        };
        let before = self.get(&path).await?;
        let dry = if dry_run { "&dryRun=All" } else { "" };
        let request = format!("{path}?fieldManager={manager}&force=true{dry}");
        let after = match self.patch(&request, "application/apply-patch+yaml", object).await {
            Ok(after) => after,
            // a namespace that is not there yet answers so
            Err(error) if dry_run && before.is_none() && !namespace(object).is_empty() => return not_yet(error),
            Err(Error::Refused { code, reason, message, .. }) => {
                return Err(Error::Refused { what: title(object), code, reason, message });
            }
            Err(error) => return Err(error),
        };
        Ok(match before {
            None => Outcome::Created,
            Some(before) if same(&before, &after) => Outcome::Unchanged,
            Some(_) => Outcome::Changed,
        })
    }
}

/// Whether an apply changed nothing. A dry run gives no new resource version, so the content is compared.
fn same(before: &Value, after: &Value) -> bool {
    let content = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
            metadata.remove("resourceVersion");
        }
        if let Some(object) = object.as_object_mut() {
            object.remove("status");
        }
        object
    };
    content(before) == content(after)
}
