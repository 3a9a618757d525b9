//! What is probably not meant, but is not a mistake.

use slipway_source::Finding;

use crate::context::Context;

/// Prints a warning for each finding, with what to do.
pub(crate) fn warn(context: &Context, warnings: &[Finding]) {
    for finding in warnings {
        context.warn(format!("warning: {finding} [{}]", finding.code));
        for line in finding.help.iter().flat_map(|help| help.lines()) {
            context.warn(format!("    {line}"));
        }
    }
}
