//! The loops with pull requests on an emulated GitHub, which the manager reaches through a door, and whose repository it copies.

use std::time::Duration;

use slipway_forge::{Credentials, Error, GitHub as Forge, Opened, Publication};
use slipway_git::Repository;
use slipway_github_tests::GitHub;
use slipway_github_tests::accounts::{ANN, MANAGER, NAME, OWNER, REPOSITORY};
use slipway_proposal::Remote;
use slipway_service::Followed;
use slipway_training_manager::manager::{Manager, Published};
use slipway_training_manager::reports::PACE;
use tokio::time::Instant;

use crate::clock::{at_speed, jump, pass, until_shown};
use crate::door::Door;
use crate::world::{self, DATA, EXPERIMENT, World, container, judge, leader, now, project, with};

/// Time passes so fast: what GitHub answers within a second takes ten then, as on a bad day.
const SPEED: u32 = 10;
/// So that the server, which answers one after the other, has time for the manager.
const LOOK: Duration = Duration::from_secs(1);
/// While nothing can be asked.
const FAST: u32 = 100;

/// A world whose repository is on GitHub.
struct Hub {
    world: World,
    github: GitHub,
    door: Door,
}

/// The repository at the address of a server, whose API is below it.
fn remote(server: &str) -> Remote {
    remote_as(server, Credentials::token(ANN.token))
}

fn remote_as(server: &str, credentials: Credentials) -> Remote {
    let github = Forge::new(&format!("{server}/api/v3"), OWNER, NAME, credentials);
    Remote::by_api(&format!("{server}/{REPOSITORY}"), github).unwrap()
}

impl Hub {
    async fn new() -> Self {
        Self::with(EXPERIMENT).await
    }

    async fn with(experiment: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origin = folder.path().join("origin.git");
        project(&origin, &["local"], experiment, "");
        let github = GitHub::start(&origin).await.unwrap();
        let door = Door::before(&github.server).await;
        // people have another way
        let git = Repository::open_cache(&folder.path().join("people")).unwrap();
        let world = World::of(folder, git, remote(&github.server)).await;
        let world = World { look: LOOK, ..world };
        Self { world, github, door }
    }

    /// A manager as fast as the real one.
    fn manager(&self) -> Manager {
        let followed = Followed::of(remote(&self.door.url()), "", &self.world.folder.path().join("cache")).unwrap();
        self.world.manager_of(followed, "local", leader())
    }

    /// The repository with the login of the manager's App.
    fn as_app(&self, server: &str) -> Remote {
        remote_as(server, Credentials::app(MANAGER.id, self.github.key(MANAGER).unwrap()).unwrap())
    }

    /// How often a merge was asked for since anything was asked for last.
    async fn merges(&self) -> usize {
        let asked = self.github.asked().await;
        asked.iter().filter(|asked| asked.starts_with("PUT ") && asked.ends_with("/merge")).count()
    }

    /// Writes the plan on a pull request, as the workflow does before the merge.
    async fn plan(&self, number: u64) {
        let permissions = [("pull_requests".to_owned(), "write".to_owned())].into();
        let runner = Credentials::Runner(self.github.job_token(&permissions).await.unwrap().into());
        let workflow = slipway_forge::Forge::GitHub(Forge::new(&self.github.api, OWNER, NAME, runner));
        let plan = async |opened: &Opened, _: Option<&str>| {
            Ok::<_, Error>(Publication { head: opened.head.clone(), parts: vec!["the plan".to_owned()], check: None })
        };
        workflow.publish(number, plan).await.unwrap();
    }

    /// How many comments a pull request has.
    async fn comments(&self, number: u64) -> usize {
        let comments = self.github.get(&format!("/issues/{number}/comments")).await.unwrap();
        comments.as_array().unwrap().len()
    }

    /// How often comments were written since this was asked last.
    async fn writes(&self) -> usize {
        let is_write = |asked: &&String| asked.contains("/comments") && !asked.starts_with("GET ");
        self.github.asked().await.iter().filter(is_write).count()
    }

    /// Both trials finish, the second one with the better version.
    async fn finish(&self, jobs: &[String]) {
        for (job, accuracy) in jobs.iter().zip([0.95, 0.96]) {
            let run = self.world.run(job).await;
            self.world.finish(job, &run, accuracy, DATA).await;
        }
    }
}

#[tokio::test]
async fn a_training_is_reported_on_github_at_most_every_ten_seconds_and_promoted_once() {
    let hub = Hub::new().await;
    let world = &hub.world;
    let (number, jobs) = world.merge("local").await;
    hub.plan(number).await;
    let (manager, published) = (hub.manager(), Published::default());
    hub.writes().await;
    let begun = Instant::now();
    let scenario = async {
        world.reported(number, "2 trials waiting").await;
        jobs.iter().for_each(|job| world.create(job));
        // it comes and goes several times a second
        for round in 0..100_u32 {
            if round.is_multiple_of(2) {
                world.conclude(&jobs[0], "Suspended", "Suspended", &format!("waiting for free CPUs, {round}"));
            } else {
                world.conclude(&jobs[0], "None", "None", "");
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        hub.finish(&jobs).await;
        let report = world.reported(number, "promotion [#").await;
        assert!(report.contains("2 trials finished"), "{report}");
        let promotions = world.promotions().await;
        assert_eq!(promotions.len(), 1, "{promotions:?}");
        assert_eq!(promotions[0].title, "Serve mnist version 2 in local");
        // all of it was said on one pull request
        let (writes, most) = (hub.writes().await, begun.elapsed().as_secs() / PACE.interval.as_secs() + 1);
        assert!(writes >= 3 && writes as u64 <= most, "{writes} writes within {:?}", begun.elapsed());
        assert_eq!(hub.comments(number).await, 1);

        // merged by a person, it is in service, and both say so
        world.merge_opened(&promotions[0]).await;
        world.reported(number, "version 2 is in service").await;
        world.reported(promotions[0].number, "changed 1 version in service").await;
        assert_eq!(hub.comments(number).await, 1);
        let comments = hub.github.get(&format!("/issues/{number}/comments")).await.unwrap();
        assert_eq!(comments[0]["user"]["login"], "github-actions[bot]", "the plan became the report: {comments}");
    };
    at_speed(SPEED, with(&manager, &published, scenario)).await;
}

#[tokio::test]
async fn github_is_away_for_ten_minutes_and_nothing_is_lost_or_told_twice() {
    let mut hub = Hub::new().await;
    let (manager, published) = (hub.manager(), Published::default());
    let (number, jobs) = hub.world.merge("local").await;
    jobs.iter().for_each(|job| hub.world.create(job));
    let scenario = async {
        at_speed(SPEED, hub.world.reported(number, "2 trials waiting")).await;
        hub.door.shut().await;
        // meanwhile they finish, and another one is merged
        let failures = manager.metrics.report_failures.get();
        hub.finish(&jobs).await;
        let (second, more) = hub.world.merge_another("local", "0.005").await;
        more.iter().for_each(|job| hub.world.create(job));
        pass(Duration::from_secs(600), FAST).await;
        assert!(manager.metrics.report_failures.get() > failures, "it was tried");
        let waiting = hub.world.report(number).await;
        assert!(waiting.contains("2 trials waiting"), "{waiting}");
        hub.door.open().await;
        at_speed(SPEED, async {
            hub.world.reported(second, "1 trial waiting").await;
            let report = hub.world.reported(number, "promotion [#").await;
            assert!(report.contains("2 trials finished"), "{report}");
        })
        .await;
        assert_eq!((hub.comments(number).await, hub.comments(second).await), (1, 1));
        assert_eq!(hub.world.promotions().await.len(), 1);
    };
    with(&manager, &published, scenario).await;
}

#[tokio::test]
async fn on_github_too_a_manager_that_is_killed_does_nothing_twice() {
    const KILLS: usize = 25;

    let hub = Hub::new().await;
    let world = &hub.world;
    let seed = 11;
    let mut rng = fastrand::Rng::with_seed(seed);
    let (number, jobs) = world.merge("local").await;
    let manager = || Manager { pace: world::PACE, ..hub.manager() };
    for kill in 0..KILLS {
        let (manager, published) = (manager(), Published::default());
        with(&manager, &published, async {
            match kill {
                4 => jobs.iter().for_each(|job| world.create(job)),
                8 => {
                    let runs = container("Running", &serde_json::json!({"running": {"startedAt": now()}}));
                    jobs.iter().for_each(|job| world.pods(job, &runs));
                }
                12 => hub.finish(&jobs).await,
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(rng.u64(0..900))).await;
        })
        .await;
        let counts = (hub.comments(number).await, world.promotions().await.len());
        assert!(counts.0 <= 1 && counts.1 <= 1, "seed {seed}, kill {kill}: {counts:?}");
    }
    let (manager, published) = (manager(), Published::default());
    with(&manager, &published, async {
        let report = world.reported(number, "promotion [#").await;
        assert!(report.contains("2 trials finished"), "{report}");
        assert_eq!(hub.comments(number).await, 1);
    })
    .await;
    assert_eq!(world.promotions().await.len(), 1);
}

#[tokio::test]
async fn a_rule_that_forbids_the_merge_is_not_asked_all_the_time() {
    let merged = EXPERIMENT.replace("spec:\n", "spec:\n  promote: {merge: [local]}\n  environments: [local]\n");
    let hub = Hub::with(&merged).await;
    let person = &hub.world;
    let followed = Followed::of(hub.as_app(&hub.door.url()), "", &person.folder.path().join("cache")).unwrap();
    let manager = Manager { pace: world::PACE, ..person.manager_of(followed, "local", leader()) };
    let published = Published::default();
    let (_, jobs) = person.merge("local").await;
    hub.github.set_rule(Some("At least 1 approving review is required by reviewers with write access.")).await;
    with(&manager, &published, async {
        jobs.iter().for_each(|job| person.create(job));
        hub.finish(&jobs).await;
        until_shown("the promotion", LOOK, async || !person.promotions().await.is_empty(), async || String::new())
            .await;
        let promotion = person.promotions().await.remove(0);
        // checks are written by apps
        judge(&hub.as_app(&hub.github.server), promotion.number).await;
        hub.merges().await;
        pass(Duration::from_secs(400), SPEED).await;
        let merges = hub.merges().await;
        // after 10, 20, 40, 80, 160, 320 s, and by one method
        assert!((1..=6).contains(&merges), "{merges} requests for a merge");
        assert!(person.promotions().await[0].is_open());

        // a person changes the rule
        hub.github.set_rule(None).await;
        jump(Duration::from_secs(3600)).await;
        until_shown("it is merged", LOOK, async || !person.promotions().await[0].is_open(), async || String::new())
            .await;
    })
    .await;
}
