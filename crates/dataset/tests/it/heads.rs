//! Heads: who moves one knows what it was.

use slipway_dataset::{Blob, Digest, Head, Listed, Moved, Store};
use tempfile::TempDir;

use crate::endpoint::{SECRET, endpoint, store};

async fn empty() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&endpoint(folder.path()).await, SECRET);
    store.ensure_bucket().await.unwrap();
    (folder, store)
}

fn head(name: &str) -> Head {
    let digest = Digest::of(name);
    Head { manifest: digest, report: digest, assignments: Blob { digest, size: 1 } }
}

#[tokio::test]
async fn of_two_who_move_a_head_one_wins() {
    let (_folder, store) = empty().await;
    assert_eq!(store.head("d").await.unwrap(), None);
    assert_eq!(store.move_head("d", None, &head("one")).await.unwrap(), Moved::Moved);
    assert_eq!(store.move_head("d", None, &head("other")).await.unwrap(), Moved::Overtaken);
    let one = store.head("d").await.unwrap();
    assert_eq!(one.as_ref().map(|seen| &seen.head), Some(&head("one")));
    let (a, b) = (head("a"), head("b"));
    let both = tokio::join!(store.move_head("d", one.as_ref(), &a), store.move_head("d", one.as_ref(), &b));
    let won = [both.0.unwrap(), both.1.unwrap()].map(|moved| moved == Moved::Moved);
    assert_ne!(won[0], won[1]);
    let now = store.head("d").await.unwrap().unwrap();
    assert_eq!(now.head, if won[0] { a } else { b });
    // the same again is no conflict: the answer to the first attempt may have been lost
    assert_eq!(store.move_head("d", one.as_ref(), &now.head).await.unwrap(), Moved::Moved);
    assert_eq!(store.move_head("d", one.as_ref(), &head("late")).await.unwrap(), Moved::Overtaken);
}

#[tokio::test]
async fn a_head_that_is_something_else_is_named() {
    let (folder, store) = empty().await;
    store.move_head("d", None, &head("one")).await.unwrap();
    std::fs::write(folder.path().join("datasets/heads/d.json"), "{}").unwrap();
    let error = store.head("d").await.unwrap_err().to_string();
    assert!(error.contains("s3://datasets/heads/d.json") && error.contains("missing field"), "{error}");
}

#[tokio::test]
async fn everything_below_a_prefix_is_listed_once() {
    let (folder, store) = empty().await;
    let landing = folder.path().join("landing");
    for number in 0..1203 {
        let path = landing.join(format!("digits/{}/{number}.png", number % 3));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x".repeat(number % 5)).unwrap();
    }
    std::fs::write(landing.join("other"), "").unwrap();
    let list = async |bucket: &str| {
        let mut all: Vec<Listed> = Vec::new();
        let listed: Result<(), slipway_dataset::Error> = store
            .list(bucket, "digits/", |object| {
                all.push(object);
                Ok(())
            })
            .await;
        listed.map(|()| all)
    };
    let all = list("landing").await.unwrap();
    assert_eq!(all.len(), 1203);
    assert!(all.is_sorted_by(|a, b| a.key < b.key) && all.iter().all(|object| !object.version.is_empty()));
    assert_eq!(all.iter().map(|object| object.size).sum::<u64>(), (0..1203_u64).map(|number| number % 5).sum::<u64>());
    let object = store.read_object("landing", "digits/1/4.png", 4).await.unwrap().unwrap();
    assert_eq!(&object[..], b"xxxx");
    assert!(
        store.read_object("landing", "digits/1/4.png", 3).await.unwrap_err().to_string().contains("more than 3 bytes")
    );
    assert_eq!(store.read_object("landing", "digits/1/x.png", 4).await.unwrap(), None);
    assert!(list("nothing").await.unwrap_err().to_string().contains("s3://nothing"));
}

#[tokio::test]
async fn a_report_is_verified() {
    let (folder, store) = empty().await;
    let manifest = Digest::of("manifest");
    let report = store.push_report(&manifest, b"{}").await.unwrap();
    assert_eq!(&store.report(&manifest, &report).await.unwrap()[..], b"{}");
    let path = folder.path().join(format!("datasets/reports/{}/{}.json", manifest.hex(), report.hex()));
    std::fs::write(path, "[]").unwrap();
    assert!(store.report(&manifest, &report).await.unwrap_err().to_string().contains("does not match its digest"));
    assert!(store.report(&report, &report).await.unwrap_err().to_string().contains("is not in the store"));
}
