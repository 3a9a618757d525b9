//! Something that was examined, in the terminal.

use crate::context::Context;

/// A line for a thing that was looked at, and one for what to do.
pub(crate) fn show(context: &Context, what: &str, ok: bool, found: &str, how: Option<&str>) {
    let mark = if ok { context.paint("32", "✓") } else { context.paint("31", "✗") };
    context.say(format!("{mark} {what:<34} {found}"));
    if let Some(how) = how {
        context.say(format!("    {how}"));
    }
}
