//! What a hook, or a person's shell, says of repositories does not lead elsewhere.

use std::fs;
use std::path::Path;

use slipway_git::{Repository, check_out};

use crate::{alone, change, git, repositories};

/// What names another repository, pointed at nothing or at the victim.
fn hostile(victim: &Path) -> Vec<(&'static str, String)> {
    let of = |path: &str| victim.join(path).display().to_string();
    vec![
        ("GIT_DIR", of(".git")),
        ("GIT_INDEX_FILE", of(".git/index")),
        ("GIT_WORK_TREE", of("")),
        ("GIT_COMMON_DIR", of(".git")),
        ("GIT_OBJECT_DIRECTORY", of(".git/objects")),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", of("nowhere")),
        ("GIT_NAMESPACE", "elsewhere".to_owned()),
        ("GIT_PREFIX", "deep/".to_owned()),
        ("GIT_CEILING_DIRECTORIES", "/".to_owned()),
        ("GIT_CONFIG", of("nowhere")),
        ("GIT_SHALLOW_FILE", of("nowhere")),
        ("GIT_QUARANTINE_PATH", of("nowhere")),
    ]
}

/// Everything in a repository that a person would miss.
fn state(work: &Path) -> Vec<String> {
    let config = fs::read_to_string(work.join(".git/config")).unwrap();
    let index = fs::read(work.join(".git/index")).unwrap();
    let commands: [&[&str]; 4] =
        [&["status", "--porcelain"], &["for-each-ref"], &["ls-files", "-s"], &["count-objects", "-v"]];
    let mut state: Vec<String> = commands.iter().map(|command| git(work, command)).collect();
    state.extend([config, format!("{index:?}")]);
    state
}

#[test]
fn a_repository_is_the_one_that_was_named() {
    let test = "environment::a_repository_is_the_one_that_was_named";
    // made anew by the process inside, which finds it by this variable
    let victim = tempfile::tempdir().unwrap();
    let path = victim.path().display().to_string();
    let inside = std::env::var("VICTIM").unwrap_or_else(|_| path.clone());
    let victim = Path::new(&inside);
    if inside == path {
        git(victim, &["init", "--quiet", "--initial-branch=main"]);
        fs::write(victim.join("mine"), "mine").unwrap();
        git(victim, &["add", "."]);
        git(victim, &["commit", "--quiet", "-m", "mine"]);
    }
    let mut environment = hostile(victim);
    environment.push(("VICTIM", path.clone()));
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let before = state(victim);
    alone(test, &environment, || {
        let (folder, repository, bare, head) = repositories();
        let work = folder.path().join("work");
        assert_eq!(repository.root(), work.canonicalize().unwrap());
        assert_eq!(repository.files("HEAD", &[]).unwrap(), ["a.txt", "deep/er/b.txt", "run.sh"]);
        assert!(repository.is_clean(&["a.txt"]).unwrap());
        let commit = repository.commit(Some(&head), &change("x", "x"), "change").unwrap();
        let remote = bare.display().to_string();
        repository.push(&remote, &commit, "main").unwrap();
        assert_eq!(repository.fetch(&remote, "main").unwrap(), commit);
        assert_eq!(git(&bare, &["rev-parse", "refs/heads/main"]), commit);
        let made = Repository::init_bare(&folder.path().join("made.git")).unwrap();
        made.fetch_into(&work.display().to_string(), "HEAD", "refs/heads/main").unwrap();
        assert_eq!(made.reference("refs/heads/main").unwrap(), Some(head));
    });
    assert_eq!(state(victim), before);
}

#[test]
fn another_repository_is_checked_out_beside_the_one_of_a_hook() {
    use std::os::unix::fs::PermissionsExt;

    let test = "environment::another_repository_is_checked_out_beside_the_one_of_a_hook";
    if std::env::var_os("UPSTREAM").is_some() {
        // inside the hook, with what git has set there
        return alone(test, &[], || {
            assert!(std::env::var_os("GIT_INDEX_FILE").is_some(), "git sets it for a hook");
            let folder = tempfile::tempdir().unwrap();
            let into = folder.path().join("checkout");
            check_out(&std::env::var("UPSTREAM").unwrap(), "v1", "deep", &into).unwrap();
            assert_eq!(fs::read_to_string(into.join("deep/er/b.txt")).unwrap(), "b");
        });
    }
    let (upstream, ..) = repositories();
    let upstream = upstream.path().join("work");
    git(&upstream, &["tag", "v1"]);
    let (folder, ..) = repositories();
    let work = folder.path().join("work");
    let linked = folder.path().join("linked");
    git(&work, &["worktree", "add", "--quiet", &linked.display().to_string(), "-b", "linked"]);
    let hook = work.join(".git/hooks/pre-commit");
    let me = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\nUPSTREAM='{}' SLIPWAY_TEST_ALONE='{test}' exec '{}' --exact '{test}' --nocapture\n",
        upstream.display(),
        me.display()
    );
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let config = fs::read_to_string(work.join(".git/config")).unwrap();
    for work in [&work, &linked] {
        fs::write(work.join("a.txt"), "my change").unwrap();
        // `-a` gives the hook an index of its own by an absolute GIT_INDEX_FILE, a linked work tree an absolute GIT_DIR
        git(work, &["commit", "--quiet", "-a", "-m", "mine"]);
        assert_eq!(git(work, &["ls-tree", "-r", "--name-only", "HEAD"]), "a.txt\ndeep/er/b.txt\nrun.sh");
        assert_eq!(git(work, &["show", "HEAD:a.txt"]), "my change");
        assert_eq!(git(work, &["status", "--porcelain"]), "");
    }
    assert_eq!(fs::read_to_string(work.join(".git/config")).unwrap(), config);
}

#[test]
fn who_is_configured_commits_and_otherwise_slipway() {
    let nobody = [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_AUTHOR_NAME", ""),
        ("GIT_AUTHOR_EMAIL", ""),
        ("GIT_COMMITTER_NAME", ""),
        ("GIT_COMMITTER_EMAIL", ""),
        ("EMAIL", ""),
    ];
    alone("environment::who_is_configured_commits_and_otherwise_slipway", &nobody, || {
        let (folder, repository, _, head) = repositories();
        let work = folder.path().join("work");
        let who = || {
            let commit = repository.commit(Some(&head), &change("x", "x"), "change").unwrap();
            git(&work, &["log", "-1", "--format=%an <%ae>, %cn <%ce>", &commit])
        };
        assert_eq!(who(), "Slipway <slipway@localhost>, Slipway <slipway@localhost>");
        git(&work, &["config", "user.name", "A Person"]);
        assert_eq!(who(), "Slipway <slipway@localhost>, Slipway <slipway@localhost>");
        git(&work, &["config", "user.email", "a@example.org"]);
        assert_eq!(who(), "A Person <a@example.org>, A Person <a@example.org>");
        // what only git itself understands: an include for repositories with such a remote
        let included = folder.path().join("included");
        fs::write(&included, "[author]\n\tname = Another <Person>\n\temail = b@example.org\n").unwrap();
        git(&work, &["remote", "add", "origin", "https://git.example.org/a/b"]);
        let condition = "includeIf.hasconfig:remote.*.url:https://git.example.org/**.path";
        git(&work, &["config", condition, &included.display().to_string()]);
        assert_eq!(who(), "Another Person <b@example.org>, A Person <a@example.org>");
    });
}

#[test]
fn the_environment_names_who_commits() {
    let bot = [("GIT_AUTHOR_NAME", "Bot"), ("GIT_AUTHOR_EMAIL", "bot@example.org")];
    alone("environment::the_environment_names_who_commits", &bot, || {
        let (folder, repository, _, head) = repositories();
        let work = folder.path().join("work");
        git(&work, &["config", "user.name", "A Person"]);
        git(&work, &["config", "user.email", "a@example.org"]);
        let commit = repository.commit(Some(&head), &change("x", "x"), "change").unwrap();
        assert_eq!(git(&work, &["log", "-1", "--format=%an <%ae>, %cn", &commit]), "Bot <bot@example.org>, A Person");
    });
}
