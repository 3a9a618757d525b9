//! Where pull requests are opened.

use std::path::PathBuf;

use reqwest::Url;
use slipway_causes::without_password;

use crate::{
    BareForge, CheckRun, Conclusion, Error, GitHub, Issue, MergeMethod, NewIssue, Objections, Opened, Publication,
    Published, PullRequest, Result,
};

/// Where pull requests are opened.
#[derive(Clone, Debug)]
pub enum Forge {
    /// A bare repository on this machine.
    Bare(BareForge),
    /// GitHub.
    GitHub(GitHub),
}

/// The forge behind a remote's URL: GitHub, or a path or `file://` URL of a bare repository.
///
/// # Errors
/// [`Error::UnknownForge`], [`Error::NotBare`], [`Error::NoToken`], [`Error::AppKey`].
pub fn forge_of(url: &str) -> Result<Forge> {
    if let Some(github) = GitHub::of(url)? {
        return Ok(Forge::GitHub(github));
    }
    let path = match url.starts_with("file://") {
        // with %20 and the like
        true => Url::parse(url).ok().and_then(|url| url.to_file_path().ok()),
        false => Some(PathBuf::from(url)),
    };
    match path {
        Some(path) if path.is_dir() => Ok(Forge::Bare(BareForge::open(&path)?)),
        _ => Err(Error::UnknownForge(without_password(url))),
    }
}

impl Forge {
    /// Opens a pull request. Its branch must have been pushed. If one is open for the branch already, returns that one. Labels and
    /// reviewers that are missing are added; what the forge refuses of them is a warning in the log.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn open(&self, request: &PullRequest) -> Result<Opened> {
        match self {
            Self::Bare(forge) => forge.open_pull_request(request),
            Self::GitHub(forge) => forge.open_pull_request(request).await,
        }
    }

    /// The open pull request of a branch. Returns `None` if there is none.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn open_for(&self, branch: &str) -> Result<Option<Opened>> {
        match self {
            Self::Bare(forge) => {
                Ok(forge.list()?.into_iter().find(|opened| opened.branch == branch && opened.is_open()))
            }
            Self::GitHub(forge) => forge.open_for(branch).await,
        }
    }

    /// The open pull request of a request's branch; labels and reviewers that are missing are added. Returns `None` if there is none.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn resume(&self, request: &PullRequest) -> Result<Option<Opened>> {
        match self {
            Self::Bare(forge) => match self.open_for(&request.branch).await? {
                Some(_) => forge.open_pull_request(request).map(Some),
                None => Ok(None),
            },
            Self::GitHub(forge) => forge.resume(request).await,
        }
    }

    /// The oldest open pull request that `is_it`, of the hundred newest on GitHub; labels and reviewers of the request that are missing are
    /// added. Returns `None` if there is none.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn resume_first(&self, request: &PullRequest, is_it: impl Fn(&Opened) -> bool) -> Result<Option<Opened>> {
        match self {
            Self::Bare(forge) => {
                let Some(found) = forge.list()?.into_iter().find(|opened| opened.is_open() && is_it(opened)) else {
                    return Ok(None);
                };
                forge.open_pull_request(&PullRequest { branch: found.branch, ..request.clone() }).map(Some)
            }
            Self::GitHub(forge) => forge.resume_first(request, is_it).await,
        }
    }

    /// A pull request by its number.
    ///
    /// # Errors
    /// [`Error::NoPullRequest`]; when the forge refuses or cannot be reached.
    pub async fn get(&self, number: u64) -> Result<Opened> {
        match self {
            Self::Bare(forge) => forge.get(number),
            Self::GitHub(forge) => forge.get(number).await,
        }
    }

    /// All pull requests that are open, the newest last.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn list_open(&self) -> Result<Vec<Opened>> {
        match self {
            Self::Bare(forge) => Ok(forge.list()?.into_iter().filter(Opened::is_open).collect()),
            Self::GitHub(forge) => forge.list_open().await,
        }
    }

    /// The newest pull requests in any state, a hundred of them on GitHub, the newest first. One request for several questions.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn newest(&self) -> Result<Vec<Opened>> {
        match self {
            Self::Bare(forge) => Ok(forge.list()?.into_iter().rev().collect()),
            Self::GitHub(forge) => forge.newest().await,
        }
    }

    /// All pull requests of a branch, in any state, the oldest first; without those of forks.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn of_branch(&self, branch: &str) -> Result<Vec<Opened>> {
        match self {
            Self::Bare(forge) => Ok(forge.list()?.into_iter().filter(|opened| opened.branch == branch).collect()),
            Self::GitHub(forge) => {
                Ok(forge.of_branch(branch).await?.into_iter().filter(|opened| !opened.is_fork).collect())
            }
        }
    }

    /// All pull requests that were opened at a time, in seconds since 1970, or later, the newest first; at most 5,000 on GitHub.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn opened_since(&self, time: i64) -> Result<Vec<Opened>> {
        match self {
            Self::Bare(forge) => {
                let since = |opened: &Opened| opened.opened_at.is_none_or(|at| at >= time);
                Ok(forge.list()?.into_iter().rev().filter(since).collect())
            }
            Self::GitHub(forge) => forge.opened_since(time).await,
        }
    }

    /// Whether only people with a right to it may read what is written here. A bare repository is for those who can read this machine.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn is_private(&self) -> Result<bool> {
        match self {
            Self::Bare(_) => Ok(true),
            Self::GitHub(forge) => forge.is_private().await,
        }
    }

    /// Opens an issue, unless there was one about the same, open or closed, which is returned then. Returns `None` for a bare repository, which
    /// has no issues.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn open_issue(&self, issue: &NewIssue) -> Result<Option<Issue>> {
        match self {
            Self::Bare(_) => Ok(None),
            Self::GitHub(forge) => forge.open_issue(issue).await.map(Some),
        }
    }

    /// The open pull request of a branch of somebody's repository, as an event of a workflow names it: by the owner of that repository, the
    /// branch and its newest commit. Returns `None` if there is none, or its branch has moved since. A bare repository has one owner, whose
    /// name does not matter.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn find(&self, head_owner: &str, branch: &str, commit: &str) -> Result<Option<Opened>> {
        match self {
            Self::Bare(forge) => {
                let same = |opened: &Opened| opened.is_open() && opened.branch == branch && opened.head == commit;
                Ok(forge.list()?.into_iter().find(same))
            }
            Self::GitHub(forge) => forge.find(head_owner, branch, commit).await,
        }
    }

    /// Merges a pull request if its newest commit is still `head`. Returns the new commit of its base branch; one that is merged already
    /// stays so, and its commit is returned.
    ///
    /// # Errors
    /// [`Error::HeadMoved`], [`Error::NotOpen`], [`Error::NoPullRequest`]; [`Error::NotMergeable`], [`Error::Conflict`]; when the forge
    /// refuses or cannot be reached.
    pub async fn merge(&self, number: u64, method: MergeMethod, head: &str) -> Result<String> {
        match self {
            Self::Bare(forge) => forge.merge_if(number, method, head),
            Self::GitHub(forge) => forge.merge(number, method, head).await,
        }
    }

    /// Closes a pull request without a merge. One that is closed already stays so.
    ///
    /// # Errors
    /// [`Error::NotOpen`] if it is merged; [`Error::NoPullRequest`]; when the forge refuses or cannot be reached.
    pub async fn close(&self, number: u64) -> Result<()> {
        match self {
            Self::Bare(forge) => forge.close(number),
            Self::GitHub(forge) => forge.close(number).await,
        }
    }

    /// Publishes comments and a check on a pull request, in place of those that were published before. `publication` gets the pull request
    /// and the first part that is there now; it is called again if a commit is pushed meanwhile, or somebody else publishes. What is there
    /// already is not written again. On GitHub the workflow's comment is taken over and edited in place; what anybody else wrote is never
    /// touched.
    ///
    /// # Errors
    /// Those of `publication`; [`Error::Outdated`] if it is not about the newest commit; [`Error::NoPullRequest`], [`Error::Contended`];
    /// when the forge refuses or cannot be reached. A check that may not be written is no error.
    pub async fn publish<E: From<Error>>(
        &self,
        number: u64,
        publication: impl AsyncFn(&Opened, Option<&str>) -> std::result::Result<Publication, E>,
    ) -> std::result::Result<Published, E> {
        match self {
            Self::Bare(forge) => forge.publish(number, publication).await,
            Self::GitHub(forge) => forge.publish(number, publication).await,
        }
    }

    /// The same as [`publish`](Self::publish) for a pull request that was looked up a moment ago.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_on<E: From<Error>>(
        &self,
        opened: Opened,
        publication: impl AsyncFn(&Opened, Option<&str>) -> std::result::Result<Publication, E>,
    ) -> std::result::Result<Published, E> {
        match self {
            Self::Bare(forge) => forge.publish(opened.number, publication).await,
            Self::GitHub(forge) => forge.publish_on(opened.number, Some(opened), publication).await,
        }
    }

    /// The parts of what is published on a pull request now, as Markdown; empty if nothing is.
    ///
    /// # Errors
    /// [`Error::NoPullRequest`]; when the forge refuses or cannot be reached.
    pub async fn published(&self, number: u64) -> Result<Vec<String>> {
        match self {
            Self::Bare(forge) => Ok(forge.published(number)?.map(|publication| publication.parts).unwrap_or_default()),
            Self::GitHub(forge) => forge.published(number).await,
        }
    }

    /// Whether a check of a pull request's newest commit has ended well; a check that is not there has not. On GitHub only a report of Slipway
    /// counts: what others call by the same name does not.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn is_green(&self, opened: &Opened, check: &str) -> Result<bool> {
        match self {
            Self::Bare(forge) => Ok(forge.published(opened.number)?.is_some_and(|published| {
                let is_it = |run: &CheckRun| run.name == check && run.conclusion == Conclusion::Success;
                published.head == opened.head && published.check.as_ref().is_some_and(is_it)
            })),
            Self::GitHub(forge) => forge.is_green(&opened.head, check).await,
        }
    }

    /// Whether people give reviews here: a bare repository only keeps the names of those who are asked.
    #[must_use]
    pub fn has_reviews(&self) -> bool {
        matches!(self, Self::GitHub(_))
    }

    /// A pull request by its number, with what reviews, checks and rules say against its merge, apart from the check of this name. On GitHub one
    /// request, or two if a team is asked for its review. A bare repository has none of the three.
    ///
    /// # Errors
    /// [`Error::NoPullRequest`]; when the forge refuses or cannot be reached. What it does not tell of the objections is no error.
    pub async fn overview(&self, number: u64, except: &str) -> Result<(Opened, Objections)> {
        match self {
            Self::Bare(forge) => Ok((forge.get(number)?, Objections::default())),
            Self::GitHub(forge) => forge.overview(number, except).await,
        }
    }

    /// The pull request that brought a commit of the default branch. `files` are paths with the ids of their blobs that the commit brought: a
    /// bare repository finds by them what was merged by other means. Returns `None` if the forge knows of none.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn pull_request_of(&self, commit: &str, files: &[(&str, &str)]) -> Result<Option<Opened>> {
        match self {
            Self::Bare(forge) => forge.pull_request_of(commit, files),
            Self::GitHub(forge) => forge.pull_request_of(commit).await,
        }
    }

    /// The branch that pull requests are merged into: in a bare repository the one that HEAD names.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn default_branch(&self) -> Result<String> {
        match self {
            Self::Bare(forge) => forge.default_branch(),
            Self::GitHub(forge) => forge.default_branch().await,
        }
    }

    /// The forge for a person to read, such as `GitHub octo/cat`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Bare(forge) => format!("the bare repository {}", forge.path().display()),
            Self::GitHub(forge) => format!("GitHub {}", forge.name()),
        }
    }
}
