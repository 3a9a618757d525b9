//! What a program of one's own needs on this machine: its code as it was reviewed, and the packages of its lock.

use std::ffi::OsString;
use std::fs::{File, Permissions, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_digest::Digest;
use slipway_experiment::{Code, TrainJob, Work};
use slipway_git::Repository;
use slipway_names::env;

use crate::child::{Child, Launch};
use crate::forge::blocking;
use crate::training_runtime::TrainingRuntime;
use crate::{Error, files, log};

/// Where the code and the packages of programs come from.
#[derive(Clone, Debug)]
pub struct Trainers {
    /// Holds the code: what runs is what was merged, not what is in a work tree.
    pub forge: Repository,
    /// The Python that makes virtual environments.
    pub python: PathBuf,
    /// Holds a virtual environment for each lock. Several loops may share it.
    pub environments: PathBuf,
}

/// The packages of a program.
const LOCK: &str = "requirements.lock";
/// Says that an environment is complete.
const MADE: &str = "made";
/// How many lines of pip's output a failure quotes.
const LINES: usize = 8;
/// Between two looks at a lock that another process holds.
const PAUSE: Duration = Duration::from_millis(200);
/// Seconds between SIGTERM and SIGKILL of a program: less than what its supervisor gives the launcher.
const GRACE: &str = "1";
/// What pip needs to reach a package index, besides its own variables.
const NETWORK: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
];

/// The variables of a job's program, after its code and packages are there. Empty for the built-in trainer.
///
/// # Errors
/// Why the job cannot run here.
pub(crate) async fn prepare(
    job: &TrainJob,
    folder: &Path,
    runtime: &TrainingRuntime,
) -> Result<Vec<(String, String)>, String> {
    // a trial that cannot be read is the worker's to report
    let Ok(Some(trial)) = job.trial() else { return Ok(Vec::new()) };
    let Work::Program(program) = trial.work else { return Ok(Vec::new()) };
    let name = match program.code {
        Code::Trainer(name) => name,
        Code::Image(image) => {
            return Err(format!(
                "the program is in the image {image}, and there are no containers on one machine: run {} on a cluster, or put its code \
                 into trainers/<name>/ and say `program: {{trainer: <name>}}`",
                job.name
            ));
        }
    };
    let code = folder.join("program");
    export(job, &name, &code, &runtime.trainers.forge).await?;
    let environment = install(&name, &code.join(LOCK), folder, runtime).await?;
    let bin = environment.join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path)))
        .map_err(|error| format!("PATH cannot hold {}: {error}", environment.display()))?;
    Ok([
        (env::PROGRAM, code.display().to_string()),
        (env::GRACE_SECONDS, GRACE.to_owned()),
        ("PATH", path.to_string_lossy().into_owned()),
        ("VIRTUAL_ENV", environment.display().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into())
}

/// Writes the code that was reviewed into the job's folder.
async fn export(job: &TrainJob, name: &str, code: &Path, forge: &Repository) -> Result<(), String> {
    let tree = job.env_var(env::PROGRAM_TREE).ok_or_else(|| {
        format!("{} does not say which code of trainers/{name} to run: render it again (`slipway render`)", job.name)
    })?;
    let (tree, forge, folder) = (tree.to_owned(), forge.clone(), code.to_owned());
    let written = blocking("writing a program's code", move || {
        let files = forge.tree_files(&tree)?;
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("removing", &folder)(error));
            }
            _ => files::make_folder(&folder)?,
        }
        for file in files {
            let path = folder.join(&file.path);
            files::make_folder(path.parent().unwrap_or(&folder))?;
            let mode = if file.is_executable { 0o755 } else { 0o644 };
            std::fs::write(&path, &file.content)
                .and_then(|()| std::fs::set_permissions(&path, Permissions::from_mode(mode)))
                .map_err(Error::file("writing", &path))?;
        }
        Ok(())
    });
    written.await.map_err(|error| format!("the code of trainers/{name}: {error}"))
}

/// The virtual environment of a lock, made if it is not there yet.
async fn install(name: &str, lock: &Path, folder: &Path, runtime: &TrainingRuntime) -> Result<PathBuf, String> {
    let python = &runtime.trainers.python;
    let content = std::fs::read(lock).map_err(|error| {
        format!("trainers/{name}/{LOCK}: {error}; it names the program's packages: `slipway image lock trainers/{name}` makes it from requirements.in")
    })?;
    let home = &runtime.trainers.environments;
    let environment =
        home.join(&Digest::of([&*content, interpreter(python).as_os_str().as_encoded_bytes()].concat()).hex()[..16]);
    let file = |action: &str, path: &Path, error: std::io::Error| format!("{action} {}: {error}", path.display());
    files::make_folder(home).map_err(|error| error.to_string())?;
    let lock_file = environment.with_extension("lock");
    let held = File::create(&lock_file).map_err(|error| file("creating", &lock_file, error))?;
    loop {
        match held.try_lock() {
            Ok(()) => break,
            // another job, or another loop, makes the same one
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            Err(TryLockError::Error(error)) => return Err(file("locking", &lock_file, error)),
        }
    }
    if environment.join(MADE).is_file() && environment.join("bin/python").is_file() {
        return Ok(environment);
    }
    tracing::info!("installing the packages of trainers/{name} into {}", environment.display());
    match std::fs::remove_dir_all(&environment) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(file("removing", &environment, error));
        }
        _ => {}
    }
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let mut venv = words(&["-I", "-m", "venv"]);
    venv.push(environment.clone().into());
    let mut pip = words(&["-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]);
    pip.extend(words(&["--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement"]));
    pip.push(lock.into());
    for (program, arguments) in [(python.clone(), venv), (environment.join("bin/python"), pip)] {
        let log = folder.join("packages.log");
        let launch = Launch {
            name: "the installation of packages",
            program: &program,
            arguments,
            environment: network(),
            folder,
            log: log.clone(),
        };
        let mut child = Child::spawn(&runtime.supervisor, launch).map_err(|error| error.to_string())?;
        let exit = child.wait().await;
        if !exit.success() {
            let tail = log::tail(&log, LINES).await;
            return Err(format!(
                "the packages of trainers/{name}/{LOCK} cannot be installed ({exit}); the end of {}:\n{tail}",
                log.display()
            ));
        }
    }
    let made = environment.join(MADE);
    std::fs::write(&made, "").map_err(|error| file("writing", &made, error))?;
    Ok(environment)
}

/// The interpreter itself, whose name has its version: an environment is of no use to another one.
fn interpreter(python: &Path) -> PathBuf {
    python.canonicalize().unwrap_or_else(|_| python.to_owned())
}

fn network() -> Vec<(String, String)> {
    std::env::vars().filter(|(name, _)| name.starts_with("PIP_") || NETWORK.contains(&name.as_str())).collect()
}
