//! The repository that pull requests go to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use slipway_forge::{Change, Forge, GitHub, NewCommit, NewFile, Opened, PullRequest, forge_of};
use slipway_git::{HttpRemote, Repository};

use crate::{Error, Result};

/// The mode of a submodule in git.
const SUBMODULE: u32 = 0o160_000;

/// A remote, with the forge that its pull requests are opened on.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The remote's name in git, its URL, or the path of a repository on this machine.
    pub name: String,
    /// Where its pull requests are opened.
    pub forge: Forge,
    way: Way,
}

/// How branches are fetched and get there.
#[derive(Clone, Debug)]
enum Way {
    /// By the user's own git.
    Program,
    /// Without a git: fetched over HTTP into a bare repository, and published by GitHub's API.
    Api(Box<HttpRemote>, Box<GitHub>),
}

impl Remote {
    /// A remote of a repository by its name, its URL or its path. A relative path in git's configuration begins at the top of the work tree,
    /// as it does for git; a relative path that a person gives begins at `here`.
    ///
    /// # Errors
    /// [`Error::NoRemote`]; when its forge is not supported.
    pub fn named(git: &Repository, name: &str, here: &Path) -> Result<Self> {
        if let Some(url) = git.remote_url(name)? {
            let url = if is_path(&url) { git.root().join(&url).display().to_string() } else { url };
            return Ok(Self { forge: forge_of(&url)?, name: name.to_owned(), way: Way::Program });
        }
        if !is_path(name) {
            return Ok(Self { forge: forge_of(name)?, name: name.to_owned(), way: Way::Program });
        }
        let path = here.join(name);
        if path.is_dir() {
            return Self::at(&path);
        }
        Err(Error::NoRemote { name: name.to_owned(), path, known: git.remotes()? })
    }

    /// A bare repository on this machine.
    ///
    /// # Errors
    /// When it is not a bare repository.
    pub fn at(path: &Path) -> Result<Self> {
        // git is run in another folder; one that is not there is refused below
        let path = path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
        let name = path.display().to_string();
        Ok(Self { forge: forge_of(&name)?, name, way: Way::Program })
    }

    /// Whether it is the bare repository at this path.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        matches!(&self.forge, Forge::Bare(bare) if canonical(bare.path()) == canonical(path))
    }

    /// The remote of a program in a cluster, which has no git: a repository on GitHub by its URL, with the credentials of this environment;
    /// without any, it can be read if everybody may. A bare repository on this machine is one as [`at`](Self::at) gives it.
    ///
    /// # Errors
    /// When its forge is not supported, or it is not an HTTPS URL.
    pub fn without_git(address: &str) -> Result<Self> {
        if let Some(github) = GitHub::readable(address)? {
            return Self::by_api(address, github);
        }
        match forge_of(address)? {
            Forge::GitHub(github) => Self::by_api(address, github),
            Forge::Bare(forge) => Self::at(forge.path()),
        }
    }

    /// A repository on GitHub by its URL, and the same repository by its API: fetched over HTTP, published by the API.
    ///
    /// # Errors
    /// [`slipway_git::Error::Address`] if it is not an HTTPS URL.
    pub fn by_api(url: &str, github: GitHub) -> Result<Self> {
        let mut http = HttpRemote::new(url)?;
        if !github.is_anonymous() {
            let signs = github.clone();
            http = http.with_token(move || {
                let github = signs.clone();
                async move { github.token().await.map_err(|error| error.to_string()) }
            });
        }
        Ok(Self {
            name: http.url(),
            forge: Forge::GitHub(github.clone()),
            way: Way::Api(Box::new(http), Box::new(github)),
        })
    }

    /// The same remote, but what is published and opened is that of the person whose token it is. It is fetched from as before.
    ///
    /// # Errors
    /// [`Error::NoPersons`] where commits are made by the user's own git; [`slipway_forge::Error::NotAToken`].
    pub fn acting_as(&self, token: &str) -> Result<Self> {
        let Way::Api(http, github) = &self.way else { return Err(Error::NoPersons(self.forge.describe())) };
        let person = github.acting_as(token)?;
        let forge = Forge::GitHub(person.clone());
        Ok(Self { name: self.name.clone(), forge, way: Way::Api(http.clone(), Box::new(person)) })
    }

    /// Fetches a branch; its commit. By the user's git no branch of this repository moves. Without one, `git` is a bare repository that
    /// mirrors the remote, and its branch of that name moves.
    ///
    /// # Errors
    /// [`slipway_git::Error::NoBranch`]; when the remote cannot be fetched from.
    pub async fn fetch(&self, git: &Repository, branch: &str) -> Result<String> {
        self.fetch_reference(git, &format!("refs/heads/{branch}")).await
    }

    /// Fetches a reference, such as `refs/pull/7/head`, as [`fetch`](Self::fetch) does.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub async fn fetch_reference(&self, git: &Repository, name: &str) -> Result<String> {
        let Way::Api(http, _) = &self.way else { return Ok(git.fetch_reference(&self.name, name)?) };
        let found = http.fetch(git, &[name]).await?.pop().flatten();
        let branch = name.strip_prefix("refs/heads/").unwrap_or(name);
        let missing = || slipway_git::Error::NoBranch { remote: self.name.clone(), branch: branch.to_owned() };
        Ok(found.ok_or_else(missing)?)
    }

    /// Puts a commit, whose parents the remote has, on a branch of the remote. One that is there already is fine; a branch with other
    /// commits is not overwritten. Returns the commit there: the same one, or without the user's git the one that GitHub makes of it.
    ///
    /// # Errors
    /// [`slipway_forge::Error::BranchMoved`], or as git says it; when the remote refuses or cannot be reached.
    pub async fn publish(&self, git: &Repository, commit: &str, branch: &str) -> Result<String> {
        let Way::Api(_, github) = &self.way else {
            git.push(&self.name, commit, branch)?;
            return Ok(commit.to_owned());
        };
        let parents = git.parents(commit)?;
        let changes = changes(git, &parents, commit)?;
        let (message, tree) = (git.commit_of(commit)?.message, git.tree_of(commit)?);
        let new = NewCommit { parents: &parents, changes: &changes, message: &message, tree: Some(&tree) };
        Ok(github.push(&new, branch).await?)
    }

    /// Puts a commit on a branch and opens its pull request, as [`Forge::open_new_change`] does. The same change is the same commit by its
    /// content, whoever made it and when.
    pub(crate) async fn open_new(&self, git: &Repository, head: &str, request: PullRequest) -> Result<Opened> {
        let first = request.branch.clone();
        let head = Head { remote: self, git, commit: head };
        self.forge.open_new_change(&head, request).await?.ok_or(Error::TooManyBranches(first))
    }

    /// Puts a commit on a branch and opens its pull request, unless the branch has had one, in whatever state: that one is returned, the oldest if
    /// there are several. Also returns whether it was opened just now.
    ///
    /// For branches that are named by what they are for: two who open at the same time come to the same end. A branch that is there without a
    /// pull request is what an earlier attempt has left. It is taken as it is, unless the base branch has moved since: then the commit is put on
    /// top of it, so that nothing of then is proposed, and no commit is lost.
    pub(crate) async fn open_once(&self, git: &Repository, head: &str, request: PullRequest) -> Result<(Opened, bool)> {
        if let Some(opened) = self.first_of(&request.branch).await? {
            return Ok((opened, false));
        }
        let there = self.find(git, &request.branch).await?;
        if let Some(commit) = over(git, there.as_deref(), head)?
            && let Err(error) = self.publish(git, &commit, &request.branch).await
        {
            // unless somebody else made it in between
            let there = self.find(git, &request.branch).await?;
            if there.is_none() || over(git, there.as_deref(), head)?.is_some() {
                return Err(error);
            }
        }
        let opened = self.forge.open(&request).await?;
        match self.first_of(&request.branch).await? {
            // somebody else opened one in between, and a person has closed it already
            Some(first) if first.number < opened.number => {
                self.forge.close(opened.number).await?;
                Ok((first, false))
            }
            _ => Ok((opened, true)),
        }
    }

    /// The oldest pull request of a branch, in whatever state.
    pub(crate) async fn first_of(&self, branch: &str) -> Result<Option<Opened>> {
        Ok(self.forge.of_branch(branch).await?.into_iter().next())
    }

    /// Fetches a branch. Returns `None` if there is none.
    pub(crate) async fn find(&self, git: &Repository, branch: &str) -> Result<Option<String>> {
        match self.fetch(git, branch).await {
            Ok(there) => Ok(Some(there)),
            Err(Error::Git(slipway_git::Error::NoBranch { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A commit of a repository here that is to be the newest one of a branch of the remote.
struct Head<'a> {
    remote: &'a Remote,
    git: &'a Repository,
    commit: &'a str,
}

impl Change for Head<'_> {
    type Error = Error;

    async fn is_on(&self, branch: &str) -> Result<Option<bool>> {
        let Some(there) = self.remote.find(self.git, branch).await? else { return Ok(None) };
        Ok(Some(self.git.is_same_change(&there, self.commit)?))
    }

    async fn put_on(&self, branch: &str) -> Result<bool> {
        match self.remote.publish(self.git, self.commit, branch).await {
            Ok(_) => Ok(true),
            Err(Error::Forge(slipway_forge::Error::BranchMoved(_))) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What is to be published on a branch that is `there`, so that it has the content of `head` on the base of `head`: nothing if it is on that base
/// already, and otherwise a commit that leads on from both.
fn over(git: &Repository, there: Option<&str>, head: &str) -> Result<Option<String>> {
    let Some(there) = there else { return Ok(Some(head.to_owned())) };
    let Some(base) = git.first_parent(head)? else { return Ok(None) };
    if git.contains(there, &base)? {
        return Ok(None);
    }
    let message = git.commit_of(head)?.message;
    Ok(Some(git.commit_tree(&git.tree_of(head)?, &[there, base.as_str()], &message)?))
}

/// What a commit changes of its first parent, for GitHub: it has the files of the other parents already.
fn changes(git: &Repository, parents: &[String], commit: &str) -> Result<BTreeMap<String, NewFile>> {
    let Some((first, others)) = parents.split_first() else { return Ok(BTreeMap::new()) };
    let others = others.iter().map(|other| git.differences(other, commit)).collect::<Result<Vec<_>, _>>()?;
    let mut changes = BTreeMap::new();
    for (path, entry) in git.differences(first, commit)? {
        let is_known = others.iter().any(|differences| !differences.contains_key(&path));
        let file = match entry {
            None => NewFile::Removed,
            Some(entry) if is_known || entry.mode == SUBMODULE => NewFile::Known { mode: entry.mode, id: entry.id },
            Some(entry) => NewFile::Content { mode: entry.mode, bytes: git.blobs(&[&entry.id])?.concat() },
        };
        changes.insert(path, file);
    }
    Ok(changes)
}

/// Whether git takes it for a path, and not for `https://…`, `user@host:path` or `host:path`.
fn is_path(url: &str) -> bool {
    match url.split_once(':') {
        None => true,
        Some((before, _)) => before.contains('/'),
    }
}

#[cfg(test)]
mod tests {
    use slipway_forge::{Credentials, Forge, GitHub, Opened, PullRequest};
    use slipway_git::{Repository, Update};

    use super::{Remote, is_path};
    use crate::{Error, Opening, Promotion, Rendered, Reversion, merged_commits};

    fn by_api() -> Remote {
        let github = GitHub::new("https://api.github.com", "octo", "cat", Credentials::token("ghp_hunter2"));
        Remote::by_api("https://github.com/octo/cat", github).unwrap()
    }

    #[test]
    fn nobody_sees_the_token_of_a_remote() {
        let remote = by_api();
        let person = remote.acting_as("ghp_hunter3").unwrap();
        let shown = format!("{remote:?} {person:?} {} {}", remote.name, person.forge.describe());
        assert!(shown.contains("github.com/octo/cat") && !shown.contains("hunter"), "{shown}");
        assert!(matches!(remote.acting_as("a b"), Err(Error::Forge(slipway_forge::Error::NotAToken))));
    }

    #[test]
    fn a_bare_repository_knows_no_persons() {
        let folder = tempfile::tempdir().unwrap();
        Repository::init_bare(folder.path()).unwrap();
        let remote = Remote::without_git(&folder.path().display().to_string()).unwrap();
        assert!(matches!(remote.forge, Forge::Bare(_)));
        let error = remote.acting_as("ghp_x").unwrap_err().to_string();
        assert!(error.contains("does not know persons"), "{error}");
    }

    /// A service does all of it in tasks.
    #[test]
    fn what_is_done_with_a_remote_can_be_a_task() {
        fn task<F: Future + Send>(_: F) {}
        fn tasks(git: &Repository, remote: &Remote, opened: &Opened, promotion: Promotion) {
            task(remote.fetch(git, "main"));
            task(remote.fetch_reference(git, "refs/pull/7/head"));
            task(remote.publish(git, "HEAD", "x"));
            task(merged_commits(git, remote, opened, "HEAD"));
            task(Rendered::prepare(git, remote, opened));
            task(Reversion::prepare(git, remote, 7));
            task(promotion.open(git, remote, None, Opening::default()));
        }
        let _: fn(&Repository, &Remote, &Opened, Promotion) = tasks;
    }

    #[tokio::test]
    async fn what_an_earlier_attempt_left_is_brought_to_the_base_of_now() {
        let folder = tempfile::tempdir().unwrap();
        let git = Repository::init_bare(folder.path()).unwrap();
        let remote = Remote::at(folder.path()).unwrap();
        let commit = |on: Option<&str>, path: &str, text: &str| {
            git.commit(on, &[(path.to_owned(), Some(text.as_bytes().to_vec()))].into(), "change").unwrap()
        };
        let moves = |name: &str, to: &str, from: Option<&str>| {
            assert!(git.update(&[Update { name: &format!("refs/heads/{name}"), to, from }]).unwrap());
        };
        let request = |branch: &str| PullRequest {
            branch: branch.to_owned(),
            base: "main".to_owned(),
            title: "Again".to_owned(),
            ..PullRequest::default()
        };
        let first = commit(None, "a", "1");
        moves("main", &first, None);
        // killed before it opened anything
        let left = commit(Some(&first), "b", "then");
        moves("left", &left, None);
        moves("fresh", &left, None);
        let (opened, is_new) =
            remote.open_once(&git, &commit(Some(&first), "b", "now"), request("fresh")).await.unwrap();
        assert_eq!((opened.head.as_str(), is_new), (left.as_str(), true), "its base is that of now");
        let second = commit(Some(&first), "a", "2");
        moves("main", &second, Some(&first));
        let head = commit(Some(&second), "b", "now");
        let (opened, is_new) = remote.open_once(&git, &head, request("left")).await.unwrap();
        assert!(is_new && git.contains(&opened.head, &second).unwrap() && git.contains(&opened.head, &left).unwrap());
        assert_eq!(git.tree_of(&opened.head).unwrap(), git.tree_of(&head).unwrap());
    }

    #[test]
    fn a_path_is_told_from_an_address() {
        for path in ["../x.git", "/srv/x.git", "x", "./a:b", "/srv/a:b.git"] {
            assert!(is_path(path), "{path}");
        }
        for url in ["https://github.com/a/b", "git@github.com:a/b", "work:a/b", "file:///srv/x.git", "ssh://h/a"] {
            assert!(!is_path(url), "{url}");
        }
    }
}
