//! Real processes, in a process of their own: what is waited for here is every child.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::time::{Duration, Instant};

use slipway_processes::{Family, Pid, Signal, signal_group};

/// The ids that a program writes into a file, once it holds `count` of them.
async fn ids(file: &std::path::Path, count: usize) -> Vec<i32> {
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let ids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        if ids.len() == count && text.ends_with('\n') {
            return ids;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{text}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn lives(id: i32) -> bool {
    rustix::process::test_kill_process(Pid::from_raw(id).unwrap()).is_ok()
}

// One test: there is one family in a process.
#[tokio::test]
async fn nothing_outlives_its_family() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ids");
    let mut family = Family::adopt().unwrap();
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("FILE", &file).process_group(0);
        command
    };

    // exit codes and signals arrive
    let (pid, _) = family.spawn(&mut shell("exit 7")).unwrap();
    assert_eq!(family.wait(pid).await.unwrap().code(), Some(7));
    let (pid, _) = family.spawn(&mut shell("sleep 1000")).unwrap();
    signal_group(pid, Signal::TERM);
    assert_eq!(family.wait(pid).await.unwrap().signal(), Some(15));
    assert!(family.wait(pid).await.is_err(), "it is gone");
    assert_eq!(family.end().await, 0);

    // a child that ignores signals, one that left the group, and a grandchild of that one, all after their parent has ended
    let script = "sh -c 'trap \"\" TERM HUP; echo $$ >> $FILE; sleep 1000 & wait' &
        setsid sh -c 'echo $$ >> $FILE; sh -c \"echo \\$\\$ >> $FILE; sleep 1000 & wait\" & exit 0' &
        until [ $(wc -l < $FILE) = 3 ]; do sleep 0.01; done";
    std::fs::write(&file, "").unwrap();
    let (pid, _) = family.spawn(&mut shell(script)).unwrap();
    assert!(family.wait(pid).await.unwrap().success());
    let left = ids(&file, 3).await;
    assert!(left.iter().filter(|id| lives(**id)).count() >= 2, "{left:?}");
    assert_eq!(family.end().await, 0);
    assert!(!left.iter().any(|id| lives(*id)), "{left:?}");
    assert!(family.spawn(&mut Command::new("/does/not/exist")).is_err());
}
