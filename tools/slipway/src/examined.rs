//! The result of an examination, in the terminal.

use crate::context::Context;

/// How something was found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Missing, but everything else works without it.
    Optional,
}

/// Prints a line for what was examined, and one for what to do about it.
pub(crate) fn show(context: &Context, mark: Mark, what: &str, found: &str, how: Option<&str>) {
    let mark = match mark {
        Mark::Good => context.paint("32", "✓"),
        Mark::Bad => context.paint("31", "✗"),
        Mark::Optional => context.paint("33", "–"),
    };
    context.say(format!("{mark} {what:<34} {found}"));
    if let Some(how) = how {
        context.say(format!("    {how}"));
    }
}
