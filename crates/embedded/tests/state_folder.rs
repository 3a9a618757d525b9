//! The state folder between processes: this test program runs itself as another process of the loop.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use slipway_embedded::{Error, Holder, State, StateFolder};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
const FOLDER: &str = "SLIPWAY_TEST_FOLDER";

/// Another process, killed at the end.
struct Other(Child);

impl Other {
    /// Runs one of the functions below in a process of its own.
    fn run(function: &str, folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", function, "--ignored"]).env(FOLDER, folder).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os(FOLDER).unwrap())
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn state(pid: u32) -> State {
    let url = || "http://127.0.0.1:1".to_owned();
    State {
        pid,
        s3: url(),
        mlflow: url(),
        server: url(),
        manager: url(),
        monitor: url(),
        page: url(),
        kubeconfig: PathBuf::from("/kubeconfig"),
        forge: PathBuf::from("/forge.git"),
    }
}

/// Not a test: holds the folder, and is ready once a file says so.
#[test]
#[ignore = "is run by the other tests"]
fn a_loop() {
    let held = StateFolder::take(&folder(), false).unwrap();
    wait_for("the word to be ready", || folder().join("be-ready").exists().then_some(()));
    state(std::process::id()).publish(&held).unwrap();
    loop {
        std::thread::park();
    }
}

/// Not a test: asks about the folder again and again.
#[test]
#[ignore = "is run by the other tests"]
fn a_reader() {
    loop {
        StateFolder::holder(&folder()).unwrap();
        State::read(&folder()).unwrap();
        std::fs::write(folder().join("has-read"), "").unwrap();
    }
}

#[test]
fn a_reader_never_stands_in_a_starters_way() {
    let folder = tempfile::tempdir().unwrap();
    drop(StateFolder::take(folder.path(), false).unwrap());
    let _readers = [Other::run("a_reader", folder.path()), Other::run("a_reader", folder.path())];
    for _ in 0..20 {
        wait_for("a reader", || std::fs::remove_file(folder.path().join("has-read")).ok());
        for _ in 0..20 {
            drop(StateFolder::take(folder.path(), false).unwrap());
        }
    }
}

#[test]
fn the_kernel_says_who_holds_a_folder_and_whether_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    // What a loop leaves that was killed: a state of a process id that may be anybody's by now.
    drop(StateFolder::take(folder.path(), false).unwrap());
    std::fs::write(folder.path().join("state.json"), serde_json::to_string(&state(1)).unwrap()).unwrap();
    assert_eq!(StateFolder::holder(folder.path()).unwrap(), None);
    assert_eq!(State::read(folder.path()).unwrap(), None);

    let mut other = Other::run("a_loop", folder.path());
    let pid = other.0.id();
    let starting = wait_for("the other process", || StateFolder::holder(folder.path()).unwrap());
    assert_eq!(starting, Holder { pid: Some(pid), ready: false });
    assert_eq!(State::read(folder.path()).unwrap(), None);
    let refused = StateFolder::take(folder.path(), false).unwrap_err();
    assert!(matches!(refused, Error::Locked { pid: Some(holder), .. } if holder == pid), "{refused}");

    std::fs::write(folder.path().join("be-ready"), "").unwrap();
    assert_eq!(wait_for("a ready loop", || State::read(folder.path()).unwrap()), state(pid));
    assert_eq!(StateFolder::holder(folder.path()).unwrap(), Some(Holder { pid: Some(pid), ready: true }));
    assert!(StateFolder::take(folder.path(), true).is_err(), "nor is a ready one replaced");

    other.0.kill().unwrap();
    other.0.wait().unwrap();
    assert!(folder.path().join("state.json").exists());
    assert_eq!(StateFolder::holder(folder.path()).unwrap(), None);
    assert_eq!(State::read(folder.path()).unwrap(), None);
}

#[test]
fn only_the_process_that_holds_the_folder_is_told_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut stranger = Other(Command::new("sleep").arg("1000").spawn().unwrap());
    let mut other = Other::run("a_loop", folder.path());
    wait_for("the other process", || StateFolder::holder(folder.path()).unwrap());
    // A dead loop's state names a process id that a stranger has by now.
    let left = serde_json::to_string(&state(stranger.0.id())).unwrap();
    std::fs::write(folder.path().join("state.json"), left).unwrap();

    assert_eq!(StateFolder::terminate_holder(folder.path()).unwrap(), Some(other.0.id()));
    assert_eq!(other.0.wait().unwrap().signal(), Some(15));
    assert_eq!(StateFolder::terminate_holder(folder.path()).unwrap(), None);
    assert!(stranger.0.try_wait().unwrap().is_none(), "the stranger was not touched");
}
