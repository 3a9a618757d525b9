//! Runs kustomize on several folders at once, and caches each build under the digest of its input files.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use slipway_digest::Digest;
use slipway_gitops::{Changed, Files, digest};
use slipway_project::history;

use crate::changes::change;
use crate::program::{on_path, output};
use crate::{Error, Result};

/// How to get kustomize.
pub const HOW_TO_GET_KUSTOMIZE: &str = "`make setup` · brew install kustomize · https://github.com/kubernetes-sigs/kustomize/releases; \
                              kubectl 1.31 or newer has one built in";

/// How long a build stays in the cache.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A build of a folder.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    folder: String,
    /// What an Application changes before, as JSON.
    changes: Option<String>,
}

/// Whether a build may fetch what its kustomizations refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Allowed,
    Refused,
}

/// The program kustomize, or kubectl with its built-in kustomize.
#[derive(Clone, Debug)]
pub struct Kustomize {
    program: PathBuf,
    /// The subcommand that builds: `build`, or `kustomize` of kubectl.
    verb: &'static str,
    /// Identifies the program; it changes even with an upgrade in place.
    identity: String,
    cache: PathBuf,
}

impl Wanted {
    pub(crate) fn folder(folder: &str) -> Self {
        Self { folder: folder.to_owned(), changes: None }
    }

    pub(crate) fn changed(changed: &Changed) -> Self {
        Self { folder: changed.folder.clone(), changes: Some(changed.changes.clone()) }
    }

    /// Everything that the build depends on.
    fn key(&self, files: &Files) -> String {
        format!(
            "{} {}",
            digest(files, &self.folder, self.changes.as_deref()),
            self.changes.as_deref().unwrap_or_default()
        )
    }
}

impl Kustomize {
    /// The program at `program`, or the one of this name on the PATH; `None` if there is none. `kubectl` counts too, since it has kustomize
    /// built in. The folder `cache` keeps builds and upstream checkouts.
    #[must_use]
    pub fn find(program: &Path, cache: &Path) -> Option<Self> {
        on_path(program).map(|program| Self::new(program, cache.to_owned()))
    }

    fn new(program: PathBuf, cache: PathBuf) -> Self {
        let kubectl = program.file_stem().is_some_and(|name| name == "kubectl");
        let metadata = std::fs::metadata(&program).ok();
        let changed = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
        let changed = changed.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok()).unwrap_or_default();
        let size = metadata.map(|metadata| metadata.len()).unwrap_or_default();
        let identity = format!("{} {size} {}", program.display(), changed.as_nanos());
        Self { program, verb: if kubectl { "kustomize" } else { "build" }, identity, cache }
    }

    /// The program's path.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The folder of builds and upstream checkouts.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    fn builds(&self) -> PathBuf {
        self.cache.join("builds")
    }

    /// Builds folders, and folders that an Application changes before. Only `files` count: the builds run in a copy of them, so that a work
    /// tree and a commit with the same files give the same objects.
    ///
    /// # Errors
    /// [`Error::Program`] when kustomize cannot be started.
    pub(crate) fn build_all(&self, files: &Files, wanted: &[Wanted]) -> Result<Vec<Result<String, String>>> {
        let keys: Vec<PathBuf> = wanted.iter().map(|one| self.kept_at(&one.key(files))).collect();
        let mut builds: Vec<Option<Result<String, String>>> =
            keys.iter().map(|key| std::fs::read_to_string(key).ok().map(Ok)).collect();
        let missing: Vec<usize> = (0..wanted.len()).filter(|index| builds[*index].is_none()).collect();
        if !missing.is_empty() {
            let copy = lay_out(files)?;
            let next = AtomicUsize::new(0);
            let workers = std::thread::available_parallelism().map_or(2, usize::from).min(missing.len());
            let work = || {
                let mut done = Vec::new();
                while let Some(index) = missing.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                    let built = self.build(files, copy.path(), &wanted[index]);
                    if let Ok(Ok(text)) = &built {
                        self.keep(&keys[index], text);
                    }
                    done.push((index, built));
                }
                done
            };
            let done: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
                // a panic here is one of this program: it goes on in the caller
                threads
                    .into_iter()
                    .flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
                    .collect()
            });
            for (index, built) in done {
                builds[index] = Some(built?);
            }
            self.forget_old();
        }
        Ok(builds.into_iter().flatten().collect())
    }

    fn build(&self, files: &Files, copy: &Path, wanted: &Wanted) -> Result<Result<String, String>> {
        let Some(changes) = &wanted.changes else { return self.run(copy, &wanted.folder, Network::Refused) };
        let own = lay_out(files)?;
        let changes = serde_json::from_str(changes).unwrap_or_default();
        match change(&own.path().join(&wanted.folder), &changes) {
            Ok(()) => self.run(own.path(), &wanted.folder, Network::Refused),
            Err(Error::Upstream(reason)) => Ok(Err(reason)),
            Err(error) => Err(error),
        }
    }

    /// Builds a folder below `root`. The inner error is kustomize's own message.
    pub(crate) fn run(&self, root: &Path, folder: &str, network: Network) -> Result<Result<String, String>> {
        let mut command = Command::new(&self.program);
        // it ends before a collection of its garbage pays (docs/performance.md)
        command.arg(self.verb).arg(folder).current_dir(root).env("GOGC", "400");
        if network == Network::Refused {
            // kustomize takes a path that it does not find for the address of a repository
            command.env("GIT_ALLOW_PROTOCOL", "");
        }
        output(command)
    }

    fn kept_at(&self, content: &str) -> PathBuf {
        let name = Digest::of(format!("{}{content}", self.identity)).hex();
        self.builds().join(format!("{name}.yaml"))
    }

    /// Caches a build. If that fails, it is built again next time.
    fn keep(&self, key: &Path, text: &str) {
        let kept = std::fs::create_dir_all(self.builds()).and_then(|()| {
            let mut part = tempfile::NamedTempFile::new_in(self.builds())?;
            std::io::Write::write_all(&mut part, text.as_bytes())?;
            part.persist(key).map_err(|error| error.error)
        });
        drop(kept);
    }

    fn forget_old(&self) {
        for entry in std::fs::read_dir(self.builds()).into_iter().flatten().flatten() {
            let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > KEPT) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// Writes the repository's content into a temporary folder, without the history: it is part of no build, and has a file for each job that
/// ever ran.
fn lay_out(files: &Files) -> Result<tempfile::TempDir> {
    let failed = Error::file(&std::env::temp_dir());
    let folder = tempfile::tempdir().map_err(&failed)?;
    for (path, bytes) in files.iter().filter(|(path, _)| !history::is_record(path)) {
        let path = folder.path().join(path);
        path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(&failed)?;
        std::fs::write(&path, bytes).map_err(&failed)?;
    }
    Ok(folder)
}
