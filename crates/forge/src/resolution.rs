//! What a person does about files that a pull request and its base branch both changed, as commands.

use crate::{BareForge, Forge, Opened};

/// The most characters of a name in a command.
const LENGTH: usize = 200;

impl Forge {
    /// The commands that merge a pull request's base branch into its branch, where a person decides what the files should be. They stand in texts
    /// for a terminal and in Markdown alike: a name that a shell would not take as it is has a placeholder.
    #[must_use]
    pub fn resolution(&self, opened: &Opened) -> String {
        if opened.is_fork {
            return in_fork(&opened.base);
        }
        let remote = match self {
            Self::Bare(forge) => forge.address(),
            Self::GitHub(_) => "origin".to_owned(),
        };
        by_merging(&remote, opened.number, &opened.base, &opened.branch)
    }
}

impl BareForge {
    /// How it is named in a command, the same whoever names it.
    pub(crate) fn address(&self) -> String {
        self.path().canonicalize().unwrap_or_else(|_| self.path().to_owned()).display().to_string()
    }
}

/// See [`Forge::resolution`].
fn by_merging(remote: &str, number: u64, base: &str, branch: &str) -> String {
    let (remote, base, branch) = (plain(remote, "<remote>"), plain(base, "<base>"), plain(branch, "<branch>"));
    format!(
        "merge `{base}` into its branch: `git fetch {remote} {branch}`, `git switch --detach FETCH_HEAD`, \
         `git pull --no-rebase -X find-renames=100% {remote} {base}`; decide in the files, then \
         `git add --all`, `git commit`, `git push {remote} HEAD:{branch}` and `slipway render --pull-request {number}`"
    )
}

/// The same for the author of a fork, to which nobody here may push.
fn in_fork(base: &str) -> String {
    let base = plain(base, "<base>");
    format!(
        "its author merges `{base}` of this repository into it in the fork, decides in the files, and commits and pushes what `slipway render` \
         writes there"
    )
}

/// The same where nobody has looked yet whether all of the files are rendered: those need no decision.
pub(crate) fn of_any_files(remote: &str, opened: &Opened) -> String {
    let Opened { number, base, branch, is_fork, .. } = opened;
    if *is_fork {
        return in_fork(base);
    }
    let merging = by_merging(remote, *number, base, branch);
    format!("if they are all rendered, `slipway render --pull-request {number}` resolves it; otherwise {merging}")
}

/// A name that a shell takes as it is, and whose code ends where it should in Markdown.
fn plain<'a>(name: &'a str, otherwise: &'a str) -> &'a str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./+@:".contains(&byte);
    let fits = !name.is_empty() && name.len() <= LENGTH && !name.starts_with('-') && name.bytes().all(is_plain);
    if fits { name } else { otherwise }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_shell_would_not_take_as_it_is_has_a_placeholder() {
        let commands = by_merging("origin", 7, "main", "slipway/train-digits-0123abcd-89abcdef");
        assert!(commands.contains("`git push origin HEAD:slipway/train-digits-0123abcd-89abcdef`"), "{commands}");
        for name in ["a;reboot", "$(reboot)", "a`b", "a'b", "--upload-pack=x", "a b", "", &"x".repeat(300)] {
            let commands = by_merging("/srv/my forge.git", 7, "main", name);
            assert!(commands.contains("`git push <remote> HEAD:<branch>`"), "{commands}");
            assert!(name.is_empty() || name.len() == 3 || !commands.contains(name), "{commands}");
        }
    }
}
