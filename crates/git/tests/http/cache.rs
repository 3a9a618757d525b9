//! A cache of a repository that can be had again.

use std::fs;

use slipway_git::{Error, Repository};
use slipway_repositories::git;

use crate::{MAIN, Served};

#[tokio::test]
async fn a_cache_stays_what_it_is() {
    let served = Served::new().await;
    served.remote().fetch(&served.mirror, &[MAIN]).await.unwrap();
    let again = Repository::open_cache(served.mirror.root()).unwrap();
    assert_eq!(again.resolve(MAIN).unwrap(), Some(served.origin.head.clone()));
    assert!(again.is_bare());
    assert_eq!(git(again.root(), &["symbolic-ref", "HEAD"]), MAIN);
}

#[tokio::test]
async fn a_damaged_cache_is_made_anew() {
    let served = Served::new().await;
    let damages: [fn(&std::path::Path); 5] = [
        |top| fs::remove_file(top.join("HEAD")).unwrap(),
        |top| fs::write(top.join("refs/heads/main"), "").unwrap(),
        |top| fs::remove_dir_all(top.join("objects")).unwrap(),
        |top| fs::write(top.join("HEAD"), "\0\0\0").unwrap(),
        |top| {
            for pack in fs::read_dir(top.join("objects/pack")).unwrap() {
                fs::remove_file(pack.unwrap().path()).unwrap();
            }
        },
    ];
    for (index, damage) in damages.into_iter().enumerate() {
        let cache = Repository::open_cache(served.mirror.root()).unwrap();
        served.remote().fetch(&cache, &[MAIN]).await.unwrap();
        damage(cache.root());
        let again = Repository::open_cache(served.mirror.root()).unwrap();
        assert_eq!(again.references("refs/").unwrap(), [], "damage {index}");
        served.remote().fetch(&again, &[MAIN]).await.unwrap();
        assert_eq!(served.check(), format!("{MAIN} {}", served.origin.head));
    }
}

#[test]
fn nothing_but_a_cache_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let error = Repository::open_cache(folder.path()).unwrap_err();
    assert!(matches!(error, Error::NotACache(_)), "{error}");
    let inside = folder.path().join("deep/cache");
    git(folder.path(), &["init", "--quiet"]);
    assert!(Repository::open_cache(&inside).is_ok());
    // not the repository that it lies in
    fs::remove_file(inside.join("HEAD")).unwrap();
    let again = Repository::open_cache(&inside).unwrap();
    assert!(again.is_bare() && inside.join("HEAD").exists());
    // a volume has something of its own
    fs::create_dir_all(folder.path().join("volume/lost+found")).unwrap();
    assert!(Repository::open_cache(&folder.path().join("volume")).is_ok());
    let bare = folder.path().join("forge.git");
    Repository::init_bare(&bare).unwrap();
    assert!(matches!(Repository::open_cache(&bare), Err(Error::NotACache(_))));
    assert_eq!(fs::read_to_string(folder.path().join("thesis.txt")).unwrap(), "years of work");
}
