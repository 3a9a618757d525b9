//! Runs kustomize on several folders at once, and caches each build under the digest of its input files.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use slipway_digest::Digest;
use slipway_gitops::{Builds, Files, digest};

use crate::program::on_path;
use crate::{Error, Result};

/// How to get kustomize.
pub const HOW_TO_GET_KUSTOMIZE: &str = "`make setup` · brew install kustomize · https://github.com/kubernetes-sigs/kustomize/releases; \
                              kubectl 1.31 or newer has one built in";

/// How long a build stays in the cache.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

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

    /// Builds folders. `files` is the repository's content; `root` is the folder that holds it, if one does.
    ///
    /// # Errors
    /// [`Error::Program`] when kustomize cannot be started.
    pub fn build_all(&self, files: &Files, root: Option<&Path>, folders: &[String]) -> Result<Builds> {
        let keys: Vec<PathBuf> = folders.iter().map(|folder| self.kept_at(&digest(files, folder))).collect();
        let mut builds = Builds::new();
        let mut missing = Vec::new();
        for (folder, key) in folders.iter().zip(&keys) {
            match std::fs::read_to_string(key) {
                Ok(text) => {
                    builds.insert(folder.clone(), Ok(text));
                }
                Err(_) => missing.push((folder, key)),
            }
        }
        if missing.is_empty() {
            return Ok(builds);
        }
        let laid_out = match root {
            Some(_) => None,
            None => Some(lay_out(files)?),
        };
        let root = root.or(laid_out.as_ref().map(tempfile::TempDir::path)).unwrap_or(Path::new("."));
        let next = AtomicUsize::new(0);
        let workers = std::thread::available_parallelism().map_or(2, usize::from).min(missing.len());
        let work = || {
            let mut done = Vec::new();
            while let Some((folder, key)) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                let built = self.run(root, folder);
                if let Ok(Ok(text)) = &built {
                    self.keep(key, text);
                }
                done.push(((*folder).clone(), built));
            }
            done
        };
        let done: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            // a panic here is one of this program: it goes on in the caller
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        for (folder, built) in done {
            builds.insert(folder, built?);
        }
        self.forget_old();
        Ok(builds)
    }

    /// Builds a folder below `root`. The inner error is kustomize's own message.
    pub(crate) fn run(&self, root: &Path, folder: &str) -> Result<Result<String, String>> {
        let mut command = Command::new(&self.program);
        command.arg(self.verb).arg(folder).current_dir(root).stdin(Stdio::null());
        let done = command.output().map_err(|source| Error::Program { program: self.program.clone(), source })?;
        Ok(if done.status.success() {
            String::from_utf8(done.stdout).map_err(|error| format!("what it built is not UTF-8: {error}"))
        } else {
            Err(String::from_utf8_lossy(&done.stderr).into_owned())
        })
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

/// Writes the repository's content into a temporary folder.
fn lay_out(files: &Files) -> Result<tempfile::TempDir> {
    let failed = Error::file(&std::env::temp_dir());
    let folder = tempfile::tempdir().map_err(&failed)?;
    for (path, bytes) in files {
        let path = folder.path().join(path);
        path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(&failed)?;
        std::fs::write(&path, bytes).map_err(&failed)?;
    }
    Ok(folder)
}
