//! Who commits, and whether commits are signed: what the user's git is configured to do.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use git2::Signature;

use crate::{Error, Repository, Result};

/// The settings that decide.
const SETTINGS: [&str; 7] =
    ["user.name", "user.email", "author.name", "author.email", "committer.name", "committer.email", "commit.gpgsign"];
/// The same for `git config`.
const PATTERN: &str = r"^((user|author|committer)\.(name|email)|commit\.gpgsign)$";
/// Who commits when git has not been told.
const NOBODY: (&str, &str) = ("Slipway", "slipway@localhost");

/// Who makes a commit, and how.
pub(crate) struct Committer {
    pub(crate) author: Signature<'static>,
    pub(crate) committer: Signature<'static>,
    /// Whether `commit.gpgsign` asks for a signature.
    pub(crate) signs: bool,
}

impl Repository {
    /// The name of whoever commits here; `None` if git has not been told one.
    ///
    /// # Errors
    /// When the settings cannot be read.
    pub fn author_name(&self) -> Result<Option<String>> {
        let committer = self.committer(&self.handle()?)?;
        Ok(committer.author.name().ok().map(str::to_owned).filter(|name| name != NOBODY.0))
    }

    /// Who commits here: `GIT_AUTHOR_NAME` and the like, then `author.name` and the like, then `user.name` and `user.email`, otherwise
    /// `Slipway <slipway@localhost>`.
    pub(crate) fn committer(&self, repository: &git2::Repository) -> Result<Committer> {
        let settings = self.settings(repository)?;
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let identity = |role: &str| {
            let given = |what: &str| {
                let setting =
                    |of: &str| settings.get(&format!("{of}.{what}")).filter(|value| !value.is_empty()).cloned();
                variable(&format!("GIT_{role}_{what}").to_uppercase())
                    .or_else(|| setting(role))
                    .or_else(|| setting("user"))
            };
            let who = given("name").zip(given("email").or_else(|| variable("EMAIL")));
            let (name, email) = who.unwrap_or_else(|| (NOBODY.0.to_owned(), NOBODY.1.to_owned()));
            // what a commit's header cannot hold, git leaves out too
            let plain = |text: String| text.replace(['<', '>', '\n'], "");
            Signature::now(&plain(name), &plain(email)).map_err(self.failed("reading who commits in"))
        };
        let signs = match settings.get("commit.gpgsign") {
            None => false,
            Some(value) => git2::Config::parse_bool(value.as_str()).map_err(|_| Error::NotSigned {
                reason: format!("commit.gpgsign is `{value}`, which is neither true nor false"),
            })?,
        };
        Ok(Committer { author: identity("author")?, committer: identity("committer")?, signs })
    }

    /// The settings as the user's git reads them, with its conditional includes and those given for one command; the last value of each
    /// counts. Without a git on this machine, as libgit2 reads them.
    fn settings(&self, repository: &git2::Repository) -> Result<BTreeMap<String, String>> {
        match self.git(&["config", "--null", "--get-regexp", PATTERN]).end("config") {
            // 1 means that none is set
            Ok(done) if done.is_success() || done.code == Some(1) => {
                let text = String::from_utf8_lossy(&done.stdout).into_owned();
                // <name>\n<value>\0, without the value when that is implied
                let entries = text.split('\0').filter(|entry| !entry.is_empty());
                let pairs = entries.map(|entry| entry.split_once('\n').unwrap_or((entry, "true")));
                Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
            }
            Ok(done) => Err(crate::program::failed("config", done.stderr)),
            Err(Error::NoGit(error)) if error.kind() == ErrorKind::NotFound => {
                let config = repository.config().and_then(|mut config| config.snapshot());
                let config = config.map_err(self.failed("reading the settings of"))?;
                let value = |name: &&str| Some(((*name).to_owned(), config.get_string(name).ok()?));
                Ok(SETTINGS.iter().filter_map(value).collect())
            }
            Err(error) => Err(error),
        }
    }
}
