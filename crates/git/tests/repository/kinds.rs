//! The kinds of repositories that people have.

use std::fs;
use std::path::Path;

use slipway_git::{Error, Repository};

use crate::{change, git, repositories};

/// Reads, commits and pushes.
fn works(repository: &Repository, folder: &Path) {
    let head = repository.head().unwrap().unwrap();
    assert_eq!(repository.read(&head, "deep/er/b.txt").unwrap().unwrap(), b"b");
    assert_eq!(repository.read_all(&head, &[]).unwrap().len(), 3);
    let commit = repository.commit(Some(&head), &change("deep/x.txt", "x"), "change").unwrap();
    let bare = tempfile::tempdir().unwrap();
    git(bare.path(), &["init", "--quiet", "--bare"]);
    let remote = bare.path().display().to_string();
    // a shallow clone may not be able to push into an empty repository
    if git(folder, &["rev-parse", "--is-shallow-repository"]) == "true" {
        git(
            bare.path(),
            &["fetch", "--quiet", "--update-shallow", &folder.display().to_string(), "HEAD:refs/heads/main"],
        );
    }
    repository.push(&remote, &commit, "slipway/x").unwrap();
    assert_eq!(git(bare.path(), &["show", "slipway/x:deep/x.txt"]), "x");
    assert_eq!(repository.fetch(&remote, "slipway/x").unwrap(), commit);
}

#[test]
fn a_linked_work_tree_and_a_submodule_are_repositories() {
    let (folder, ..) = repositories();
    let (work, linked) = (folder.path().join("work"), folder.path().join("linked"));
    git(&work, &["worktree", "add", "--quiet", "--detach", &linked.display().to_string()]);
    fs::write(linked.join("a.txt"), "changed").unwrap();
    let opened = Repository::open(&linked.join("deep")).unwrap();
    assert_eq!(opened.root(), linked.canonicalize().unwrap());
    assert!(!opened.is_clean(&["a.txt"]).unwrap() && Repository::open(&work).unwrap().is_clean(&["a.txt"]).unwrap());
    works(&opened, &linked);

    let (outer, ..) = repositories();
    let outer = outer.path().join("work");
    let url = work.display().to_string();
    git(&outer, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "module"]);
    let opened = Repository::open(&outer.join("module/deep")).unwrap();
    assert_eq!(opened.root(), outer.join("module").canonicalize().unwrap());
    works(&opened, &outer.join("module"));
    // a submodule is not a file of the repository around it
    git(&outer, &["commit", "--quiet", "-m", "module"]);
    assert!(!Repository::open(&outer).unwrap().files("HEAD", &[]).unwrap().contains(&"module".to_owned()));
}

#[test]
fn packed_and_borrowed_objects_are_read() {
    let (folder, repository, ..) = repositories();
    let work = folder.path().join("work");
    git(&work, &["branch", "another"]);
    git(&work, &["gc", "--quiet"]);
    assert!(!work.join(".git/refs/heads/another").exists(), "packed");
    assert_eq!(repository.resolve("another").unwrap(), repository.head().unwrap());
    works(&repository, &work);

    let borrower = folder.path().join("borrower");
    git(folder.path(), &["clone", "--quiet", "--shared", "work", "borrower"]);
    works(&Repository::open(&borrower).unwrap(), &borrower);
}

#[test]
fn a_shallow_clone_works_and_never_names_a_wrong_commit() {
    let (folder, ..) = repositories();
    let work = folder.path().join("work");
    for text in ["2", "3"] {
        fs::write(work.join("run.sh"), text).unwrap();
        git(&work, &["commit", "--quiet", "-a", "-m", text]);
    }
    let url = format!("file://{}", work.display());
    git(folder.path(), &["clone", "--quiet", "--depth=2", &url, "shallow"]);
    let shallow = folder.path().join("shallow");
    let linked = folder.path().join("linked");
    git(&shallow, &["worktree", "add", "--quiet", "--detach", &linked.display().to_string()]);
    for folder in [&shallow, &linked] {
        let repository = Repository::open(folder).unwrap();
        let head = repository.head().unwrap().unwrap();
        let history = repository.path_history("HEAD", "run.sh").unwrap();
        assert_eq!(history.changes.iter().map(|change| change.commit.id.as_str()).collect::<Vec<_>>(), [head.as_str()]);
        let (oldest, held) = history.cut.unwrap();
        assert_eq!(oldest.id, repository.resolve("HEAD~1").unwrap().unwrap());
        assert_eq!(held["run.sh"], repository.blob_at("HEAD~1", "run.sh").unwrap().unwrap());
        // who brought it is not here, so nobody is named
        let cut = repository.path_history("HEAD", "a.txt").unwrap();
        assert!(cut.changes.is_empty() && cut.cut.unwrap().1.contains_key("a.txt"));
    }
    works(&Repository::open(&shallow).unwrap(), &shallow);
    // a forge may start at one
    let forge = Repository::init_bare(&folder.path().join("new.git")).unwrap();
    forge.fetch_into(&shallow.display().to_string(), "HEAD", "refs/heads/main").unwrap();
    assert_eq!(forge.files("main", &[]).unwrap().len(), 3);
}

#[test]
fn a_partial_clone_fetches_what_it_lacks() {
    let (folder, _, bare, head) = repositories();
    git(&bare, &["config", "uploadpack.allowFilter", "true"]);
    git(&bare, &["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let url = format!("file://{}", bare.display());
    for filter in ["blob:none", "tree:0"] {
        let name = filter.replace(':', "-");
        let arguments = ["clone", "--quiet", "--no-checkout", &format!("--filter={filter}"), &url, &name];
        git(folder.path(), &arguments);
        let repository = Repository::open(&folder.path().join(&name)).unwrap();
        assert_eq!(repository.read_all(&head, &[]).unwrap().len(), 3, "{filter}");
        assert_eq!(repository.read(&head, "deep/er/b.txt").unwrap().unwrap(), b"b");
        let commit = repository.commit(Some(&head), &change("x", "x"), "change").unwrap();
        repository.push(&url, &commit, &name).unwrap();
    }
}

#[test]
fn a_format_that_cannot_be_read_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "--quiet", "--object-format=sha256"]);
    let refused = Repository::open(folder.path()).unwrap_err();
    assert!(matches!(refused, Error::Unsupported { .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("sha256") && text.contains("SHA-1"), "{text}");

    let (folder, ..) = repositories();
    let work = folder.path().join("work");
    git(&work, &["config", "core.repositoryFormatVersion", "1"]);
    fs::write(
        work.join(".git/config"),
        fs::read_to_string(work.join(".git/config")).unwrap() + "[extensions]\n\trefStorage = reftable\n",
    )
    .unwrap();
    let refused = Repository::open(&work).unwrap_err();
    assert!(matches!(refused, Error::Unsupported { .. }) && refused.to_string().contains("refstorage"), "{refused}");
}

#[test]
fn a_repository_of_another_user_is_not_trusted() {
    use std::os::unix::fs::{MetadataExt, chown};

    let (folder, ..) = repositories();
    let work = folder.path().join("work");
    let foreign = if fs::metadata(&work).unwrap().uid() == 0 {
        for path in [work.clone(), work.join(".git")] {
            chown(path, Some(65534), Some(65534)).unwrap();
        }
        work.canonicalize().unwrap()
    } else {
        // Only root can give a folder away; for anybody else the system's own folders belong to another.
        git(&work, &["config", "core.worktree", "/"]);
        Path::new("/").to_owned()
    };
    let refused = Repository::open(&work.join("deep")).unwrap_err();
    assert!(matches!(&refused, Error::NotOwned(path) if *path == foreign), "{refused:?}");
    assert!(refused.to_string().contains("safe.directory") && refused.is_of_this_machine(), "{refused}");
}

#[test]
fn what_is_missing_or_damaged_is_said() {
    let (folder, repository, _, head) = repositories();
    let work = folder.path().join("work");
    let blob = git(&work, &["rev-parse", "HEAD:a.txt"]);
    let object = work.join(format!(".git/objects/{}/{}", &blob[..2], &blob[2..]));
    fs::remove_file(&object).unwrap();
    let missing = repository.read(&head, "a.txt").unwrap_err();
    assert!(matches!(&missing, Error::MissingObject(id) if *id == blob), "{missing}");
    fs::write(&object, "rubbish").unwrap();
    let damaged = repository.read(&head, "a.txt").unwrap_err().to_string();
    assert!(damaged.contains("git fsck"), "{damaged}");
    assert_eq!(repository.read(&head, "deep/er/b.txt").unwrap().unwrap(), b"b");
}
