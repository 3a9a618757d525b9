//! What is on main at the beginning: this repository's project and workflows.

use std::path::Path;

use slipway_loop::programs::fresh_clone;
use slipway_repositories::git;

/// Code of this repository that no project has, but for the scripts that `release` packs with and publishes. Each job of a workflow would
/// check it out again.
const CODE: [&str; 8] = [
    "apps",
    "crates",
    "docs",
    "tests",
    "tools",
    ":(exclude)tools/setup/get-slipway.sh",
    ":(exclude)tools/setup/package.py",
    ":(exclude)tools/setup/packages.py",
];

/// Puts the newest commit of this repository into a folder that does not exist yet, without its history.
pub(crate) fn origin(folder: &Path) {
    fresh_clone(folder).unwrap();
    git(folder, &[&["rm", "-r", "--quiet"][..], &CODE].concat());
    let tree = git(folder, &["write-tree"]);
    let commit = git(folder, &["commit-tree", &tree, "-m", "Everything"]);
    git(folder, &["reset", "--quiet", "--hard", &commit]);
}
