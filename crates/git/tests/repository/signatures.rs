//! Commits are signed when `commit.gpgsign` says so, in each of git's formats.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use slipway_git::{Error, Repository};

use crate::{change, git, repositories};

fn run(program: &str, arguments: &[&str], home: &Path) -> String {
    let done = Command::new(program).args(arguments).env("GNUPGHOME", home).output();
    let done = done.unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Makes a commit of the one file, which must be on top of `head` and leave everything else as it is.
fn signed(work: &Path, head: &str) -> String {
    let repository = Repository::open(work).unwrap();
    let before = git(work, &["for-each-ref"]);
    let commit = repository.commit(Some(head), &change("x", "x"), "change\n\nwhy\n").unwrap();
    assert_eq!(git(work, &["for-each-ref"]), before);
    assert_eq!(git(work, &["log", "-1", "--format=%P %an %cn %B", &commit]), format!("{head} Ann Ann change\n\nwhy"));
    assert_eq!(repository.read(&commit, "x").unwrap().unwrap(), b"x");
    commit
}

fn configure(work: &Path, settings: &[(&str, &str)]) {
    for (name, value) in [("user.name", "Ann"), ("user.email", "ann@example.org"), ("commit.gpgsign", "true")] {
        git(work, &["config", name, value]);
    }
    for (name, value) in settings {
        git(work, &["config", name, value]);
    }
}

#[test]
fn by_an_ssh_key() {
    let (folder, _, _, head) = repositories();
    let (work, key) = (folder.path().join("work"), folder.path().join("key"));
    let key = key.display().to_string();
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f", &key], folder.path());
    let public = fs::read_to_string(format!("{key}.pub")).unwrap();
    let allowed = folder.path().join("allowed");
    fs::write(&allowed, format!("ann@example.org {public}")).unwrap();
    let allowed = allowed.display().to_string();
    configure(&work, &[("gpg.format", "ssh"), ("user.signingkey", &key), ("gpg.ssh.allowedSignersFile", &allowed)]);
    let commit = signed(&work, &head);
    git(&work, &["verify-commit", &commit]);
    // a second on top of it, as a proposal makes them
    let second = Repository::open(&work).unwrap().commit(Some(&commit), &change("y", "y"), "second").unwrap();
    git(&work, &["verify-commit", &second]);
}

#[test]
fn by_an_openpgp_key() {
    let (folder, _, _, head) = repositories();
    let (work, home) = (folder.path().join("work"), tempfile::tempdir().unwrap());
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let key =
        ["--batch", "--passphrase", "", "--quick-generate-key", "Ann <ann@example.org>", "ed25519", "sign", "never"];
    run("gpg", &key, home.path());
    // the program that `gpg.program` names, with a home of its own
    let program = folder.path().join("my-gpg");
    fs::write(&program, format!("#!/bin/sh\nGNUPGHOME='{}' exec gpg \"$@\"\n", home.path().display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    configure(&work, &[("gpg.program", &program.display().to_string())]);
    git(&work, &["verify-commit", &signed(&work, &head)]);
    run("gpgconf", &["--kill", "all"], home.path());
}

#[test]
fn by_an_x509_certificate() {
    let (folder, _, _, head) = repositories();
    let work = folder.path().join("work");
    // what `gpg.x509.program` names is asked as gpgsm is: it signs standard input and says so on the status descriptor
    let program = folder.path().join("my-gpgsm");
    let script = "#!/bin/sh\n[ \"$2\" = -bsau ] || exit 2\ncat >/dev/null\necho '[GNUPG:] BEGIN_SIGNING' >&2\n\
                  printf '%s\\n' '-----BEGIN SIGNED MESSAGE-----' ann '-----END SIGNED MESSAGE-----'\n\
                  echo '[GNUPG:] SIG_CREATED D 1 8 00 1 AA' >&2\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    configure(&work, &[("gpg.format", "x509"), ("gpg.x509.program", &program.display().to_string())]);
    let commit = signed(&work, &head);
    let object = git(&work, &["cat-file", "commit", &commit]);
    assert!(object.contains("gpgsig -----BEGIN SIGNED MESSAGE-----\n ann\n"), "{object}");
}

#[test]
fn a_merge_is_signed_too() {
    let (folder, _, bare, head) = repositories();
    let key = folder.path().join("key").display().to_string();
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f", &key], folder.path());
    configure(&bare, &[("gpg.format", "ssh"), ("user.signingkey", &key)]);
    let forge = Repository::open(&bare).unwrap();
    let tree = forge.tree_of(&head).unwrap();
    let merge = forge.commit_tree(&tree, &[&head, &head], "merge").unwrap();
    assert!(git(&bare, &["cat-file", "commit", &merge]).contains("gpgsig -----BEGIN SSH SIGNATURE-----"));
}

#[test]
fn a_commit_that_cannot_be_signed_is_not_made() {
    let (folder, repository, _, head) = repositories();
    let work = folder.path().join("work");
    let commits = || git(&work, &["cat-file", "--batch-all-objects", "--batch-check"]).matches(" commit ").count();
    let before = commits();
    let no_key = folder.path().join("no-such-key").display().to_string();
    for settings in [
        &[("gpg.program", "false")][..],
        &[("gpg.program", "true")],
        &[("gpg.program", "/no/such/program")],
        &[("gpg.format", "ssh"), ("user.signingkey", &no_key)],
        &[("gpg.format", "rot13")],
        &[("commit.gpgsign", "perhaps")],
    ] {
        configure(&work, settings);
        let refused = repository.commit(Some(&head), &change("x", "x"), "change").unwrap_err();
        assert!(matches!(refused, Error::NotSigned { .. }), "{settings:?}: {refused:?}");
        assert_eq!(commits(), before, "{settings:?}");
    }
    git(&work, &["config", "commit.gpgsign", "true"]);
    git(&work, &["config", "gpg.format", "openpgp"]);
    git(&work, &["config", "gpg.program", "false"]);
    let advice = repository.commit(Some(&head), &change("x", "x"), "change").unwrap_err().to_string();
    for words in ["not made: gpg failed to sign the data", "user.signingkey", "git config commit.gpgsign false"] {
        assert!(advice.contains(words), "{advice}");
    }
    assert!(!advice.contains(":;") && !advice.contains("?;") && !advice.contains("error:"), "{advice}");
    git(&work, &["config", "commit.gpgsign", "false"]);
    repository.commit(Some(&head), &change("x", "x"), "change").unwrap();
}
