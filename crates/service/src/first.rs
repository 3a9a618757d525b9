//! One pull request where several replicas may have opened one each.

use slipway_cluster::Leadership;
use slipway_forge::{Forge, Opened};

use crate::leading::{NotLeader, must_lead};

/// Two replicas that both took themselves for the leader may have opened the same pull request, on two commits of the default branch: the first one
/// stays, whatever became of it, and the later one is closed. Returns the one that stays. `first` is the first that is known beside `opened`.
///
/// # Errors
/// When this replica does not lead any more; when the forge refuses or cannot be reached.
pub async fn first_stays<E: From<NotLeader> + From<slipway_forge::Error>>(
    forge: &Forge,
    leadership: &Leadership,
    first: Option<Opened>,
    opened: Opened,
) -> Result<Opened, E> {
    let Some(first) = first.filter(|first| first.number < opened.number) else { return Ok(opened) };
    must_lead(leadership)?;
    forge.close(opened.number).await?;
    tracing::info!("closed #{}: #{} is for the same, and came first", opened.number, first.number);
    Ok(first)
}
