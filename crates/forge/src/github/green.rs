//! Whether a check of a commit is green.

use super::GitHub;
use super::check_run::Run;
use crate::Result;

impl GitHub {
    /// Whether the newest run of a check of a commit has ended well, of those that are ours: what others call by the same name does not count.
    pub(crate) async fn is_green(&self, commit: &str, check: &str) -> Result<bool> {
        let app = self.app().await?;
        Ok(self.newest_check(commit, check, app.as_deref()).await?.as_ref().is_some_and(Run::is_green))
    }
}
