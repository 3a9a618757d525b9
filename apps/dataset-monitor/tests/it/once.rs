//! The pipeline as a job gives what a build at home gives.

use slipway_dataset_monitor::once::{Failed, build_once};
use slipway_experiment::parse_dataset;
use slipway_git::Update;
use slipway_pipeline::{Places, Temporary, build};
use slipway_service::Followed;
use slipway_sources::Limits;

use crate::pictures::inverted;
use crate::world::{RARELY, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_gives_the_bytes_of_a_build_at_home_and_builds_what_nobody_watches() {
    let world = World::new(RARELY).await;
    let folder = world.folder.path();
    world.land_all("odd", 0..40, inverted);
    let cache = folder.join("job-cache");
    let followed = Followed::open(&folder.join("forge.git").display().to_string(), "", &cache).unwrap();
    let job = async |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        build_once(&followed, &world.store, &cache, &names).await
    };
    // the monitor builds what it watches
    job(&[]).await.unwrap();
    assert_eq!(world.head().await, world.first);
    job(&["sides"]).await.unwrap();
    let head = world.head().await;
    assert_ne!(head, world.first);
    job(&["sides"]).await.unwrap();
    assert_eq!(world.head().await, head);

    let text = world.tree("main").text("datasets/sides.yaml").unwrap();
    let declared = parse_dataset("datasets/sides.yaml", &text).unwrap();
    let temporary = Temporary::new(&folder.join("temporary")).unwrap();
    let (project, cache, limits) = (folder.join("home"), folder.join("home-cache"), Limits::default());
    let places = Places {
        sources: slipway_sources::Places { project, cache, repin: false, limits },
        npm: None,
        temporary: temporary.path().to_owned(),
    };
    let at_home = build(&declared, &places, &world.store, |_| ()).await.unwrap();
    assert_eq!((at_home.digest, at_home.moved), (head, false));

    let unknown = job(&["sides", "nothing"]).await.unwrap_err();
    assert!(matches!(&unknown, Failed::Input(why) if why.contains("nothing") && why.contains("sides")), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_declaration_fails_the_job_when_all_that_is_valid_is_built() {
    let world = World::new(RARELY).await;
    let folder = world.folder.path();
    // a dataset that nobody watches, and one that nobody can read
    let watched = world.tree("main").text("datasets/sides.yaml").unwrap();
    let lines = watched.lines().filter(|line| !line.contains("monitor:") && !line.contains("digest:"));
    let alone: Vec<String> = lines.map(|line| line.replace("name: sides", "name: alone")).collect();
    let files = [("datasets/alone.yaml", alone.join("\n")), ("datasets/wrong.yaml", "kind: Dataset".to_owned())];
    let files = files.map(|(path, text)| (path.to_owned(), Some(format!("{text}\n").into_bytes())));
    let main = world.git.reference("refs/heads/main").unwrap();
    let commit = world.git.commit(main.as_deref(), &files.into(), "a mistake").unwrap();
    let update = Update { name: "refs/heads/main", to: &commit, from: main.as_deref() };
    assert!(world.git.update(&[update]).unwrap());

    let cache = folder.join("job-cache");
    let followed = Followed::open(&folder.join("forge.git").display().to_string(), "", &cache).unwrap();
    let failed = build_once(&followed, &world.store, &cache, &[]).await.unwrap_err();
    assert!(matches!(&failed, Failed::Input(why) if why.contains("datasets/wrong.yaml")), "{failed:?}");
    let built = world.store.head("alone").await.unwrap();
    assert!(built.is_some());
    assert_eq!(world.head().await, world.first);
    // who names a dataset has not asked for the others
    build_once(&followed, &world.store, &cache, &["alone".to_owned()]).await.unwrap();
}
