//! The same commit gives the same digest: in another work tree, at another time, as another user.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use slipway_images::built::{ALL, Image, image, run};
use slipway_loop::programs::{fresh_clone, given, program};

/// Another user than the one that runs the tests, by number: no account is needed.
const SOMEONE: &str = "12345";

fn copy(from: &Path, to: &Path) -> Result<()> {
    let done = Command::new("cp").args(["-r", "--no-preserve=all"]).arg(from).arg(to).output()?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

#[test]
fn two_work_trees_two_times_two_users() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    let first = folder.path().join("a");
    fresh_clone(&first)?;
    let second = folder.path().join("a much longer name, with spaces/clone");
    std::fs::create_dir_all(second.parent().context("a parent")?)?;
    fresh_clone(&second)?;

    // the second one's programs: of another compilation when `make test-reproducible` gives one, in any case files of another time
    let other = folder.path().join("other");
    let release = other.join("target/release");
    std::fs::create_dir_all(&release)?;
    let programs =
        std::env::var_os("SLIPWAY_SECOND_BIN").map_or_else(|| given("SLIPWAY_BIN"), |path| Ok(path.into()))?;
    for name in ["slipway-trainer", "slipway-server", "slipway-manager", "slipway-monitor"] {
        std::fs::copy(programs.join(name), release.join(name))?;
    }
    // downloads are checked by their hashes; finished layers are not taken over
    let cache = given("SLIPWAY_CACHE_FOLDER")?;
    let theirs = other.join("cache/slipway");
    std::fs::create_dir_all(&theirs)?;
    for name in ALL {
        image(&first, &["build", name])?;
    }
    for name in ["debs", "wheels"] {
        copy(&cache.join(name), &theirs.join(name))?;
    }
    copy(&given("LIBTORCH")?, &other.join("libtorch"))?;
    let slipway = other.join("slipway");
    std::fs::copy(program("slipway")?, &slipway)?;
    // cargo only says which crates there are; its registry is this machine's
    let root = rustix::process::geteuid().is_root();
    for path in [&other, &second] {
        let done = Command::new("find")
            .arg(path)
            .args(["-exec", "touch", "-h", "-d", "2001-02-03 04:05:06", "{}", "+"])
            .output()?;
        ensure!(done.status.success());
        if root {
            let done = Command::new("chown").args(["-R", &format!("{SOMEONE}:{SOMEONE}")]).arg(path).output()?;
            ensure!(done.status.success());
        }
    }

    for name in ALL {
        let mine = Image::build(&first, name, &folder.path().join(name))?;
        let mut command = Command::new(if root { "setpriv" } else { "env" });
        if root {
            command.args([&format!("--reuid={SOMEONE}"), &format!("--regid={SOMEONE}"), "--clear-groups", "--"]);
        }
        // a tar, because it is written without the attachments, which need cargo
        let tar = other.join(format!("{name}.tar"));
        command
            .args(["sh", "-c", "umask 077 && exec \"$@\"", "sh"])
            .arg(&slipway)
            .arg("--repo")
            .arg(&second)
            .args(["-o", "json", "image", "build", name, "--to", &format!("tar:{}", tar.display())])
            .env("HOME", &other)
            .env("XDG_CACHE_HOME", other.join("cache"))
            .env("CARGO_TARGET_DIR", other.join("target"))
            .env("LIBTORCH", other.join("libtorch"))
            .env_remove("SLIPWAY_PYTHON")
            .env("TZ", "Pacific/Chatham")
            .env("LANG", "tr_TR.UTF-8");
        let theirs = run(&mut command)?;
        ensure!(theirs["digest"] == mine.digest.as_str(), "{name}: {} here, {theirs} there", mine.digest);
    }
    Ok(())
}

#[test]
fn a_rebuild_without_the_cache_is_the_same() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clone = folder.path().join("clone");
    fresh_clone(&clone)?;
    for name in ALL {
        let layout = folder.path().join(name);
        Image::build(&clone, name, &layout)?;
        let verdict = image(&clone, &["verify", name, "--layout", &layout.display().to_string()])?;
        ensure!(verdict[0]["same"] == true, "{verdict}");
    }
    Ok(())
}
