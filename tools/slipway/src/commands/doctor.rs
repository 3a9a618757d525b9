//! `slipway doctor`: what this machine lacks, and how to get it; or what is unhealthy in a cluster.

mod cluster;

use std::path::Path;
use std::process::{Command, Stdio};

use clap::Args;
use serde::Serialize;
use slipway_deployment::{HOW_TO_GET_HELM, HOW_TO_GET_KUSTOMIZE};
use slipway_embedded::{Program, Programs};
use slipway_git::OLDEST_GIT;
use slipway_project::count;

use crate::cache;
use crate::context::Context;
use crate::examined::{Mark, show};
use crate::failure::Failure;
use crate::local_loop::executable;
use crate::lookup::is_project;
use crate::renderers::{HelmArgs, KustomizeArgs};

#[derive(Debug, Args)]
#[command(
    after_help = "Without --cluster, it examines this machine: the programs that building, training and the loop on this machine need, and how to \
                  get those that are missing. It needs no project; in one, it also looks for the page there.\n\n\
                  Examples:\n  slipway doctor\n  slipway doctor --cluster --context prod"
)]
pub(crate) struct Doctor {
    /// Examine a cluster instead: every Application that is not Synced and Healthy, down to the last log lines of its pods
    #[arg(long)]
    cluster: bool,
    /// The context of the kubeconfig [default: its current one]
    #[arg(long, requires = "cluster")]
    context: Option<String>,
    #[command(flatten)]
    kustomize: KustomizeArgs,
    #[command(flatten)]
    helm: HelmArgs,
}

/// A program that must be on the path.
struct Needed {
    what: &'static str,
    /// One of these is enough.
    programs: &'static [&'static str],
    /// The oldest version that works.
    version: Option<(u32, u32)>,
    how: &'static str,
}

const NEEDED: [Needed; 7] = [
    Needed {
        what: "Rust",
        programs: &["cargo"],
        version: Some((1, 95)),
        how: "install rustup (https://rustup.rs), then `rustup toolchain install 1.95.0`",
    },
    Needed {
        what: "Python",
        programs: &["python3"],
        version: Some((3, 11)),
        how: "apt install python3 python3-venv · brew install python",
    },
    Needed {
        what: "Node",
        programs: &["node"],
        version: Some((20, 0)),
        how: "apt install nodejs npm · brew install node · https://nodejs.org",
    },
    Needed { what: "npm", programs: &["npm"], version: Some((9, 0)), how: "apt install npm · brew install node" },
    Needed {
        what: "a C++ compiler",
        programs: &["c++", "g++", "clang++"],
        version: None,
        how: "apt install g++ · xcode-select --install",
    },
    Needed { what: "git", programs: &["git"], version: Some(OLDEST_GIT), how: "apt install git · brew install git" },
    Needed { what: "make", programs: &["make"], version: None, how: "apt install make · xcode-select --install" },
];

/// A program or a folder that was examined.
#[derive(Debug, Serialize)]
struct Examined {
    what: String,
    ok: bool,
    found: String,
    /// What to do if it is not `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<String>,
    /// Whether everything else works without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    optional: bool,
}

impl Doctor {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        if self.cluster {
            return cluster::run(context, self.context.as_deref()).await;
        }
        let mut examined: Vec<Examined> = NEEDED.iter().map(examine).collect();
        let in_project = is_project(&context.root);
        examined.push(project(context, in_project));
        let page = |program: &Program| program.variable == "SLIPWAY_DEMO_UI" && !program.path.is_file();
        for program in Programs::find(&executable()?, &context.root).each() {
            if page(&program) && !in_project {
                continue;
            }
            let ok = program.path.is_file();
            examined.push(Examined {
                what: program.what.to_owned(),
                ok,
                found: if ok {
                    program.path.display().to_string()
                } else {
                    format!("not found at {}", program.path.display())
                },
                how: (!ok).then_some(program.how),
                optional: false,
            });
        }
        examined.push(writable("the cache folder", &cache::folder()?));
        examined.push(self.kustomize());
        examined.push(self.helm());
        for one in &examined {
            let mark = match (one.ok, one.optional) {
                (true, _) => Mark::Good,
                (false, true) => Mark::Optional,
                (false, false) => Mark::Bad,
            };
            show(context, mark, &one.what, &one.found, one.how.as_deref());
        }
        context.json(&examined)?;
        match examined.iter().filter(|one| !one.ok && !one.optional).count() {
            0 => Ok(()),
            problems => {
                context.say(format!("{} found", count(problems, "problem")));
                Err(Failure::Reported(5))
            }
        }
    }
}

impl Doctor {
    fn kustomize(&self) -> Examined {
        let (ok, found, how) = match self.kustomize.find() {
            Ok(Some(kustomize)) => (true, kustomize.program().display().to_string(), None),
            Ok(None) => {
                (false, "not found; `check` skips the overlays".to_owned(), Some(HOW_TO_GET_KUSTOMIZE.to_owned()))
            }
            // the message says what to do
            Err(failure) => (false, failure.to_string(), None),
        };
        Examined { what: "kustomize".to_owned(), ok, found, how, optional: true }
    }

    fn helm(&self) -> Examined {
        let (ok, found, how) = match self.helm.find() {
            Ok(Some(helm)) => (true, helm.program().display().to_string(), None),
            Ok(None) => {
                let found = "not found; `check --complete` and `diff` cannot render charts".to_owned();
                (false, found, Some(HOW_TO_GET_HELM.to_owned()))
            }
            // the message says what to do
            Err(failure) => (false, failure.to_string(), None),
        };
        Examined { what: "helm".to_owned(), ok, found, how, optional: true }
    }
}

/// The project that other commands would use here.
fn project(context: &Context, there: bool) -> Examined {
    let found = if there { context.root.display().to_string() } else { "none here; most commands need one".to_owned() };
    let how = (!there).then(|| "go to a folder that has experiments/, or name it with --repo".to_owned());
    Examined { what: "a project".to_owned(), ok: there, found, how, optional: true }
}

fn examine(needed: &Needed) -> Examined {
    let found = needed.programs.iter().find_map(|program| Some((program, version_of(program)?)));
    let (ok, found) = match (found, needed.version) {
        (None, _) => (false, "not found".to_owned()),
        (Some((program, Err(reason))), _) => (false, format!("{program} does not run: {reason}")),
        (Some((program, Ok(text))), None) => (true, format!("{program}: {text}")),
        (Some((program, Ok(text))), Some(oldest)) => match numbers(&text) {
            Some(version) if version >= oldest => (true, format!("{program}: {text}")),
            _ => (false, format!("{program}: {text}; at least {}.{} is needed", oldest.0, oldest.1)),
        },
    };
    Examined { what: needed.what.to_owned(), ok, found, how: (!ok).then(|| needed.how.to_owned()), optional: false }
}

/// The first line that a program prints for `--version`, or why it fails, such as rustup without the toolchain that a folder names. `None`
/// if there is no such program.
fn version_of(program: &str) -> Option<Result<String, String>> {
    let done = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let line = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned();
    if done.status.success() {
        return Some(Ok(line(&done.stdout)));
    }
    let reason = line(&done.stderr);
    Some(Err(if reason.is_empty() { done.status.to_string() } else { reason }))
}

/// The first `<number>.<number>` in a text.
fn numbers(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.')).find_map(|word| {
        let mut parts = word.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

fn writable(what: &str, folder: &Path) -> Examined {
    let tried = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    let ok = tried.is_ok();
    let found = tried.map_or_else(|error| format!("{}: {error}", folder.display()), |_| folder.display().to_string());
    Examined {
        what: what.to_owned(),
        ok,
        found,
        how: (!ok).then(|| "make it writable, or set XDG_CACHE_HOME".to_owned()),
        optional: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_for_what_the_repository_and_its_set_up_ask_for() {
        let how = |what: &str| NEEDED.iter().find(|needed| needed.what == what).unwrap();
        let toolchain = include_str!("../../../../rust-toolchain.toml");
        let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
        assert!(how("Rust").how.contains(&format!("rustup toolchain install {channel}`")));
        assert_eq!(how("Rust").version, numbers(channel));
        let set_up = include_str!("../../../setup/prerequisites.py");
        for (what, program) in
            [("Rust", "cargo"), ("Python", "python3"), ("Node", "node"), ("npm", "npm"), ("git", "git")]
        {
            let (major, minor) = how(what).version.unwrap();
            let line = format!("(\"{program}\", ({major}, {minor}),");
            assert!(set_up.contains(&line), "{line}");
        }
        assert!(set_up.contains(&format!("rustup toolchain install {channel}")));
    }

    #[test]
    fn versions_are_found_in_the_output_of_programs() {
        assert_eq!(numbers("git version 2.39.5"), Some((2, 39)));
        assert_eq!(numbers("v20.19.2"), Some((20, 19)));
        assert_eq!(numbers("Python 3.11.7"), Some((3, 11)));
        assert_eq!(numbers("no number"), None);
    }
}
