//! What a program of one's own needs on this machine: its code as it was reviewed, and the packages of its lock.

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

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
    /// The command that makes a virtual environment from an `image.yaml` and its lock: given `--folder` and `--link`, as
    /// `slipway image venv` takes them.
    pub packages: Vec<OsString>,
}

/// How many lines of the installation's output a failure quotes.
const LINES: usize = 8;
/// Seconds between SIGTERM and SIGKILL of a program: less than what its supervisor gives the launcher.
const GRACE: &str = "1";
/// What pip needs to reach a package index, and where the cache is, besides pip's own variables.
const NETWORK: [&str; 10] = [
    "SLIPWAY_PYTHON",
    "XDG_CACHE_HOME",
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
    // the folder has the name that its image.yaml says
    let code = folder.join("program").join(&name);
    export(job, &name, &code, &runtime.trainers.forge).await?;
    let environment = install(&name, &code, folder, runtime).await?;
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

/// The virtual environment with the packages of a program's lock, as a link in the job's folder.
async fn install(name: &str, code: &Path, folder: &Path, runtime: &TrainingRuntime) -> Result<PathBuf, String> {
    let (link, log) = (folder.join("packages"), folder.join("packages.log"));
    let mut command = runtime.trainers.packages.iter().cloned();
    let program = PathBuf::from(command.next().unwrap_or_default());
    let mut arguments: Vec<OsString> = command.collect();
    arguments.extend(["--folder".into(), code.into(), "--link".into(), link.clone().into()]);
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
            "the packages of trainers/{name} cannot be installed ({exit}); the end of {}:\n{tail}",
            log.display()
        ));
    }
    link.canonicalize().map_err(|error| format!("the packages of trainers/{name}: {}: {error}", link.display()))
}

fn network() -> Vec<(String, String)> {
    std::env::vars().filter(|(name, _)| name.starts_with("PIP_") || NETWORK.contains(&name.as_str())).collect()
}
