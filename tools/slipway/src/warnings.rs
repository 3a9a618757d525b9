//! What is probably not meant, but is not a mistake.

use slipway_source::Finding;

use crate::context::Context;
use crate::finding_text::finding_text;

/// Prints a warning for each finding, with what to do.
pub(crate) fn warn(context: &Context, warnings: &[Finding]) {
    for finding in warnings {
        context.warn(format!("warning: {}", finding_text(finding)));
    }
}
