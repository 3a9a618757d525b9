//! What was answered is there.

use std::time::Duration;

use slipway_samples::{Error, File, Hour, Reader, Sampler, Settings};

use crate::{Running, count, endpoint, hours, now, rows, settings, store, take, until};

#[tokio::test]
async fn answers_are_read_back_by_model_version_and_hour() {
    let (_folder, url) = endpoint().await;
    let (sampler, writer) = Sampler::new(store(&url), settings()).unwrap();
    let writer = Running::start(writer);
    for (model, id, rows) in [("mnist", "a", 2), ("mnist", "b", 1), ("odd/../name", "", 1)] {
        assert!(take(&sampler, model, id, rows));
    }
    writer.end().await;
    let reader = Reader::new(store(&url));
    let (first, last) = hours();
    let files = reader.list("mnist", Some(3), first, last).await.unwrap();
    let mut read = Vec::new();
    for file in &files {
        assert_eq!((file.model.as_str(), file.version, file.replica.as_str()), ("mnist", 3, "server-0"));
        assert!(file.bytes > 0 && file.first <= now());
        read.extend(reader.read(file).await.unwrap());
    }
    let found: Vec<(&str, u32)> = read.iter().map(|sample| (sample.request_id.as_str(), sample.row)).collect();
    assert_eq!(found, [("a", 0), ("a", 1), ("b", 0)]);
    let want = rows("a", 2);
    assert_eq!((&read[1].inputs, &read[1].outputs, read[1].version), (&want[1].inputs, &want[1].outputs, 3));
    assert!(read.iter().all(|sample| sample.is_intact() && sample.features.is_none()));
    assert_eq!(reader.list("odd/../name", None, first, last).await.unwrap().len(), 1);
    assert_eq!(
        reader.models().await.unwrap().into_iter().collect::<Vec<_>>(),
        [("mnist".to_owned(), 3), ("odd/../name".to_owned(), 3)]
    );
    // other versions, other hours, other models
    assert!(reader.list("mnist", Some(4), first, last).await.unwrap().is_empty());
    assert!(reader.list("mnist", None, first.after(-9), first.after(-1)).await.unwrap().is_empty());
    assert!(reader.list("mnis", None, first, last).await.unwrap().is_empty());
    let counts = sampler.counts();
    assert_eq!((count(&counts.requests), count(&counts.rows), count(&counts.failures)), (3, 4, 0));
}

#[tokio::test]
async fn files_are_written_by_size_and_by_age() {
    let (_folder, url) = endpoint().await;
    let (sampler, writer) = Sampler::new(store(&url), Settings { file: 1000, ..settings() }).unwrap();
    let by_size = Running::start(writer);
    assert!(take(&sampler, "mnist", "large", 5));
    until(&sampler, |counts| &counts.files, 1).await;
    by_size.end().await;
    let (sampler, writer) =
        Sampler::new(store(&url), Settings { age: Duration::from_millis(1), ..settings() }).unwrap();
    let by_age = Running::start(writer);
    assert!(take(&sampler, "mnist", "old", 1));
    until(&sampler, |counts| &counts.files, 1).await;
    by_age.end().await;
    assert_eq!(count(&sampler.counts().rows), 1);
}

#[tokio::test]
async fn old_files_are_deleted_and_nothing_else() {
    let (folder, url) = endpoint().await;
    let store = store(&url);
    store.ensure_bucket().await.unwrap();
    let hour = Hour::of(now());
    let at = |hours: i64| File {
        model: "mnist".to_owned(),
        version: 3,
        hour: hour.after(hours),
        first: hour.after(hours).begin(),
        replica: "server-0".to_owned(),
        unique: "00000000".to_owned(),
        bytes: 0,
    };
    for hours in [-24 * 8, -24 * 7 - 1, -24 * 7 + 1, 0] {
        store.write_own(&at(hours).key(), "x".into(), "application/octet-stream").await.unwrap();
    }
    let other = "mnist/3/1999-01-01/00/notes.txt";
    store.write_own(other, "x".into(), "text/plain").await.unwrap();
    let (sampler, writer) = Sampler::new(store.clone(), settings()).unwrap();
    let writer = Running::start(writer);
    until(&sampler, |counts| &counts.deleted, 2).await;
    writer.end().await;
    let reader = Reader::new(store);
    let left = reader.list("mnist", None, hour.after(-24 * 365), hour).await.unwrap();
    assert_eq!(left.iter().map(|file| file.hour).collect::<Vec<_>>(), [hour.after(-24 * 7 + 1), hour]);
    assert!(folder.path().join("requests").join(other).exists());
    // one that was listed and no longer exists, and one that is not a file of samples
    let gone = reader.read(&at(-24 * 8)).await.unwrap_err();
    assert!(matches!(gone, Error::Gone { .. }), "{gone}");
    let large = reader.read(&File { bytes: 1 << 40, ..at(0) }).await.unwrap_err();
    assert!(matches!(&large, Error::Malformed { reason, .. } if reason.contains("1099511627776 bytes")), "{large}");
    let malformed = reader.read(&at(0)).await.unwrap_err().to_string();
    assert!(malformed.contains("s3://requests/mnist/3/") && malformed.contains("not a file of samples"), "{malformed}");
}

#[tokio::test]
async fn before_anything_was_sampled_there_is_nothing() {
    let (_folder, url) = endpoint().await;
    let reader = Reader::new(store(&url));
    let (first, last) = hours();
    assert!(reader.list("mnist", None, first, last).await.unwrap().is_empty());
    assert!(reader.models().await.unwrap().is_empty());
    assert_eq!(reader.delete_before(last).await.unwrap(), 0);
}

#[test]
fn a_share_is_taken_by_chance_and_settings_are_checked() {
    let store = || store("http://127.0.0.1:1");
    let share = |share| Sampler::new(store(), Settings { share, ..settings() });
    for (given, least, most) in [(0.0, 0, 0), (0.1, 800, 1200), (1.0, 10_000, 10_000)] {
        let (sampler, _writer) = share(given).unwrap();
        let taken = (0..10_000).filter(|_| sampler.draw(1).is_some()).count();
        assert!((least..=most).contains(&taken), "{given}: {taken}");
    }
    for bad in [-0.1, 1.5, f64::NAN] {
        assert!(matches!(share(bad), Err(Error::Setting { .. })));
    }
    assert!(matches!(Sampler::new(store(), Settings { days: 0, ..settings() }), Err(Error::Setting { .. })));
}
