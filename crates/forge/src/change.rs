//! The pull request of a change, on a branch that holds the change and nothing else.

use crate::{Error, Forge, Opened, PullRequest};

/// The most branches of one change: others than the first hold commits that somebody added to it.
const BRANCHES: usize = 20;

/// A change that a branch of the forge's repository is to hold.
pub trait Change {
    /// Why a branch can be neither read nor written.
    type Error: From<Error>;

    /// Whether a branch holds the change and nothing else. Returns `None` if there is no such branch.
    ///
    /// # Errors
    /// When the repository cannot be reached.
    fn is_on(&self, branch: &str) -> impl Future<Output = Result<Option<bool>, Self::Error>> + Send;

    /// Puts the change on a branch that does not exist. Returns whether it is there: not if somebody else has made a branch of that name in between,
    /// with other commits.
    ///
    /// # Errors
    /// When the repository refuses or cannot be reached.
    fn put_on(&self, branch: &str) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}

impl Forge {
    /// Puts a change on the branch of the request, and opens its pull request. If one that `is_same` is open already, returns that one. Returns `None`
    /// if there are too many branches of that name.
    ///
    /// The branch may be there without a pull request, because none could be opened or it was closed. If it holds the same change, it is
    /// taken as it is, whoever made it and when. If somebody added commits to it, it is left alone, and a number is added to the name of the
    /// new one.
    ///
    /// # Errors
    /// Those of the change; when the forge refuses or cannot be reached.
    pub async fn open_change<C: Change>(
        &self,
        change: &C,
        request: PullRequest,
        is_same: impl Fn(&Opened) -> bool,
    ) -> Result<Option<Opened>, C::Error> {
        if let Some(opened) = self.resume_first(&request, is_same).await? {
            return Ok(Some(opened));
        }
        self.open_new_change(change, request).await
    }

    /// The same for a change of which no pull request is open, as far as the caller has looked.
    ///
    /// # Errors
    /// As [`open_change`](Self::open_change).
    pub async fn open_new_change<C: Change>(
        &self,
        change: &C,
        mut request: PullRequest,
    ) -> Result<Option<Opened>, C::Error> {
        let first = request.branch.clone();
        for number in 1..=BRANCHES {
            if number > 1 {
                request.branch = format!("{first}-{number}");
            }
            if put(change, &request.branch).await? {
                return Ok(Some(self.open(&request).await?));
            }
            // more are open than were looked at
            if let Some(opened) = self.resume(&request).await? {
                return Ok(Some(opened));
            }
        }
        Ok(None)
    }
}

/// Puts a change on a branch, unless there is one of that name. Returns whether the branch holds the change, and nothing else, now.
async fn put<C: Change>(change: &C, branch: &str) -> Result<bool, C::Error> {
    if let Some(holds_it) = change.is_on(branch).await? {
        return Ok(holds_it);
    }
    let put = change.put_on(branch).await;
    if let Ok(true) = put {
        return put;
    }
    // somebody else made it in between, perhaps of the same change: git says that in many ways
    match change.is_on(branch).await? {
        Some(holds_it) => Ok(holds_it),
        None => put,
    }
}
