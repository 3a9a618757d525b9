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
        if close(forge, leadership, &older, &superseded).await? {
            tracing::info!("closed #{}: #{} has put version {by} of {model} into service", older.number, newer.number);
        }
    }
    Ok(())
}

/// Says why in the report, and closes it. If that is cut off in between, it is open, and done again. Returns whether it is closed: not if somebody
/// has renewed it in between, whose push brings a plan in place of the reason.
async fn close(forge: &Forge, leadership: &Leadership, older: &Opened, superseded: &Superseded<'_>) -> Result<bool> {
    let document = superseded_report(superseded);
    say(forge, leadership, older, &document).await?;
    if forge.get(older.number).await?.head != older.head {
        return Ok(false);
    }
    must_lead(leadership)?;
    forge.close(older.number).await?;
    // whoever plans open pull requests may have written in between
    say(forge, leadership, older, &document).await?;
    Ok(true)
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use slipway_forge::{MergeMethod, PullRequestState};
    use slipway_git::{Repository, Update};
    use slipway_mlflow::ModelVersion;
    use slipway_names::tag;
    use slipway_proposal::Opening;

    use super::*;
    use crate::leading::leads;

    async fn promote(followed: &Followed, number: u64) -> Opened {
        let version = ModelVersion {
            name: "mnist".to_owned(),
            version: number.to_string(),
            status: "READY".to_owned(),
            tags: [(tag::DIGEST.to_owned(), format!("sha256:{}", number.to_string().repeat(64)))].into(),
            ..ModelVersion::default()
        };
        let promotion = Promotion::prepare(&followed.git, &followed.remote, "local", &version).await.unwrap();
        promotion.open(&followed.git, &followed.remote, None, Opening::default()).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_older_is_closed_unless_somebody_has_asked_for_it_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("forge.git");
        let git = Repository::init_bare(&path).unwrap();
        let models = ("overlays/local/server/models.yaml".to_owned(), Some(b"models: []\n".to_vec()));
        let main = git.commit(None, &[models].into(), "first").unwrap();
        assert!(git.update(&[Update { name: "refs/heads/main", to: &main, from: None }]).unwrap());
        let followed = Followed::open(&path.display().to_string(), "", Path::new("/nowhere")).unwrap();
        let forge = &followed.remote.forge;
        let (older, renewed, better) =
            (promote(&followed, 1).await, promote(&followed, 2).await, promote(&followed, 9).await);
        let newer = promote(&followed, 4).await;
        let merge = forge.merge(newer.number, MergeMethod::Merge, &newer.head).await.unwrap();
        let newer = forge.get(newer.number).await.unwrap();
        let again = promote(&followed, 2).await;
        assert!(again.number == renewed.number && again.head != renewed.head, "{again:?}");
        let later = promote(&followed, 3).await;

        let merged = Merged::read(&followed.git, &followed.remote, &newer, &merge).await.unwrap();
        close_superseded(&followed, &leads(), "staging", (&newer, &merged)).await.unwrap();
        assert_eq!(forge.list_open().await.unwrap().len(), 4, "another environment has other versions");
        let reason = async || forge.published(older.number).await.unwrap();
        let mut said = Vec::new();
        for _ in 0..2 {
            close_superseded(&followed, &leads(), "local", (&newer, &merged)).await.unwrap();
            assert_eq!(forge.get(older.number).await.unwrap().state, PullRequestState::Closed);
            let open: Vec<u64> = forge.list_open().await.unwrap().iter().map(|one| one.number).collect();
            assert_eq!(open, [renewed.number, better.number, later.number]);
            assert!(said.is_empty() || said == reason().await, "the second time changes nothing");
            said = reason().await;
            assert!(said[0].starts_with(&format!("### Slipway: superseded by #{}\n", newer.number)), "{said:?}");
        }
    }
}
