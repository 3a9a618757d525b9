//! Pull requests that are merged without a person, where the experiment or the environment says so: once their check is green.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use slipway_forge::{Error as ForgeError, MergeMethod, Opened};
use slipway_git::Repository;
use slipway_mlflow::ModelVersion;
use slipway_names::tag;
use slipway_project::{Tree, history, jobs_folder, serving};
use slipway_report::CHECK;
use slipway_serving::Pin;
use tokio::sync::{mpsc, watch};

use crate::declared::Declared;
use crate::error::Result;
use crate::repository::{Followed, blocking};
use crate::warned::Warned;

/// How often checks are looked at.
const PAUSE: Duration = Duration::from_secs(10);

/// A pull request that is to be merged.
#[derive(Clone, Debug)]
pub struct Merge {
    /// Its number.
    pub number: u64,
    /// The environment that it changes.
    pub environment: String,
    /// What it does.
    pub what: What,
}

/// What a pull request does, and nothing else.
#[derive(Clone, Debug)]
pub enum What {
    /// It puts this version into service.
    Promotion(ModelVersion),
    /// It moves TrainJobs to the history.
    Archive,
}

/// Merges what arrives, for ever.
pub(crate) async fn follow(
    followed: &Followed,
    declared: watch::Receiver<Arc<Declared>>,
    mut arriving: mpsc::UnboundedReceiver<Merge>,
) -> Infallible {
    let mut waiting: BTreeMap<u64, Merge> = BTreeMap::new();
    let mut warned: BTreeMap<u64, Warned> = BTreeMap::new();
    loop {
        tokio::select! {
            Some(merge) = arriving.recv() => drop(waiting.insert(merge.number, merge)),
            () = tokio::time::sleep(PAUSE), if !waiting.is_empty() => {}
        }
        let mut done = Vec::new();
        for merge in waiting.values() {
            let warned = warned.entry(merge.number).or_default();
            let tip = declared.borrow().commit.clone();
            match step(followed, merge, &tip).await {
                Ok(true) => done.push(merge.number),
                Ok(false) => {}
                Err(error) => warned.warn(&format!("pull request #{} is not merged", merge.number), &error),
            }
        }
        done.iter().for_each(|number| drop(waiting.remove(number)));
    }
}

/// Returns whether there is nothing more to do.
async fn step(followed: &Followed, merge: &Merge, tip: &str) -> Result<bool> {
    let forge = &followed.remote.forge;
    let opened = forge.get(merge.number).await?;
    if !opened.is_open() {
        return Ok(true);
    }
    if opened.is_draft || !forge.is_green(&opened, CHECK).await? {
        return Ok(false);
    }
    if !is_only_that(followed, merge, &opened, tip).await? {
        tracing::warn!("#{} holds more than what was proposed, so a person merges it", merge.number);
        return Ok(true);
    }
    // a repository may allow only some of the methods
    let mut refused = None;
    for method in MergeMethod::ALL {
        match forge.merge(merge.number, method, &opened.head).await {
            Ok(commit) => {
                tracing::info!("merged #{} as {commit}", merge.number);
                return Ok(true);
            }
            Err(error @ (ForgeError::NotMergeable { .. } | ForgeError::Refused { status: 405, .. })) => {
                refused = Some(error)
            }
            Err(error) => return Err(error.into()),
        }
    }
    refused.map_or(Ok(false), |error| Err(error.into()))
}

/// Whether a pull request does what was proposed and nothing else: whoever may push to its branch could have added anything, and nobody
/// reviews it.
async fn is_only_that(followed: &Followed, merge: &Merge, opened: &Opened, tip: &str) -> Result<bool> {
    followed.fetch_reference(&format!("refs/pull/{}/head", opened.number)).await?;
    let (git, merge, opened, tip) = (followed.git.clone(), merge.clone(), opened.clone(), tip.to_owned());
    blocking(move || holds_only(&git, &merge, &opened, &tip)).await
}

fn holds_only(git: &Repository, merge: &Merge, opened: &Opened, tip: &str) -> Result<bool> {
    let Some(base) = git.first_parent(&opened.head)? else { return Ok(false) };
    // what is below it is on the default branch already
    if !git.contains(tip, &base)? {
        return Ok(false);
    }
    match &merge.what {
        What::Promotion(version) => puts_into_service(git, version, &merge.environment, (&base, &opened.head)),
        What::Archive => moves_to_history(git, &merge.environment, (&base, &opened.head)),
    }
}

/// Whether every change is a TrainJob that moves to the history.
fn moves_to_history(git: &Repository, environment: &str, (base, head): (&str, &str)) -> Result<bool> {
    let [jobs, records] =
        [jobs_folder(environment), history::folder(environment)].map(|folder| git.path_at_top(&folder));
    let (mut moved, mut written) = (BTreeSet::new(), BTreeSet::new());
    for path in git.changed_paths(base, head)? {
        let name_in = |folder: &str| path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".yaml");
        match (name_in(&jobs), name_in(&records)) {
            (Some(name), None) => drop(moved.insert(name.to_owned())),
            (None, Some(name)) => drop(written.insert(name.to_owned())),
            _ => return Ok(false),
        }
    }
    for name in &moved {
        let rendered = format!("{}/{name}.yaml", jobs_folder(environment));
        let record = history::path(environment, name);
        let (before, after) = (git.read(base, &rendered)?, git.read(head, &rendered)?);
        let written = git.read(head, &record)?.unwrap_or_default();
        // the record ends with the TrainJob's file as it was
        let keeps = before.is_some_and(|before| written.ends_with(&before));
        if !keeps || after.is_some() || git.read(base, &record)?.is_some() {
            return Ok(false);
        }
    }
    Ok(!moved.is_empty() && moved == written)
}

/// Whether the only change is that this version comes into service.
fn puts_into_service(
    git: &Repository,
    version: &ModelVersion,
    environment: &str,
    (base, head): (&str, &str),
) -> Result<bool> {
    let path = serving::path(environment);
    if git.changed_paths(base, head)? != [git.path_at_top(&path)] {
        return Ok(false);
    }
    let pins = |commit: &str| -> Result<_> {
        let mut tree = Tree::default();
        if let Some(text) = git.read(commit, &path)? {
            tree.insert(&path, text);
        }
        Ok(serving::read(&tree, environment).ok())
    };
    let Ok(digest) = version.tag(tag::DIGEST).parse() else { return Ok(false) };
    let pin = Pin { name: version.name.clone(), version: version.number(), digest };
    Ok(match (pins(base)?, pins(head)?) {
        (Some(before), Some(after)) => before.with(pin) == after,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use slipway_forge::{CheckRun, Conclusion, Publication, PullRequest};
    use slipway_git::Update;
    use tempfile::TempDir;

    use super::*;

    const PATH: &str = "overlays/local/server/models.yaml";

    struct Forge {
        followed: Followed,
        main: String,
        _folder: TempDir,
    }

    fn version(number: u64, digest: char) -> ModelVersion {
        ModelVersion {
            name: "mnist".to_owned(),
            version: number.to_string(),
            tags: [(tag::DIGEST.to_owned(), format!("sha256:{}", digest.to_string().repeat(64)))].into(),
            ..ModelVersion::default()
        }
    }

    /// The list of versions in service with this one.
    fn models(number: u64, digest: char) -> String {
        let digest = version(number, digest).tag(tag::DIGEST).parse().unwrap();
        slipway_serving::Pins::default().with(Pin { name: "mnist".to_owned(), version: number, digest }).to_string()
    }

    impl Forge {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("forge.git");
            let git = Repository::init_bare(&path).unwrap();
            let files = [(PATH, models(1, 'a')), ("README.md", "x".to_owned())];
            let files = files.map(|(path, text)| (path.to_owned(), Some(text.into_bytes()))).into();
            let main = git.commit(None, &files, "first").unwrap();
            git.update(&[Update { name: "refs/heads/main", to: &main, from: None }]).unwrap();
            let followed = Followed::open(&path.display().to_string(), "", Path::new("/nowhere")).unwrap();
            Self { followed, main, _folder: folder }
        }

        /// Opens a pull request with these files on top of a commit.
        async fn open(&self, base: &str, files: &[(&str, &str)]) -> Merge {
            let files: BTreeMap<String, Option<Vec<u8>>> =
                files.iter().map(|(path, text)| ((*path).to_owned(), Some(text.as_bytes().to_vec()))).collect();
            let git = &self.followed.git;
            let head = git.commit(Some(base), &files, "serve").unwrap();
            let branch = format!("slipway/serve-{head}");
            git.update(&[Update { name: &format!("refs/heads/{branch}"), to: &head, from: None }]).unwrap();
            let request = PullRequest { branch, base: "main".to_owned(), ..PullRequest::default() };
            let number = self.followed.remote.forge.open(&request).await.unwrap().number;
            Merge { number, environment: "local".to_owned(), version: version(2, 'b') }
        }

        /// Writes its check.
        async fn judge(&self, merge: &Merge, conclusion: Conclusion) {
            let check = CheckRun {
                name: CHECK.to_owned(),
                conclusion,
                title: String::new(),
                summary: String::new(),
                annotations: Vec::new(),
            };
            let judged = async |opened: &Opened, _: Option<&str>| {
                let head = opened.head.clone();
                Ok::<_, ForgeError>(Publication { head, parts: Vec::new(), check: Some(check.clone()) })
            };
            self.followed.remote.forge.publish(merge.number, judged).await.unwrap();
        }

        async fn step(&self, merge: &Merge) -> (bool, bool) {
            let done = step(&self.followed, merge, &self.main).await.unwrap();
            (done, !self.followed.remote.forge.get(merge.number).await.unwrap().is_open())
        }
    }

    #[tokio::test]
    async fn it_is_merged_once_its_check_is_green() {
        let forge = Forge::new();
        let merge = forge.open(&forge.main, &[(PATH, &models(2, 'b'))]).await;
        assert_eq!(forge.step(&merge).await, (false, false), "there is no check yet");
        forge.judge(&merge, Conclusion::Failure).await;
        assert_eq!(forge.step(&merge).await, (false, false), "it is red");
        forge.judge(&merge, Conclusion::Success).await;
        assert_eq!(forge.step(&merge).await, (true, true));
        assert_eq!(forge.step(&merge).await, (true, true), "nothing is left to do");
    }

    #[tokio::test]
    async fn what_does_more_than_that_waits_for_a_person() {
        let forge = Forge::new();
        let (good, other, forged) = (models(2, 'b'), models(3, 'b'), models(2, 'c'));
        let elsewhere =
            forge.followed.git.commit(Some(&forge.main), &[("x".to_owned(), Some(vec![1]))].into(), "x").unwrap();
        for (base, files) in [
            (&forge.main, vec![(PATH, good.as_str()), ("README.md", "y")]),
            (&forge.main, vec![(PATH, other.as_str())]),
            (&forge.main, vec![(PATH, forged.as_str())]),
            (&forge.main, vec![("README.md", "y")]),
            // on top of something that is not on the default branch
            (&elsewhere, vec![(PATH, good.as_str())]),
        ] {
            let merge = forge.open(base, &files).await;
            forge.judge(&merge, Conclusion::Success).await;
            assert_eq!(forge.step(&merge).await, (true, false), "{files:?}");
        }
    }
}
