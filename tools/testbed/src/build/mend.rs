//! Traefik's release needs modules that the module proxy does not have: a fork of http-auth, an empty extension module, and a
//! client of each DNS provider for ACME. Two modules are copied from Go's module cache and patched with files of our own
//! (`modules/traefik/add`), one is replaced (`modules/traefik/ext`). This build cannot use ACME's DNS challenge.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Program, Result, go, modules};
use crate::Cache;
use crate::file::at;

/// A module that is copied and patched.
struct Patched {
    module: &'static str,
    folder: &'static str,
    removed: &'static [&'static str],
    /// Files of ours: the name in `add/`, and the path in the copy.
    added: &'static [(&'static str, &'static str)],
}

const TRAEFIK: &[Patched] = &[
    Patched {
        module: "github.com/abbot/go-http-auth@v0.4.0",
        folder: "httpauth",
        removed: &["examples"],
        added: &[("http-auth-secret.go", "secret.go"), ("http-auth.mod", "go.mod")],
    },
    Patched {
        module: "github.com/go-acme/lego/v5@v5.4.1",
        folder: "lego",
        removed: &["providers/dns"],
        added: &[("lego-dns-none.go", "providers/dns/none.go")],
    },
];

/// The folder to build a program in: its module's own, or a new patched copy in the cache.
pub(super) fn prepare(cache: &Cache, program: &Program) -> Result<PathBuf> {
    let module = modules().join(program.module);
    let copy = folder(cache, program);
    if copy == module {
        return Ok(module);
    }
    remove(&copy)?;
    copy_tree(&module, &copy)?;
    for patched in TRAEFIK {
        // any module's folder will do, since the version is given
        let source = go::module_folder(&modules().join("gitserve"), patched.module)?;
        let target = copy.join(patched.folder);
        copy_tree(&source, &target)?;
        for removed in patched.removed {
            remove(&target.join(removed))?;
        }
        for (name, path) in patched.added {
            let to = target.join(path);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(at(parent))?;
            }
            fs::copy(copy.join("add").join(name), &to).map_err(at(&to))?;
        }
    }
    remove(&copy.join("add"))?;
    Ok(copy)
}

/// The folder that [`prepare`] returns.
pub(super) fn folder(cache: &Cache, program: &Program) -> PathBuf {
    let parent = if program.name == "traefik" { cache.src() } else { modules() };
    parent.join(program.module)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(path)(error).into()),
        _ => Ok(()),
    }
}

/// Copies a folder. Unlike Go's module cache, the copy is writable.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(at(to))?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_tree(&source, &target)?;
        } else {
            fs::copy(&source, &target).map_err(at(&target))?;
            fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).map_err(at(&target))?;
        }
    }
    Ok(())
}
