//! Pull requests that are merged without a person, where the experiment or the environment says so: once their check is green.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use slipway_cluster::Leadership;
use slipway_forge::{Error as ForgeError, MergeMethod, Opened};
use slipway_git::Repository;
use slipway_mlflow::ModelVersion;
use slipway_names::tag;
use slipway_project::{Tree, history, jobs_folder, serving};
use slipway_report::CHECK;
use slipway_serving::Pin;
use tokio::sync::mpsc;

use crate::error::Result;
use crate::leading::must_lead;
use crate::repository::{Followed, blocking};
use slipway_service::Warned;

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
    /// It moves TrainJobs to the history, at most these: they have ended, and their logs are kept.
    Archive(BTreeSet<String>),
}

/// Merges what arrives, for ever.
pub(crate) async fn follow(
    followed: &Followed,
    leadership: &Leadership,
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
            match step(followed, leadership, merge).await {
                Ok(true) => done.push(merge.number),
                Ok(false) => warned.clear(),
                Err(error) => warned.warn(&format!("pull request #{} is not merged", merge.number), &error),
            }
        }
        for number in done {
            waiting.remove(&number);
            warned.remove(&number);
        }
    }
}

/// Returns whether there is nothing more to do.
async fn step(followed: &Followed, leadership: &Leadership, merge: &Merge) -> Result<bool> {
    let forge = &followed.remote.forge;
    let opened = forge.get(merge.number).await?;
    if !opened.is_open() {
        return Ok(true);
    }
    if opened.is_draft || !forge.is_green(&opened, CHECK).await? {
        return Ok(false);
    }
    if !is_only_that(followed, merge, &opened).await? {
        tracing::warn!("#{} holds more than what was proposed, so a person merges it", merge.number);
        return Ok(true);
    }
    // a repository may allow only some of the methods
    let mut refused = None;
    for method in MergeMethod::ALL {
        must_lead(leadership)?;
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
async fn is_only_that(followed: &Followed, merge: &Merge, opened: &Opened) -> Result<bool> {
    let branch = followed.remote.forge.default_branch().await?;
    // the branch as it is now: the change may be on top of a commit that the manager has not seen yet
    let tip = followed.fetch(&branch).await?.filter(|_| opened.base == branch);
    let Some(tip) = tip else { return Ok(false) };
    followed.fetch_reference(&format!("refs/pull/{}/head", opened.number)).await?;
    let (git, merge, opened) = (followed.git.clone(), merge.clone(), opened.clone());
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
        What::Archive(ended) => moves_to_history(git, ended, &merge.environment, (&base, &opened.head)),
    }
}

/// Whether every change is a TrainJob that has ended and moves to the history.
fn moves_to_history(
    git: &Repository,
    ended: &BTreeSet<String>,
    environment: &str,
    (base, head): (&str, &str),
) -> Result<bool> {
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
    Ok(!moved.is_empty() && moved == written && moved.is_subset(ended))
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
    use std::path::Path;

    use slipway_forge::{CheckRun, Conclusion, Publication, PullRequest};
    use slipway_git::Update;
    use tempfile::TempDir;

    use super::*;
    use crate::error::Error;
    use crate::leading::tests::{leads, stand_still};

    const PATH: &str = "overlays/local/server/models.yaml";
    /// Files of two TrainJobs, where they are rendered and where their records are.
    const JOBS: [&str; 2] = ["overlays/local/training-jobs/a.yaml", "overlays/local/training-jobs/b.yaml"];
    const RECORDS: [&str; 2] = ["overlays/local/history/a.yaml", "overlays/local/history/b.yaml"];
    const JOB: &str = "kind: TrainJob\n";
    /// What the second one's is.
    const OTHER: &str = "kind: TrainJob\n# other\n";
    const RECORD: &str = "kind: TrainingRecord\n---\n";

    struct Forge {
        followed: Followed,
        main: String,
        leadership: Leadership,
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

    fn promotion() -> What {
        What::Promotion(version(2, 'b'))
    }

    /// Of these jobs.
    fn archive(jobs: &[&str]) -> What {
        What::Archive(jobs.iter().map(|job| (*job).to_owned()).collect())
    }

    /// Paths with what becomes of them.
    type Changes<'a> = &'a [(&'a str, Option<&'a str>)];

    impl Forge {
        /// Main has these files.
        fn with(files: Changes<'_>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("forge.git");
            let git = Repository::init_bare(&path).unwrap();
            let main = commit(&git, None, files);
            git.update(&[Update { name: "refs/heads/main", to: &main, from: None }]).unwrap();
            let followed = Followed::open(&path.display().to_string(), "", Path::new("/nowhere")).unwrap();
            Self { followed, main, leadership: leads(), _folder: folder }
        }

        fn new() -> Self {
            Self::with(&[(PATH, Some(&models(1, 'a'))), ("README.md", Some("x"))])
        }

        /// Opens a pull request with these changes on top of a commit, whose check is green.
        async fn open(&self, base: &str, changes: Changes<'_>, what: What) -> Merge {
            let merge = self.open_unjudged(base, "main", changes, what).await;
            self.judge(&merge, Conclusion::Success).await;
            merge
        }

        async fn open_unjudged(&self, base: &str, into: &str, changes: Changes<'_>, what: What) -> Merge {
            let git = &self.followed.git;
            let head = commit(git, Some(base), changes);
            let branch = format!("slipway/x-{head}");
            git.update(&[Update { name: &format!("refs/heads/{branch}"), to: &head, from: None }]).unwrap();
            let request = PullRequest { branch, base: into.to_owned(), ..PullRequest::default() };
            let number = self.followed.remote.forge.open(&request).await.unwrap().number;
            Merge { number, environment: "local".to_owned(), what }
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

        async fn is_open(&self, merge: &Merge) -> bool {
            self.followed.remote.forge.get(merge.number).await.unwrap().is_open()
        }

        /// Whether nothing is left to do, and whether it is merged.
        async fn step(&self, merge: &Merge) -> (bool, bool) {
            let done = step(&self.followed, &self.leadership, merge).await.unwrap();
            (done, !self.is_open(merge).await)
        }
    }

    fn commit(git: &Repository, base: Option<&str>, changes: Changes<'_>) -> String {
        let changes =
            changes.iter().map(|(path, text)| ((*path).to_owned(), text.map(|text| text.as_bytes().to_vec())));
        git.commit(base, &changes.collect(), "change").unwrap()
    }

    #[tokio::test]
    async fn it_is_merged_once_its_check_is_green() {
        let forge = Forge::new();
        let merge = forge.open_unjudged(&forge.main, "main", &[(PATH, Some(&models(2, 'b')))], promotion()).await;
        assert_eq!(forge.step(&merge).await, (false, false), "there is no check yet");
        forge.judge(&merge, Conclusion::Failure).await;
        assert_eq!(forge.step(&merge).await, (false, false), "it is red");
        forge.judge(&merge, Conclusion::Success).await;
        assert_eq!(forge.step(&merge).await, (true, true));
        assert_eq!(forge.step(&merge).await, (true, true), "nothing is left to do");
    }

    #[tokio::test]
    async fn who_does_not_lead_any_more_merges_nothing() {
        let forge = Forge::new();
        let merge = forge.open(&forge.main, &[(PATH, Some(&models(2, 'b')))], promotion()).await;
        stand_still().await;
        let refused = step(&forge.followed, &forge.leadership, &merge).await;
        assert!(matches!(refused, Err(Error::NotLeader)), "{refused:?}");
        assert!(forge.is_open(&merge).await);
    }

    #[tokio::test]
    async fn what_does_more_than_that_waits_for_a_person() {
        let forge = Forge::new();
        let (good, other, forged) = (models(2, 'b'), models(3, 'b'), models(2, 'c'));
        let elsewhere = commit(&forge.followed.git, Some(&forge.main), &[("x", Some("y"))]);
        for (base, changes) in [
            (&forge.main, vec![(PATH, Some(good.as_str())), ("README.md", Some("y"))]),
            (&forge.main, vec![(PATH, Some(other.as_str()))]),
            (&forge.main, vec![(PATH, Some(forged.as_str()))]),
            (&forge.main, vec![(PATH, None)]),
            (&forge.main, vec![("README.md", Some("y"))]),
            // on top of something that is not on the default branch
            (&elsewhere, vec![(PATH, Some(good.as_str()))]),
        ] {
            let merge = forge.open(base, &changes, promotion()).await;
            assert_eq!(forge.step(&merge).await, (true, false), "{changes:?}");
        }
        // into another branch
        let git = &forge.followed.git;
        git.update(&[Update { name: "refs/heads/other", to: &forge.main, from: None }]).unwrap();
        let merge = forge.open_unjudged(&forge.main, "other", &[(PATH, Some(&good))], promotion()).await;
        forge.judge(&merge, Conclusion::Success).await;
        assert_eq!(forge.step(&merge).await, (true, false));
    }

    #[tokio::test]
    async fn an_archive_is_merged_if_it_only_moves_what_has_ended() {
        let records = [format!("{RECORD}{JOB}"), format!("{RECORD}{OTHER}")];
        let [first, second] = records.each_ref().map(String::as_str);
        let files = [(JOBS[0], Some(JOB)), (JOBS[1], Some(OTHER)), (PATH, Some("models: []\n"))];
        let (one, both) = ([(JOBS[0], None), (RECORDS[0], Some(first))], [(JOBS[1], None), (RECORDS[1], Some(second))]);
        let both = [one, both].concat();
        for changes in [&one[..], &both] {
            let forge = Forge::with(&files);
            let merge = forge.open(&forge.main, changes, archive(&["a", "b", "c"])).await;
            assert_eq!(forge.step(&merge).await, (true, true), "{changes:?}");
        }

        let forge = Forge::with(&files);
        let cut = format!("{RECORD}kind: TrainJob");
        let swapped = [(JOBS[0], None), (RECORDS[0], Some(second))];
        let elsewhere = [(JOBS[0], None), ("overlays/staging/history/a.yaml", Some(first))];
        let below = [(JOBS[0], None), ("overlays/local/history/x/a.yaml", Some(first))];
        let more = |change| [&one[..], &[change]].concat();
        for (what, changes) in [
            ("the record is of another file", swapped.to_vec()),
            ("the record does not hold all of the file", vec![(JOBS[0], None), (RECORDS[0], Some(cut.as_str()))]),
            ("a file beside them", more(("README.md", Some("x")))),
            ("a version comes into service", more((PATH, Some("models: [x]\n")))),
            ("a job comes too", more(("overlays/local/training-jobs/c.yaml", Some(JOB)))),
            ("a job changes too", more((JOBS[1], Some(JOB)))),
            ("a job goes without a record", more((JOBS[1], None))),
            ("a record of no job", more((RECORDS[1], Some(second)))),
            ("the job stays", vec![(RECORDS[0], Some(first))]),
            ("the record is in another environment", elsewhere.to_vec()),
            ("the record is in a folder below", below.to_vec()),
        ] {
            let merge = forge.open(&forge.main, &changes, archive(&["a", "b", "c"])).await;
            assert_eq!(forge.step(&merge).await, (true, false), "{what}");
        }
        // one that runs would be cancelled by it
        let merge = forge.open(&forge.main, &both, archive(&["a"])).await;
        assert_eq!(forge.step(&merge).await, (true, false), "one of them has not ended");

        // a record that was there is not written over
        let known = [&files[..], &[(RECORDS[0], Some(RECORD))]].concat();
        let forge = Forge::with(&known);
        let merge = forge.open(&forge.main, &one, archive(&["a"])).await;
        assert_eq!(forge.step(&merge).await, (true, false));
    }
}
