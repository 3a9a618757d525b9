//! What a repository has already, for a remote that sends the rest.

use git2::Oid;

use crate::{Repository, Result};

/// The most references that a remote is told of.
const REFERENCES: usize = 128;
/// The most branches of which earlier commits are told too.
const BRANCHES: usize = 8;
/// How far back: each step is twice as long as the one before it.
const STEPS: u32 = 12;

/// Commits that are here with everything that they refer to. A remote that lost one, since its branch was forced to move, knows an earlier
/// one.
///
/// # Errors
/// When the repository cannot be read.
pub(crate) fn haves(repository: &Repository) -> Result<Vec<Oid>> {
    let handle = repository.handle()?;
    let mut references = repository.references("refs/")?;
    // branches first, then the newest pull requests
    references.sort_by_key(|(name, _)| (!name.starts_with("refs/heads/"), std::cmp::Reverse(number(name))));
    let mut haves = Vec::new();
    for (name, id) in references.iter().take(REFERENCES) {
        let Some(mut commit) = id.parse().ok().and_then(|id| handle.find_commit(id).ok()) else { continue };
        haves.push(commit.id());
        if !name.starts_with("refs/heads/") || haves.len() > BRANCHES * STEPS as usize {
            continue;
        }
        'branch: for step in 0..STEPS {
            for _ in 0..2_u32.pow(step) {
                match commit.parent(0) {
                    Ok(parent) => commit = parent,
                    Err(_) => break 'branch,
                }
            }
            haves.push(commit.id());
        }
    }
    haves.sort_unstable();
    haves.dedup();
    Ok(haves)
}

/// The number of a pull request in the name of its reference.
fn number(name: &str) -> u64 {
    name.split('/').rev().find_map(|part| part.parse().ok()).unwrap_or_default()
}
