//! What is merged without a person, and what is not.

use std::path::Path;

use slipway_forge::{CheckRun, Conclusion, Error as ForgeError, Opened, Publication, PullRequest};
use slipway_git::{Repository, Update};
use slipway_names::tag;
use slipway_serving::Pin;
use tempfile::TempDir;

use super::*;
use crate::error::Error;
use crate::leading::{leads, stand_still};

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

#[test]
fn what_waits_is_looked_at_less_and_less_often() {
    let (begun, mut waiting) = (Instant::now(), BTreeMap::new());
    let merge = |what| Merge { number: 7, environment: "local".to_owned(), what };
    let pauses = |waiting: &mut BTreeMap<u64, Waiting>, stepped: Result<Step>, count: usize| -> Vec<u64> {
        let one = waiting.get_mut(&7).unwrap();
        let pause = |_| {
            let now = one.due;
            one.wait(&stepped, now);
            (one.due - now).as_secs()
        };
        (0..count).map(pause).collect()
    };
    arrive(&mut waiting, merge(archive(&["a"])), begun);
    assert_eq!(waiting[&7].due, begun);
    assert_eq!(pauses(&mut waiting, Ok(Step::NotGreen), 7), [10, 20, 40, 80, 160, 300, 300]);
    let due = waiting[&7].due;
    arrive(&mut waiting, merge(archive(&["a"])), begun);
    assert_eq!(waiting[&7].due, due, "nothing new is known");
    arrive(&mut waiting, merge(archive(&["a", "b"])), begun);
    assert_eq!(waiting[&7].due, begun);
    let pauses = pauses(&mut waiting, Err(Error::NotLeader(slipway_service::NotLeader)), 12);
    assert_eq!((pauses[0], pauses[8], pauses[9], pauses[11]), (10, 2560, 3600, 3600));
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
        let done = step(&self.followed, &self.leadership, merge).await.unwrap() == Step::Done;
        (done, !self.is_open(merge).await)
    }
}

fn commit(git: &Repository, base: Option<&str>, changes: Changes<'_>) -> String {
    let changes = changes.iter().map(|(path, text)| ((*path).to_owned(), text.map(|text| text.as_bytes().to_vec())));
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
    assert!(matches!(refused, Err(Error::NotLeader(_))), "{refused:?}");
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
    assert_eq!(forge.step(&merge).await, (false, false), "one of them has not ended");
    let step = step(&forge.followed, &forge.leadership, &merge).await.unwrap();
    assert_eq!(step, Step::Unknown(vec!["b".to_owned()]));
    // until that is known
    let merge = Merge { what: archive(&["a", "b"]), ..merge };
    assert_eq!(forge.step(&merge).await, (true, true));

    // a record that was there is not written over
    let known = [&files[..], &[(RECORDS[0], Some(RECORD))]].concat();
    let forge = Forge::with(&known);
    let merge = forge.open(&forge.main, &one, archive(&["a"])).await;
    assert_eq!(forge.step(&merge).await, (true, false));
}
