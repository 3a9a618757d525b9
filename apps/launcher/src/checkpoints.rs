//! The checkpoints of a program: restored into a folder before it starts, and stored from there while it runs.
//!
//! A checkpoint is a folder in `SLIPWAY_CHECKPOINTS` whose name does not begin with a dot. A program writes into one that does, and renames it
//! when it is complete: renaming is atomic, so nobody takes half a checkpoint for a whole one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use slipway_checkpoint::{Attempt, Checkpoints, Content, Error, Restored};
use slipway_dataset::Digest;
use slipway_job::{Failure, Record, Result};
use tokio::sync::watch;

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// The shard that holds what the launcher itself remembers. A program cannot make it: names with a dot are not stored.
const OWN: &str = ".slipway.json";

/// What rank 0 has found before the workers meet.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The right to write checkpoints; `None` if there is no place for them.
    pub(crate) attempt: Option<Attempt>,
    /// The checkpoint that is in the folder now.
    pub(crate) id: Option<Digest>,
    /// The run of the attempt that made it.
    pub(crate) record: Option<Record>,
}

/// Rank 0 takes the job's checkpoints, and restores the newest into `folder`, which is empty before. Waits for minutes while the store is away. A store
/// that refuses costs the checkpoints and nothing else.
pub(crate) async fn find(job: &str, folder: &Path, cache: &Path) -> Result<Found> {
    let Some(checkpoints) = Checkpoints::from_env(job).await.map_err(failure)? else { return Ok(Found::default()) };
    let found = async {
        let mut attempt = checkpoints.claim().await?;
        let restored = attempt.restore(cache).await?;
        Ok((attempt, restored))
    };
    match found.await {
        Ok((attempt, None)) => Ok(Found { attempt: Some(attempt), ..Found::default() }),
        Ok((attempt, Some(restored))) => {
            let (id, name) = (restored.id, restored.name.clone());
            let record = place(restored, folder.to_owned()).await?;
            tracing::info!(event = "resumed", checkpoint = name);
            Ok(Found { attempt: Some(attempt), id: Some(id), record })
        }
        Err(Error::Store(error)) if error.is_unavailable() => Err(error.into()),
        Err(error) => {
            tracing::warn!(
                event = "no_checkpoints",
                "the program runs without checkpoints, so a restart begins anew: {error}"
            );
            Ok(Found::default())
        }
    }
}

/// Any other rank restores what rank 0 has found.
pub(crate) async fn follow(job: &str, id: &Digest, folder: &Path, cache: &Path) -> Result<()> {
    let Some(checkpoints) = Checkpoints::from_env(job).await.map_err(failure)? else {
        let name = slipway_names::env::CHECKPOINT_STORE;
        return Err(Failure::Input(format!("{name} is not set here, and it is on rank 0: set it on all workers")));
    };
    let restored = checkpoints.fetch(id, cache).await.map_err(failure)?;
    place(restored, folder.to_owned()).await.map(drop)
}

/// Removes what a job that is done has stored. Nothing depends on it.
pub(crate) async fn remove(job: &str) {
    let removed = async {
        match Checkpoints::from_env(job).await? {
            Some(checkpoints) => checkpoints.remove().await,
            None => Ok(()),
        }
    };
    if let Err(error) = removed.await {
        tracing::warn!(event = "checkpoints_left", "checkpoints that nobody needs stay in the store: {error}");
    }
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Store(error) => error.into(),
        // another attempt has more luck
        Error::Lost(reason) => Failure::Service(reason),
        other => Failure::Unexpected(other.to_string()),
    }
}

/// Writes a checkpoint into the folder, and gives what the launcher had remembered.
async fn place(restored: Restored, folder: PathBuf) -> Result<Option<Record>> {
    let written = tokio::task::spawn_blocking(move || write(restored, &folder)).await;
    let failed = |error: String| Failure::Unexpected(format!("restoring the checkpoint: {error}"));
    written.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}

fn write(restored: Restored, folder: &Path) -> std::io::Result<Option<Record>> {
    let making = folder.join(".restoring");
    std::fs::create_dir_all(&making)?;
    let mut record = None;
    for (name, mut file) in restored.shards {
        if name == OWN {
            record = serde_json::from_reader(file).ok();
            continue;
        }
        // the manifest's names stay below the folder
        let path = making.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::io::copy(&mut file, &mut std::fs::File::create(path)?)?;
    }
    std::fs::rename(making, folder.join(restored.name))?;
    Ok(record)
}

/// Stores what a program leaves in its folder.
#[derive(Debug)]
pub(crate) struct Storing {
    attempt: Attempt,
    folder: PathBuf,
    run_id: String,
    /// The checkpoint that is stored, and the one before it.
    last: Option<String>,
    before: Option<String>,
}

/// Asks for a last look at the folder, from any thread.
#[derive(Clone, Debug)]
pub(crate) struct LastLook(Arc<watch::Sender<Look>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Look {
    #[default]
    Going,
    Asked,
    Done,
}

impl LastLook {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }

    /// Returns when everything that is in the folder is stored, cannot be, or the time is up. Nothing is stored after that.
    pub(crate) async fn store(&self, limit: Duration) {
        let mut state = self.0.subscribe();
        self.0.send_if_modified(|look| {
            let is_going = *look == Look::Going;
            if is_going {
                *look = Look::Asked;
            }
            is_going
        });
        if tokio::time::timeout(limit, state.wait_for(|look| *look == Look::Done)).await.is_err() {
            tracing::warn!(event = "checkpoint_missed", "the last checkpoint was not stored within {limit:?}");
        }
    }
}

impl Storing {
    /// `restored` is what the folder holds at the beginning.
    pub(crate) fn new(attempt: Attempt, folder: PathBuf, run_id: String) -> Self {
        let last = complete(&folder).ok().and_then(|mut found| found.pop()).map(|(_, name)| name);
        Self { attempt, folder, run_id, last, before: None }
    }

    /// Stores each checkpoint that appears, until a last look is asked for. Returns why another attempt has begun, if one has: then this
    /// one is to end.
    pub(crate) async fn run(mut self, last_look: LastLook) -> Option<String> {
        let mut asked = last_look.0.subscribe();
        loop {
            let is_last = tokio::time::timeout(LOOK, asked.wait_for(|look| *look == Look::Asked)).await.is_ok();
            let overtaken = self.look().await;
            if is_last || overtaken.is_some() {
                last_look.0.send_replace(Look::Done);
                return overtaken;
            }
        }
    }

    async fn look(&mut self) -> Option<String> {
        let found = match complete(&self.folder) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(event = "checkpoint_failed", "{}: {error}", self.folder.display());
                return None;
            }
        };
        let (_, name) = found.last().filter(|(_, name)| self.last.as_ref() != Some(name))?.clone();
        let begun = Instant::now();
        let stored = match contents(self.folder.join(&name), &self.run_id).await {
            Ok(contents) => self.attempt.publish(&name, contents).await,
            Err(reason) => {
                tracing::warn!(event = "checkpoint_failed", name, "it is not stored: {reason}");
                return None;
            }
        };
        match stored {
            Ok(()) => {
                tracing::info!(event = "checkpoint", name, seconds = begun.elapsed().as_secs_f64());
                self.before = self.last.replace(name);
                self.tidy(&found);
                None
            }
            Err(error @ Error::Overtaken { .. }) => Some(error.to_string()),
            Err(error) => {
                tracing::warn!(event = "checkpoint_failed", name, "it is tried again: {error}");
                None
            }
        }
    }

    /// Removes from the folder what is older than the last two.
    fn tidy(&self, found: &[(SystemTime, String)]) {
        let kept = [self.last.as_ref(), self.before.as_ref()];
        for (_, name) in found.iter().filter(|(_, name)| !kept.contains(&Some(name))) {
            // the program may have removed it
            let _ = std::fs::remove_dir_all(self.folder.join(name));
        }
    }
}

/// The checkpoints in a folder, the newest last.
fn complete(folder: &Path) -> std::io::Result<Vec<(SystemTime, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)?.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if let Ok(metadata) = entry.metadata()
            && metadata.is_dir()
            && !name.starts_with('.')
        {
            found.push((metadata.modified()?, name));
        }
    }
    found.sort();
    Ok(found)
}

/// The shards of a checkpoint: its files by their paths in it, and what the launcher remembers.
async fn contents(folder: PathBuf, run_id: &str) -> Result<Vec<(String, Content)>, String> {
    let record = Record { run_id: Some(run_id.to_owned()), unsent: Vec::new() };
    let record = serde_json::to_vec(&record).map_err(|error| error.to_string())?;
    let listed = tokio::task::spawn_blocking(move || {
        let mut files = BTreeMap::new();
        list(&folder, "", &mut files).map(|()| files)
    });
    let files = listed.await.map_err(|error| error.to_string())??;
    let shards = files.into_iter().map(|(name, path)| (name, Content::File(path)));
    Ok(std::iter::once((OWN.to_owned(), Content::Bytes(record.into()))).chain(shards).collect())
}

fn list(folder: &Path, prefix: &str, files: &mut BTreeMap<String, PathBuf>) -> Result<(), String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(unreadable)?);
        let name = entry.file_name().into_string().map_err(|_| format!("{} is no UTF-8", path.display()))?;
        let name = format!("{prefix}{name}");
        if kind.is_dir() {
            list(&path, &format!("{name}/"), files)?;
        } else if !kind.is_file() {
            return Err(format!("{} is neither a file nor a folder", path.display()));
        } else if name != OWN {
            files.insert(name, path);
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_a_folder_that_has_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at(".writing")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        assert_eq!(complete(folder.path()).unwrap(), []);
        for name in ["b", "a"] {
            std::fs::create_dir_all(at(".writing/deep")).unwrap();
            std::fs::write(at(".writing/deep/weights"), name).unwrap();
            std::fs::rename(at(".writing"), at(name)).unwrap();
        }
        let time = SystemTime::now() + Duration::from_secs(60);
        std::fs::File::open(at("a")).unwrap().set_modified(time).unwrap();
        let names: Vec<_> = complete(folder.path()).unwrap().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["b", "a"], "the newest last");
    }

    #[tokio::test]
    async fn files_keep_their_paths_and_links_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("model")).unwrap();
        std::fs::write(folder.path().join("model/weights.pt"), "w").unwrap();
        std::fs::write(folder.path().join("optimizer.pt"), "o").unwrap();
        let found = contents(folder.path().to_owned(), "r").await.unwrap();
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, [OWN, "model/weights.pt", "optimizer.pt"]);
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        assert!(contents(folder.path().to_owned(), "r").await.unwrap_err().contains("link is neither"));
    }
}
