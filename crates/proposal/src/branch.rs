//! The names of the branches of proposals: `slipway/<name>-<base>-<change>`, with the first eight digits of the commit that it is based on and
//! of the digest of what it changes.
//!
//! By the base two proposals that were made at different times have two branches, so one that was merged or closed is in nobody's way. By the
//! change the same proposal is found again after main has moved.

use std::fmt::Write as _;

use slipway_digest::Digest;
use slipway_git::Repository;

use crate::Result;

/// What all names begin with.
const PREFIX: &str = "slipway/";
/// The digits of each id in a name.
const DIGITS: usize = 8;

/// What a commit changes on top of a base: eight hex digits that do not depend on what else the base has.
pub(crate) fn change(git: &Repository, base: &str, head: &str) -> Result<String> {
    let (mut after, mut before) = (git.differences(base, head)?, git.differences(head, base)?);
    let mut text = String::new();
    for (path, there) in &mut after {
        for entry in [before.remove(path).flatten(), there.take()] {
            let entry = entry.map_or_else(|| "nothing".to_owned(), |entry| format!("{:o} {}", entry.mode, entry.id));
            let _ = writeln!(text, "{path}\0{entry}");
        }
    }
    Ok(Digest::of(text).hex()[..DIGITS].to_owned())
}

/// The name of a branch.
pub(crate) fn branch(name: &str, base: &str, change: &str) -> String {
    format!("{PREFIX}{name}-{}-{change}", &base[..DIGITS.min(base.len())])
}

/// Whether the name of a branch says that it is based on a commit.
pub(crate) fn is_named_after(branch: &str, base: &str) -> bool {
    branch.contains(&format!("-{}-", &base[..DIGITS.min(base.len())]))
}

/// The change in the name of a branch that is named after this: its name has two ids, and a number if somebody added commits to an earlier one.
/// Another name may begin with this one.
pub(crate) fn change_in<'b>(branch: &'b str, name: &str) -> Option<&'b str> {
    let is_id = |part: &&str| part.len() == DIGITS && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut parts = branch.strip_prefix(PREFIX)?.strip_prefix(name)?.strip_prefix('-')?.split('-');
    parts.next().filter(is_id)?;
    let change = parts.next().filter(is_id)?;
    let number = parts.next().is_none_or(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    (number && parts.next().is_none()).then_some(change)
}

#[cfg(test)]
mod tests {
    use slipway_repositories::{Repositories, git};

    use super::*;

    #[test]
    fn a_branch_is_one_of_its_name_alone() {
        for branch in ["slipway/history-local-0123abcd-89abcdef", "slipway/history-local-0123abcd-89abcdef-2"] {
            assert_eq!(change_in(branch, "history-local"), Some("89abcdef"), "{branch}");
            for other in ["history-loc", "history-local-0123abcd", "local"] {
                assert_eq!(change_in(branch, other), None, "{branch}");
            }
        }
        for branch in [
            "slipway/history-local-2-0123abcd-89abcdef",
            "slipway/history-local-0123abcd",
            "history-local-0123abcd-89abcdef",
            "slipway/history-local-0123abcd-89abcdef-x",
        ] {
            assert_eq!(change_in(branch, "history-local"), None, "{branch}");
        }
        assert!(change_in("slipway/history-local-2-0123abcd-89abcdef", "history-local-2").is_some());
        let zeros = "0".repeat(40);
        assert_eq!(change_in(&branch("a", &zeros, "89abcdef"), "a"), Some("89abcdef"));
        assert!(is_named_after(&branch("a", &zeros, "89abcdef"), &zeros));
        assert!(!is_named_after(&branch("a", &zeros, "89abcdef"), &"1".repeat(40)));
    }

    #[test]
    fn a_change_is_the_same_on_another_base_and_another_one_with_other_files() {
        let local = Repositories::new();
        let repository = Repository::open(&local.work).unwrap();
        let commit = |on: &str, path: &str, text: Option<&str>| {
            let files = [(path.to_owned(), text.map(|text| text.as_bytes().to_vec()))];
            repository.commit(Some(on), &files.into(), "change").unwrap()
        };
        let first = git(&local.work, &["rev-parse", "HEAD"]);
        let moved = commit(&first, "other.txt", Some("other"));
        let of = |base: &str, text| change(&repository, base, &commit(base, "x.txt", text)).unwrap();
        assert_eq!(of(&first, Some("1")), of(&moved, Some("1")));
        assert_ne!(of(&first, Some("1")), of(&first, Some("2")));
        // the same file in place of another one is another change
        let there = commit(&first, "x.txt", Some("0"));
        assert_ne!(of(&first, Some("1")), of(&there, Some("1")));
        assert_ne!(of(&there, None), of(&there, Some("1")));
    }
}
