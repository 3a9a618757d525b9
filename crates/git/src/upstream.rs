//! A folder of somebody else's repository.

use std::path::Path;

use slipway_causes::without_password;

use crate::program::{LIMIT, Run};
use crate::{Error, Result};

/// Checks out a revision of another repository into an empty folder: a branch, a tag or a whole commit hash, of which only the files below
/// `top` are fetched. What the caller's environment says of a repository, as in a hook, is not followed.
///
/// # Errors
/// [`Error::Git`] and [`Error::TimedOut`] when the repository or the revision cannot be had.
pub fn check_out(url: &str, revision: &str, top: &str, folder: &Path) -> Result<()> {
    let failed = || Error::of("making", folder);
    let made = git2::Repository::init_opts(folder, git2::RepositoryInitOptions::new().external_template(false));
    made.and_then(|repository| repository.remote("origin", url).map(drop)).map_err(failed())?;
    let shown = without_password(url);
    let git = |arguments: &[&str], command: &str| Run::new(folder, arguments, LIMIT).output(command).map(drop);
    let options = ["--quiet", "--depth=1", "--filter=blob:none", "--no-tags", "--end-of-options"];
    git(&[&["fetch"][..], &options, &["origin", revision]].concat(), &format!("fetch {shown} {revision}"))?;
    git(&["sparse-checkout", "set", top], &format!("sparse-checkout set {top}"))?;
    git(
        &["-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", "FETCH_HEAD"],
        &format!("checkout {revision}"),
    )
}
