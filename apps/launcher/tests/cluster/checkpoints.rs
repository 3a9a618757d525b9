//! Programs that leave checkpoints, and go on from them.

use serde_json::{Value, json};
use slipway_mlflow::RunStatus;
use slipway_processes::Signal;

use crate::worker::{Place, Running, free_port, signal};

/// Counts to the number that its argument gives, with a checkpoint for each number that rank 0 has reached; after each, it waits until it may go on. What
/// it finds when it starts, it says. It ends with its launcher, which a test may kill.
const COUNT: &str = r#"
number=0
lonely() { ! kill -0 "$PPID" 2>/dev/null; }
for found in "$SLIPWAY_CHECKPOINTS"/*/deep/number; do [ -e "$found" ] && number=$(cat "$found"); done
echo "rank $RANK from $number in $(ls "$SLIPWAY_CHECKPOINTS")."
save() {
  mkdir -p "$SLIPWAY_CHECKPOINTS/.writing/deep"
  echo "$1" > "$SLIPWAY_CHECKPOINTS/.writing/deep/number"
  mv "$SLIPWAY_CHECKPOINTS/.writing" "$SLIPWAY_CHECKPOINTS/count-$1"
}
trap '[ "$RANK" = 0 ] && save 99; exit 0' TERM
while [ "$number" -lt "$1" ]; do
  number=$((number + 1))
  [ "$RANK" = 0 ] && save "$number"
  while [ ! -e "$3/go-$number" ]; do lonely && exit 1; sleep 0.05; done
done
[ "$2" = ends ] || while ! lonely; do sleep 0.1; done
"#;

/// The program up to a number, which then ends, or waits until it is killed.
fn counting(place: &Place, name: &str, workers: usize, to: u32, waits: bool) -> Value {
    let mut trial = place.trial(name, workers, &["sh", "-c", COUNT, "count"]);
    trial["program"]["args"] = json!([to.to_string(), if waits { "waits" } else { "ends" }, place.folder.path()]);
    trial["register"] = Value::Null;
    trial
}

/// Waits until a number is stored, and lets the program go on.
fn stored(place: &Place, running: &mut Running, number: u32) {
    let line = running.until("\"event\":\"checkpoint\"");
    assert!(line.contains(&format!("count-{number}")), "{line}");
    std::fs::write(place.folder.path().join(format!("go-{number}")), "").unwrap();
}

fn start(place: &Place, trial: &Value) -> Vec<Running> {
    let port = free_port();
    let workers = trial["workers"].as_u64().unwrap() as usize;
    (0..workers).map(|rank| Running::start(&mut place.worker(rank, port, trial))).collect()
}

async fn ends(workers: Vec<Running>) -> Vec<(Option<i32>, String)> {
    tokio::task::spawn_blocking(move || workers.into_iter().map(Running::end).collect()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_was_killed_goes_on_from_its_last_checkpoint_on_every_worker() {
    let place = Place::new().await;
    let mut running = start(&place, &counting(&place, "count", 2, 3, true));
    for number in 1..=3 {
        stored(&place, &mut running[0], number);
    }
    std::fs::write(place.folder.path().join("go-4"), "").unwrap();
    for worker in &running {
        signal(worker.pid(), Signal::KILL);
    }
    drop(running);
    let ended = ends(start(&place, &counting(&place, "count", 2, 4, false))).await;
    for (rank, (code, log)) in ended.iter().enumerate() {
        assert_eq!(*code, Some(0), "{log}");
        assert!(log.contains(&format!("rank {rank} from 3 in count-3.")), "{log}");
    }
    let runs = place.mlflow.runs("count").await;
    assert_eq!(runs.iter().map(|run| run.status).collect::<Vec<_>>(), [RunStatus::Finished], "the same run goes on");
    assert_eq!(place.objects.checkpoint_objects("count-1a2b3c4d"), 0, "nothing is left of a job that is done");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_saves_after_sigterm_is_stored() {
    let place = Place::new().await;
    let mut running = start(&place, &counting(&place, "asked", 1, 1, true)).remove(0);
    running.until("\"event\":\"checkpoint\"");
    signal(running.pid(), Signal::TERM);
    let (code, log) = ends(vec![running]).await.remove(0);
    assert_eq!(code, Some(143), "{log}");
    // within the time that the launcher has for it
    assert!(log.contains("\"name\":\"count-99\"") && !log.contains("checkpoint_missed"), "{log}");
    assert_eq!(place.mlflow.run("asked").await.status, RunStatus::Killed);
    std::fs::write(place.folder.path().join("go-100"), "").unwrap();
    let (code, log) = ends(start(&place, &counting(&place, "asked", 1, 100, false))).await.remove(0);
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("rank 0 from 99 in count-99."), "{log}");
    let run = place.mlflow.run("asked").await;
    assert!(run.status == RunStatus::Finished && !run.tags.contains_key("slipway.failure"), "{run:?}");
}

/// The program goes on meanwhile, and what it has left is stored later.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_for_a_while_costs_a_program_nothing() {
    let place = Place::new().await;
    let go_on = |number: u32| std::fs::write(place.folder.path().join(format!("go-{number}")), "").unwrap();
    let mut running = start(&place, &counting(&place, "away", 1, 3, false)).remove(0);
    running.until("\"event\":\"checkpoint\"");
    place.objects.set_away(true);
    go_on(1);
    let failed = running.until("\"event\":\"checkpoint_failed\"");
    assert!(failed.contains("count-2"), "{failed}");
    go_on(2);
    place.objects.set_away(false);
    // the one before may still be on its way
    while !running.until("\"event\":\"checkpoint\"").contains("count-3") {}
    go_on(3);
    let (code, log) = ends(vec![running]).await.remove(0);
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(place.objects.checkpoint_objects("away-1a2b3c4d"), 0, "nothing is left of a job that is done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_named_and_the_checkpoint_before_is_used() {
    let place = Place::new().await;
    let mut running = start(&place, &counting(&place, "damaged", 1, 2, true)).remove(0);
    for number in 1..=2 {
        stored(&place, &mut running, number);
    }
    signal(running.pid(), Signal::KILL);
    drop(running);
    let folder = place.objects.checkpoints_of("damaged-1a2b3c4d");
    let manifest: Value = serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let shards = manifest["checkpoints"][0]["shards"].as_array().unwrap();
    let file = shards.iter().find(|shard| shard["name"] == "deep/number").unwrap();
    let hex = file["digest"].as_str().unwrap().trim_start_matches("sha256:");
    std::fs::remove_file(folder.join("1").join(hex)).unwrap();
    let (code, log) = ends(start(&place, &counting(&place, "damaged", 1, 2, false))).await.remove(0);
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("checkpoint_set_aside") && log.contains("its shard deep/number"), "{log}");
    assert!(log.contains("rank 0 from 1 in count-1."), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_place_for_checkpoints_there_is_no_folder() {
    let place = Place::new().await;
    let mut trial = place.trial("none", 1, &["sh", "-c", "echo folder: ${SLIPWAY_CHECKPOINTS-none}."]);
    trial["register"] = Value::Null;
    let running = Running::start(place.worker(0, free_port(), &trial).env_remove("SLIPWAY_CHECKPOINT_STORE"));
    let (code, log) = ends(vec![running]).await.remove(0);
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("folder: none."), "{log}");
}
