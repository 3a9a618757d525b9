//! Which commits changed a path, and which contents a history has.

use std::fs;

use slipway_git::{Repository, blob_id};

use crate::{git, repositories};

/// A work tree with merges whose parents have other contents.
fn branchy() -> (tempfile::TempDir, Repository) {
    let (folder, repository, _, _) = repositories();
    let work = folder.path().join("work");
    // a changed mode is no other content
    git(&work, &["config", "core.fileMode", "false"]);
    let commit = |file: &str, text: &str| {
        fs::write(work.join(file), text).unwrap();
        git(&work, &["add", "."]);
        git(&work, &["commit", "--quiet", "-m", &text.replace('\n', " ")]);
    };
    git(&work, &["checkout", "--quiet", "-b", "side"]);
    commit("side.txt", "s");
    commit("a.txt", "first on the side\ntwo\nthree\n");
    commit("a.txt", "side\ntwo\nthree\n");
    git(&work, &["checkout", "--quiet", "main"]);
    commit("run.sh", "#!/bin/sh\ntrue\n");
    git(&work, &["merge", "--quiet", "--no-ff", "-m", "merge", "side"]);
    git(&work, &["rm", "--quiet", "side.txt"]);
    git(&work, &["commit", "--quiet", "-m", "removed"]);
    commit("deep/er/c.txt", "c");
    (folder, repository)
}

#[test]
fn a_path_has_the_history_that_git_shows() {
    let (folder, repository) = branchy();
    let work = folder.path().join("work");
    for revision in ["main", "main~2", "side"] {
        for path in ["a.txt", "run.sh", "side.txt", "deep/er/b.txt", "deep/er/c.txt", "never", "deep/er"] {
            let file = if path == "deep/er" { "no-file-but-a-folder" } else { path };
            let expected = git(&work, &["log", "--first-parent", "--format=%H %ct %s", revision, "--", file]);
            let history = repository.path_history(revision, path).unwrap();
            let found = history
                .changes
                .iter()
                .map(|change| format!("{} {} {}", change.commit.id, change.commit.time, change.commit.subject()));
            assert_eq!(found.collect::<Vec<_>>().join("\n"), expected, "{path} at {revision}");
            assert_eq!(history.cut, None);
        }
    }
    let history = repository.path_history("main", "side.txt").unwrap();
    let blobs: Vec<_> = history.changes.iter().map(|change| change.blob.clone()).collect();
    assert_eq!(blobs, [None, Some(blob_id(b"s"))], "removed after it came");
}

#[test]
fn a_folder_has_the_history_that_git_shows() {
    let (folder, repository) = branchy();
    let work = folder.path().join("work");
    for (revision, place) in
        [("main", ""), ("main", "deep/er"), ("main~2", ""), ("side", ""), ("main", "never"), ("main", "a.txt")]
    {
        let found = repository.folder_history(revision, place, None).unwrap();
        assert!(!found.has_met);
        let line: Vec<String> =
            git(&work, &["rev-list", "--first-parent", revision]).lines().map(str::to_owned).collect();
        assert!(found.changes.iter().all(|change| line[change.newer] == change.commit.id));
        let found: Vec<String> = found
            .changes
            .iter()
            .flat_map(|change| {
                let written = change.written.keys().map(|name| format!("{} + {name}", change.commit.id));
                let removed = change.removed.iter().map(|name| format!("{} - {name}", change.commit.id));
                let mut lines: Vec<String> = written.chain(removed).collect();
                lines.sort_by(|a, b| a[43..].cmp(&b[43..]));
                lines
            })
            .collect();
        let mut expected = Vec::new();
        for commit in &line {
            let options = [
                "diff-tree",
                "--root",
                "--no-commit-id",
                "--name-status",
                "--no-renames",
                "--diff-merges=first-parent",
                "-r",
                commit,
            ];
            for line in git(&work, &options).lines() {
                let (kind, path) = line.split_once('\t').unwrap();
                let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
                if above == place && place != "a.txt" {
                    expected.push(format!("{commit} {} {name}", if kind == "D" { '-' } else { '+' }));
                }
            }
        }
        assert_eq!(found, expected, "{place} at {revision}");
    }
    let tip = git(&work, &["rev-parse", "main"]);
    let before = git(&work, &["rev-parse", "main~1"]);
    let since = |place: &str, until: &str| repository.folder_history("main", place, Some(until)).unwrap();
    assert_eq!((since("", &tip).changes, since("", &tip).has_met), (vec![], true));
    assert_eq!((since("deep/er", &before).changes.len(), since("deep/er", &before).has_met), (1, true));
    let side = git(&work, &["rev-parse", "side"]);
    assert!(!since("", &side).has_met, "it is on no first parent's line");
}

#[test]
fn a_star_stands_for_any_folder() {
    let (_folder, repository) = branchy();
    for (pattern, paths) in [
        ("deep/*/c.txt", &["deep/er/c.txt"][..]),
        ("deep/*/b.txt", &["deep/er/b.txt"]),
        ("*/er/b.txt", &[]),
        ("deep/*/*/b.txt", &[]),
    ] {
        let history = repository.path_history("main", pattern).unwrap();
        let found: Vec<_> = history.changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(found, paths, "{pattern}");
    }
}

#[test]
fn a_file_that_was_there_and_is_not_now_was_removed() {
    let (folder, repository) = branchy();
    let work = folder.path().join("work");
    git(&work, &["rm", "--quiet", "deep/er/c.txt"]);
    git(&work, &["commit", "--quiet", "-m", "removed too"]);
    let paths = ["deep/er/b.txt", "deep/er/c.txt", "deep/er/never.txt", "never/c.txt", "never"].map(str::to_owned);
    let removed = |revision| repository.removed_before(revision, &paths.clone().into()).unwrap();
    assert_eq!(removed("main"), ["deep/er/c.txt".to_owned()].into());
    // it is there, or was not there yet
    assert_eq!(removed("main~1"), [].into());
    assert_eq!(removed("main~2"), [].into());
    assert_eq!(repository.removed_before("main", &[].into()).unwrap(), [].into());
}

#[test]
fn a_content_that_any_parent_leads_to_is_not_missing() {
    let (folder, repository) = branchy();
    let content = |path: &str, text: &str| (path.to_owned(), blob_id(text.as_bytes()));
    let missing = |repository: &Repository, contents: &[(String, String)]| {
        repository.missing_from_history("HEAD", contents.iter().cloned().collect()).unwrap()
    };
    let on_the_side = content("a.txt", "first on the side\ntwo\nthree\n");
    let first = content("a.txt", "one\ntwo\nthree\n");
    let elsewhere = content("run.sh", "side\ntwo\nthree\n");
    let never = content("a.txt", "never");
    let found = missing(&repository, &[on_the_side.clone(), first.clone(), elsewhere.clone(), never.clone()]);
    assert_eq!(found.contents, [elsewhere, never.clone()].into());
    assert!(!found.is_cut);

    let url = format!("file://{}", folder.path().join("work").display());
    git(folder.path(), &["clone", "--quiet", "--depth=2", &url, "shallow"]);
    let shallow = Repository::open(&folder.path().join("shallow")).unwrap();
    let found = missing(&shallow, &[first.clone(), never.clone()]);
    assert_eq!((found.contents, found.is_cut), ([first, never].into(), true));
}

#[test]
fn a_content_has_the_id_that_git_gives_it() {
    let (folder, repository, _, head) = repositories();
    let id = git(&folder.path().join("work"), &["rev-parse", "HEAD:a.txt"]);
    assert_eq!(blob_id(b"one\ntwo\nthree\n"), id);
    assert_eq!(repository.blob_at(&head, "a.txt").unwrap(), Some(id));
    assert_eq!(repository.blob_at(&head, "deep").unwrap(), None);
    assert_eq!(repository.first_parent(&head).unwrap(), None);
    assert!(repository.contains(&head, &head).unwrap());
}

#[test]
fn line_ends_are_those_that_git_would_commit() {
    let (folder, repository, _, _) = repositories();
    let work = folder.path().join("work");
    fs::write(work.join("a.txt"), "one\r\ntwo\r\n").unwrap();
    fs::write(work.join("deep/new.txt"), "one\r\ntwo\r\n").unwrap();
    let objects = git(&work, &["count-objects", "-v"]);
    let read = |path: &str| String::from_utf8(repository.as_committed(path).unwrap()).unwrap();
    assert_eq!(read("a.txt"), "one\r\ntwo\r\n", "git is not asked to convert");
    git(&work, &["config", "core.autocrlf", "true"]);
    assert_eq!((read("a.txt").as_str(), read("deep/new.txt").as_str()), ("one\ntwo\n", "one\ntwo\n"));
    fs::write(work.join(".gitattributes"), "deep/* -text\n").unwrap();
    assert_eq!(read("deep/new.txt"), "one\r\ntwo\r\n");
    let inside = Repository::project(&work.join("deep")).unwrap();
    assert_eq!(inside.as_committed("new.txt").unwrap(), b"one\r\ntwo\r\n");
    git(&work, &["config", "core.autocrlf", "false"]);
    fs::write(work.join(".gitattributes"), "* text=auto eol=lf\n").unwrap();
    assert_eq!((read("a.txt").as_str(), read("deep/new.txt").as_str()), ("one\ntwo\n", "one\ntwo\n"));
    assert_eq!(git(&work, &["count-objects", "-v"]), objects, "nothing is written");
}
