//! What is published on a pull request of a bare repository: a blob that a reference names.

use std::time::Duration;

use slipway_git::Update;
use tokio::time::Instant;

use super::{ATTEMPTS, BareForge};
use crate::{CheckOutcome, Error, Opened, Publication, Published, Result};

const REPORTS: &str = "refs/slipway/report/";
const PAUSE: Duration = Duration::from_millis(5);

impl BareForge {
    /// What is published on a pull request now. Returns `None` if nothing is.
    ///
    /// # Errors
    /// [`Error::Malformed`]; when the repository cannot be read.
    pub fn published(&self, number: u64) -> Result<Option<Publication>> {
        Ok(self.report(number)?.map(|(publication, _)| publication))
    }

    /// The publication with its blob's id.
    fn report(&self, number: u64) -> Result<Option<(Publication, String)>> {
        let Some(blob) = self.repository.reference(&report_ref(number))? else { return Ok(None) };
        let text = self.repository.blobs(&[&blob])?.concat();
        let malformed = |error: serde_json::Error| Error::Malformed { number, reason: error.to_string() };
        Ok(Some((serde_json::from_slice(&text).map_err(malformed)?, blob)))
    }

    /// Publishes comments and a check on a pull request in place of those that are there, as [`Forge::publish`](crate::Forge::publish).
    pub(crate) async fn publish<E: From<Error>>(
        &self,
        number: u64,
        publication: impl AsyncFn(&Opened, Option<&str>) -> std::result::Result<Publication, E>,
    ) -> std::result::Result<Published, E> {
        for attempt in 0..ATTEMPTS {
            tokio::time::sleep(PAUSE * attempt).await;
            let opened = self.get(number)?;
            let before = self.report(number)?;
            let first = before.as_ref().and_then(|(before, _)| before.parts.first());
            let publication = publication(&opened, first.map(String::as_str)).await?;
            let newest = self.get(number)?.head;
            if newest != publication.head {
                // it may have been pushed while the publication was made
                if newest != opened.head {
                    continue;
                }
                return Err(Error::Outdated { number, about: publication.head, head: newest }.into());
            }
            if self.replace(number, before.as_ref(), &publication)? {
                let written = before.as_ref().is_none_or(|(before, _)| before.check != publication.check);
                let check = match &publication.check {
                    None => CheckOutcome::NotAsked,
                    Some(_) if written => CheckOutcome::Written,
                    Some(_) => CheckOutcome::Unchanged,
                };
                let changed = before.is_none_or(|(before, _)| before != publication);
                let url = (!publication.parts.is_empty())
                    .then(|| format!("{} ({})", self.path().display(), report_ref(number)));
                let written = changed.then(Instant::now);
                return Ok(Published { pull_request: opened, changed, written, check, url });
            }
        }
        Err(Error::Busy { what: format!("report on pull request #{number}") }.into())
    }

    /// Returns whether the publication is there now: not if another process replaced it meanwhile.
    fn replace(&self, number: u64, before: Option<&(Publication, String)>, after: &Publication) -> Result<bool> {
        if before.is_some_and(|(before, _)| before == after) {
            return Ok(true);
        }
        let text = serde_json::to_vec_pretty(after).expect("strings and numbers can always be written as JSON");
        let blob = self.repository.write_blob(&text)?;
        let from = before.map(|(_, blob)| blob.as_str());
        Ok(self.repository.update(&[Update { name: &report_ref(number), to: &blob, from }])?)
    }
}

fn report_ref(number: u64) -> String {
    format!("{REPORTS}{number}")
}
