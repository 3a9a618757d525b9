//! Promotions that a newer one has overtaken: they are closed, with the reason.

use slipway_cluster::Leadership;
use slipway_forge::{Forge, Opened, Publication};
use slipway_outcome::Merged;
use slipway_proposal::Promotion;
use slipway_report::{Document, Superseded, compose, superseded_report};
use slipway_service::{Followed, must_lead};

use crate::error::Result;

/// Closes the open promotions of older versions that were opened before this pull request has put newer ones into service. Whatever is closed stays
/// so: a person promotes the older version again, which opens another one. One that was renewed since is such a wish, and stays open.
pub(crate) async fn close_superseded(
    followed: &Followed,
    leadership: &Leadership,
    environment: &str,
    (newer, merged): (&Opened, &Merged),
) -> Result<()> {
    let here = merged.in_service.iter().filter(|one| one.environment == environment);
    let brought: Vec<(&str, u64)> = here.filter_map(|one| Some((one.model.as_str(), one.after?))).collect();
    if brought.is_empty() {
        return Ok(());
    }
    let forge = &followed.remote.forge;
    let open = forge.list_open().await?;
    for older in open.into_iter().filter(|older| older.number < newer.number && older.base == newer.base) {
        let found = brought.iter().find_map(|(model, by)| {
            let version = Promotion::version_of(&older, model, environment).filter(|version| version < by)?;
            Some((*model, version, *by))
        });
        let Some((model, version, by)) = found else { continue };
        followed.fetch_reference(&format!("refs/pull/{}/head", older.number)).await?;
        if followed.git.contains(&older.head, &merged.commit)? {
            continue;
        }
        let promotion = slipway_report::Promotion { number: newer.number, url: Some(newer.url.clone()) };
        let superseded = Superseded { model, environment, version, by, promotion };
        close(forge, leadership, &older, &superseded).await?;
        tracing::info!("closed #{}: #{} has put version {by} of {model} into service", older.number, newer.number);
    }
    Ok(())
}

/// Says why in the report, and closes it. If that is cut off in between, it is open, and done again.
async fn close(forge: &Forge, leadership: &Leadership, older: &Opened, superseded: &Superseded<'_>) -> Result<()> {
    let document = superseded_report(superseded);
    say(forge, leadership, older, &document).await?;
    must_lead(leadership)?;
    forge.close(older.number).await?;
    // whoever plans open pull requests may have written in between
    say(forge, leadership, older, &document).await
}

/// Writes the report, unless it is there already.
async fn say(forge: &Forge, leadership: &Leadership, older: &Opened, document: &Document) -> Result<()> {
    let reason = async |opened: &Opened, previous: Option<&str>| -> Result<Publication> {
        must_lead(leadership)?;
        Ok(compose(document, &opened.head, previous))
    };
    forge.publish(older.number, reason).await?;
    Ok(())
}
