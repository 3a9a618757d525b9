//! Whose comments are ours: those of whoever writes, and those of the workflow `report`, which the App of a cluster and people who may write
//! to the repository go on with.

use super::pull::{Account, same};
use super::{Credentials, GitHub};
use crate::Result;

/// As whom GitHub's runners write.
pub(crate) const RUNNER: &str = "github-actions";

impl GitHub {
    /// The login of whoever writes with these credentials. It is asked for once.
    pub(crate) async fn author(&self) -> Result<String> {
        match &self.credentials {
            // GitHub says that nobody has a login
            Credentials::Token(_) | Credentials::Anonymous => {
                let login = || async { Ok(self.read::<Account>("/user").await?.login) };
                self.login.get_or_try_init(login).await.cloned()
            }
            _ => Ok(bot(&self.app().await?.unwrap_or_default())),
        }
    }

    /// The name of the app as which checks are written. Returns `None` for a person, who may not write any.
    pub(crate) async fn app(&self) -> Result<Option<String>> {
        match &self.credentials {
            Credentials::Token(_) | Credentials::Anonymous => Ok(None),
            Credentials::Runner(_) => Ok(Some(RUNNER.to_owned())),
            Credentials::App { .. } => {
                let name = self.connection().await?.app.clone();
                name.map(Some).ok_or_else(|| self.unreadable("the app's installation has no app_slug"))
            }
        }
    }
}

/// Whether it is the login of the workflows' comments.
pub(crate) fn is_runner(login: &str) -> bool {
    same(login, &bot(RUNNER))
}

/// The login of an app's comments.
fn bot(app: &str) -> String {
    format!("{app}[bot]")
}
