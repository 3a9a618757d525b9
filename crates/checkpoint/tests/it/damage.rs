//! Shards that are missing, cut or changed: each is named, and the checkpoint before is used.

use std::sync::{Arc, Mutex};

use slipway_checkpoint::Checkpoints;

use crate::place::{Place, found, publish};

/// What is logged on this thread while it is held.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn a_damaged_shard_is_named_and_the_checkpoint_before_is_used() {
    for (damage, says) in [("missing", "does not exist"), ("cut", "holds 5 bytes"), ("changed", "holds sha256:")] {
        let place = Place::new().await;
        let mut attempt = place.claim().await;
        for number in 1..=3 {
            publish(&mut attempt, number).await.unwrap();
        }
        let shard = place.shard("parameters 3");
        match damage {
            "missing" => std::fs::remove_file(&shard).unwrap(),
            "cut" => std::fs::write(&shard, "param").unwrap(),
            _ => std::fs::write(&shard, "parameters 9").unwrap(),
        }
        let log = Log::default();
        let logging = log.start();
        let (mut next, used) = place.next().await;
        drop(logging);
        assert_eq!(used, found(2), "{damage}");
        let hex = shard.file_name().unwrap().to_str().unwrap();
        for part in ["step-3", "shard parameters", says, &format!("s3://checkpoints/here/job-1a2b3c4d/1/{hex}")] {
            assert!(log.text().contains(part), "{damage}: {part}: {}", log.text());
        }
        // the same content again is stored again, and what was damaged is gone
        publish(&mut next, 3).await.unwrap();
        assert_eq!(place.next().await.1, found(3), "{damage}");
        assert!(!shard.exists(), "{damage}");
    }
}

#[tokio::test]
async fn if_no_checkpoint_is_whole_the_job_begins_anew() {
    let place = Place::new().await;
    let mut attempt = place.claim().await;
    publish(&mut attempt, 1).await.unwrap();
    publish(&mut attempt, 2).await.unwrap();
    std::fs::write(place.shard("best"), "worst").unwrap();
    let (mut next, nothing) = place.next().await;
    assert_eq!((nothing, next.number()), (None, 2));
    publish(&mut next, 3).await.unwrap();
    assert_eq!(place.next().await.1, found(3));
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_is_named_and_replaced() {
    let place = Place::new().await;
    for broken in
        ["", "{}", "not json", "{\"format\":1,\"job\":\"other\",\"attempt\":1,\"writer\":\"\",\"checkpoints\":[]}"]
    {
        let mut attempt = place.claim().await;
        publish(&mut attempt, 1).await.unwrap();
        std::fs::write(place.path().join("manifest.json"), broken).unwrap();
        let log = Log::default();
        let logging = log.start();
        let (mut next, nothing) = place.next().await;
        drop(logging);
        assert_eq!(nothing, None, "{broken}");
        assert!(log.text().contains("s3://checkpoints/here/job-1a2b3c4d/manifest.json"), "{}", log.text());
        assert!(publish(&mut attempt, 2).await.is_err(), "{broken}");
        publish(&mut next, 3).await.unwrap();
        assert_eq!(place.next().await.1, found(3), "{broken}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_an_error_and_not_an_empty_one() {
    let place = Place::new().await;
    std::fs::remove_dir(place.path().parent().and_then(std::path::Path::parent).unwrap_or(&place.path())).unwrap();
    let checkpoints: &Checkpoints = &place.checkpoints;
    let error = checkpoints.claim().await.unwrap_err().to_string();
    assert!(error.contains("s3://checkpoints/here/job-1a2b3c4d/manifest.json"), "{error}");
}
