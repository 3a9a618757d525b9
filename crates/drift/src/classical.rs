//! The statistics that people know, for two samples. Each tests once: repeated every hour at 0.05, each alone would raise an alarm on
//! one window of twenty. They stand beside the detector as a description; alarms are the detector's.

mod chi_square;
mod kolmogorov_smirnov;
mod stability_index;
mod wasserstein;

use serde::{Deserialize, Serialize};

pub use chi_square::chi_square;
pub use kolmogorov_smirnov::{PValue, kolmogorov_smirnov};
pub use stability_index::stability_index;
pub use wasserstein::wasserstein;

/// A statistic, and the probability of one at least as large if both samples are from the same distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Test {
    /// The statistic.
    pub statistic: f64,
    /// Its p-value.
    pub p_value: f64,
}

/// The survival function of the chi-square distribution.
fn chi_square_survival(statistic: f64, degrees: usize) -> f64 {
    if degrees == 0 || statistic <= 0.0 {
        return 1.0;
    }
    statrs::function::gamma::gamma_ur(degrees as f64 / 2.0, statistic / 2.0)
}
