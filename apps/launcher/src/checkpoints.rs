//! The checkpoints of a program: restored into a folder before it starts, and stored from there while it runs.
//!
//! A checkpoint is a folder in `SLIPWAY_CHECKPOINTS` whose name does not begin with a dot. A program writes into one that does, and renames it
//! when it is complete: renaming is atomic, so nobody takes half a checkpoint for a whole one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use slipway_checkpoint::{Attempt, Checkpoints, Content, Error, Remover, Restored};
use slipway_dataset::Digest;
use slipway_job::{Failure, Record, Result, cache};
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How many checkpoints stay in the folder, the newest ones.
const KEPT: usize = 2;
/// How long checkpoints that nobody needs are removed, while this worker could end.
const REMOVING: Duration = Duration::from_secs(10);
/// The shard that holds what the launcher itself remembers. A program cannot make it: names with a dot are not stored.
const OWN: &str = ".slipway.json";

/// What rank 0 has found while the workers meet.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The right to write checkpoints; `None` if there is no place for them.
    pub(crate) attempt: Option<Attempt>,
    /// The checkpoint that is in the folder now.
    pub(crate) id: Option<Digest>,
    /// The run of the attempt that made it.
    pub(crate) record: Option<Record>,
}

/// What a search comes to.
pub(crate) type Finding = oneshot::Receiver<Result<Found>>;

/// Rank 0 begins to take the job's checkpoints and to restore the newest into `folder`, which is empty before, on a thread of its own. Waits for
/// minutes while the store is away. A store that refuses costs the checkpoints and nothing else.
///
/// # Errors
/// When no thread can be started.
pub(crate) fn start(runtime: &Runtime, job: String, folder: PathBuf) -> Result<Finding> {
    let (runtime, (tell, hear)) = (runtime.handle().clone(), oneshot::channel());
    std::thread::Builder::new()
        .name("finding".to_owned())
        .spawn(move || drop(tell.send(runtime.block_on(find(&job, &folder, &cache())))))
        .map_err(|error| Failure::Unexpected(format!("starting the thread that looks for checkpoints: {error}")))?;
    Ok(hear)
}

/// Waits until the search has come to its end.
pub(crate) async fn found(finding: Finding) -> Result<Found> {
    finding.await.map_err(|error| Failure::Unexpected(format!("looking for checkpoints: {error}")))?
}

async fn find(job: &str, folder: &Path, cache: &Path) -> Result<Found> {
    let Some(checkpoints) = Checkpoints::from_env(job).await.map_err(failure)? else { return Ok(Found::default()) };
    let found = async {
        let mut attempt = checkpoints.claim().await?;
        let restored = attempt.restore(cache).await?;
        Ok::<_, Error>((attempt, restored))
    };
    match found.await {
        Ok((attempt, None)) => Ok(Found { attempt: Some(attempt), ..Found::default() }),
        Ok((attempt, Some(restored))) => {
            let (id, name) = (restored.id, restored.name.clone());
            let record = place(restored, folder.to_owned()).await?;
            tracing::info!(event = "resumed", checkpoint = name);
            Ok(Found { attempt: Some(attempt), id: Some(id), record })
        }
        Err(error) if error.is_refusal() => {
            tracing::warn!(
                event = "no_checkpoints",
                "the program runs without checkpoints, so a restart begins anew: {error}"
            );
            Ok(Found::default())
        }
        Err(error) => Err(failure(error)),
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

/// Removes the checkpoints that this attempt has stored or taken over, if it has; those of a later one stay.
pub(crate) async fn remove(remover: Option<&Remover>) {
    if let Some(remover) = remover {
        removed(remover.remove()).await;
    }
}

/// Removes the checkpoints of a job that is known to be done, whoever stored them.
pub(crate) async fn remove_all(job: &str) {
    let remove = async {
        match Checkpoints::from_env(job).await? {
            Some(checkpoints) => checkpoints.remove().await,
            None => Ok(()),
        }
    };
    removed(remove).await;
}

/// Nothing depends on a removal.
async fn removed(remove: impl Future<Output = Result<(), Error>>) {
    let reason = match tokio::time::timeout(REMOVING, remove).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("the store did not remove them within {REMOVING:?}"),
    };
    tracing::warn!(event = "checkpoints_left", "checkpoints that nobody needs stay in the store: {reason}");
}

/// Removes this worker's folder: what is needed of it is in the store.
pub(crate) fn forget(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
    // the job's, unless it holds another worker's
    if let Some(job) = folder.parent() {
        let _ = std::fs::remove_dir(job);
    }
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Store(error) => error.into(),
        // another attempt has more luck
        error @ (Error::Lost(_) | Error::Busy { .. }) => Failure::Service(error.to_string()),
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
    /// The newest one that needs nothing any more: it is stored, or never can be.
    settled: Option<Complete>,
    /// The one that could not be stored at the last try. It is tried again, and said once.
    failed: Option<Complete>,
}

/// A checkpoint in the folder, by its time and its name: a program may replace one by another of the same name.
type Complete = (SystemTime, String);

/// What a look at the folder comes to.
#[derive(Debug)]
enum Looked {
    Nothing,
    Stored,
    /// Another attempt has begun, and the reason says so.
    Overtaken(String),
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
    /// Another attempt has begun: the thread that stores ends this process.
    Overtaken,
    /// Nothing is to be stored any more.
    Abandoned,
}

impl LastLook {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }

    /// Returns when everything that is in the folder is stored, cannot be, or the time is up. If another attempt has begun, this never returns, because
    /// the process exits.
    pub(crate) async fn store(&self, limit: Duration) {
        let mut state = self.0.subscribe();
        self.0.send_if_modified(|look| {
            let is_going = *look == Look::Going;
            if is_going {
                *look = Look::Asked;
            }
            is_going
        });
        let ended = state.wait_for(|look| !matches!(look, Look::Going | Look::Asked));
        match tokio::time::timeout(limit, ended).await.map(|look| look.map(|look| *look)) {
            Ok(Ok(Look::Overtaken)) => std::future::pending().await,
            Ok(_) => {}
            Err(_) => {
                tracing::warn!(event = "checkpoint_missed", "the last checkpoint was not stored within {limit:?}");
            }
        }
    }

    /// Nothing is stored after this. Returns at once, unless another attempt has begun: then never, because the process exits.
    pub(crate) async fn abandon(&self) {
        if !self.end(Look::Abandoned) {
            std::future::pending().await
        }
    }

    /// Ends the looking; `false` if it has ended in another way that counts.
    fn end(&self, how: Look) -> bool {
        let mut counts = true;
        self.0.send_modify(|look| match look {
            Look::Overtaken | Look::Abandoned => counts = *look == how,
            Look::Going | Look::Asked | Look::Done => *look = how,
        });
        counts
    }
}

impl Storing {
    /// `restored` is what the folder holds at the beginning.
    pub(crate) fn new(attempt: Attempt, folder: PathBuf, run_id: String) -> Self {
        let settled = complete(&folder).ok().and_then(|mut found| found.pop());
        Self { attempt, folder, run_id, settled, failed: None }
    }

    /// Stores each checkpoint that appears, until a last look is asked for, or nothing is to be stored any more. Returns why another attempt has begun,
    /// if one has: then this one is to end.
    pub(crate) async fn run(mut self, last_look: LastLook) -> Option<String> {
        let mut state = last_look.0.subscribe();
        tokio::select! {
            biased;
            _ = state.wait_for(|look| *look == Look::Abandoned) => None,
            overtaken = self.look_on(&last_look) => {
                let how = if overtaken.is_some() { Look::Overtaken } else { Look::Done };
                let counts = last_look.end(how);
                overtaken.filter(|_| counts)
            }
        }
    }

    async fn look_on(&mut self, last_look: &LastLook) -> Option<String> {
        let mut asked = last_look.0.subscribe();
        loop {
            let is_last = tokio::time::timeout(LOOK, asked.wait_for(|look| *look == Look::Asked)).await.is_ok();
            match self.look().await {
                Looked::Overtaken(reason) => return Some(reason),
                Looked::Nothing | Looked::Stored if is_last => return None,
                Looked::Nothing => {}
                Looked::Stored => {
                    // whoever asks for a last look does not wait for this
                    tokio::select! {
                        () = self.attempt.tidy() => {}
                        _ = asked.wait_for(|look| *look == Look::Asked) => {}
                    }
                }
            }
        }
    }

    async fn look(&mut self) -> Looked {
        let found = match complete(&self.folder) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(event = "checkpoint_failed", "{}: {error}", self.folder.display());
                return Looked::Nothing;
            }
        };
        let looked = match found.last() {
            Some(newest) if self.settled.as_ref() != Some(newest) => self.store(newest).await,
            _ => Looked::Nothing,
        };
        tidy(&self.folder, &found);
        looked
    }

    async fn store(&mut self, newest: &Complete) -> Looked {
        let (begun, name) = (Instant::now(), &newest.1);
        let stored = match contents(self.folder.join(name), &self.run_id).await {
            Ok(contents) => self.attempt.publish(name, contents).await,
            Err(reason) => {
                tracing::warn!(event = "checkpoint_failed", name, "it is not stored: {reason}");
                self.settled = Some(newest.clone());
                return Looked::Nothing;
            }
        };
        match stored {
            Ok(()) => {
                tracing::info!(event = "checkpoint", name, seconds = begun.elapsed().as_secs_f64());
                self.settled = Some(newest.clone());
                Looked::Stored
            }
            Err(error @ Error::Overtaken { .. }) => Looked::Overtaken(error.to_string()),
            Err(error @ Error::Unusable { .. }) => {
                tracing::warn!(event = "checkpoint_failed", name, "it is not stored: {error}");
                self.settled = Some(newest.clone());
                Looked::Nothing
            }
            Err(error) => {
                if self.failed.as_ref() != Some(newest) {
                    tracing::warn!(event = "checkpoint_failed", name, "it is tried again: {error}");
                    self.failed = Some(newest.clone());
                }
                Looked::Nothing
            }
        }
    }
}

/// Removes from the folder what is older than the newest ones, whether or not they could be stored: otherwise the disk would be full before a store is
/// back that is away.
fn tidy(folder: &Path, found: &[Complete]) {
    for (_, name) in found.iter().rev().skip(KEPT) {
        // the program may have removed it
        let _ = std::fs::remove_dir_all(folder.join(name));
    }
}

/// The checkpoints in a folder, the newest last.
fn complete(folder: &Path) -> std::io::Result<Vec<Complete>> {
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

    /// Writes a checkpoint aside, and gives it its name, in place of one that has it.
    fn leave(folder: &Path, name: &str, content: &str, seconds: u64) {
        let (making, named) = (folder.join(".making"), folder.join(name));
        std::fs::create_dir(&making).unwrap();
        std::fs::write(making.join("weights"), content).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        std::fs::File::open(&making).unwrap().set_modified(time).unwrap();
        let _ = std::fs::remove_dir_all(&named);
        std::fs::rename(making, named).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        complete(folder).unwrap().into_iter().map(|(_, name)| name).collect()
    }

    #[tokio::test]
    async fn what_is_replaced_is_stored_again_and_what_fails_leaves_room() {
        let (store, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(store.path().join("checkpoints")).unwrap();
        let url = slipway_object_store::serve(store.path()).await;
        let (access_key, secret_key) = slipway_object_store::KEYS;
        let credentials = slipway_dataset::Credentials {
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            session_token: None,
        };
        let budget = slipway_dataset::RetryBudget::Interactive;
        let objects =
            slipway_dataset::Objects::new(&url, "s3://checkpoints", credentials, "us-east-1", budget).unwrap();
        let attempt = Checkpoints::new(objects, "job").claim().await.unwrap();
        let mut storing = Storing::new(attempt, folder.path().to_owned(), "r".to_owned());
        for (content, seconds) in [("a", 1), ("b", 2)] {
            leave(folder.path(), "latest", content, seconds);
            assert!(matches!(storing.look().await, Looked::Stored), "{content}");
            assert!(matches!(storing.look().await, Looked::Nothing), "{content}");
        }
        for seconds in 3..6 {
            leave(folder.path(), &format!("linked-{seconds}"), "c", seconds);
            let link = folder.path().join(format!("linked-{seconds}/link"));
            std::os::unix::fs::symlink("/etc/passwd", link).unwrap();
            assert!(matches!(storing.look().await, Looked::Nothing), "{seconds}");
        }
        assert_eq!(names(folder.path()), ["linked-4", "linked-5"]);
        assert_eq!(storing.settled.map(|(_, name)| name).as_deref(), Some("linked-5"), "it is not tried again");
    }

    #[tokio::test]
    async fn whoever_is_overtaken_does_not_go_on() {
        let soon = Duration::from_millis(20);
        let overtaken = LastLook::new();
        assert!(overtaken.end(Look::Overtaken));
        assert!(tokio::time::timeout(soon, overtaken.store(soon * 100)).await.is_err());
        assert!(tokio::time::timeout(soon, overtaken.abandon()).await.is_err());

        let abandoned = LastLook::new();
        abandoned.abandon().await;
        assert!(!abandoned.end(Look::Overtaken), "what is heard after that does not end the process");
        abandoned.store(soon).await;
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
