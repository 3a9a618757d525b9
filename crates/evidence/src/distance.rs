//! How far the features of pictures are from those of the pictures that the version was trained on.

use slipway_drift::Distance;

use crate::material::computed;
use crate::{Classify, Pictures, Result};

/// Learns the distance from pictures that the version was trained on, of which the reference has none. `None` if the version gives no features, or more than
/// there are pictures, or some from which no distance can be learned, such as one that is not finite: the other evidence does not need it.
pub(crate) async fn distance(
    model: &(impl Classify + Sync),
    trained: &Pictures,
    classes: usize,
) -> Result<Option<Distance>> {
    let Some(features) = model.features(trained).await? else { return Ok(None) };
    let labelled = features.into_iter().zip(&trained.labels);
    let (features, labels): (Vec<Vec<f32>>, Vec<usize>) =
        labelled.filter_map(|(features, label)| Some((features, usize::from((*label)?)))).unzip();
    if features.len() <= features.first().map_or(0, Vec::len) {
        return Ok(None);
    }
    // a second or two for the most features that there may be
    Ok(computed(move || Distance::fit(&features, &labels, classes)).await?.ok())
}
