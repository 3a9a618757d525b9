//! Unpacks a wheel. <https://packaging.python.org/en/latest/specifications/binary-distribution-format/>

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::elf;
use crate::error::{Error, Result};
use crate::lock::Wheel;
use crate::patterns::Patterns;
use crate::python::scheme::Scheme;
use crate::tree::Tree;

/// Unpacks a wheel, without the files that are left out and with zeros in these sections of its libraries. Nothing is compiled, because
/// compiled files would hold times.
pub(crate) fn unpack(
    path: &Path,
    wheel: &Wheel,
    scheme: &Scheme,
    out: &Patterns,
    sections: &[String],
    tree: &mut Tree,
) -> Result<()> {
    let what = wheel.file.as_str();
    let file = File::open(path).map_err(Error::file("reading", path))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| Error::malformed(what, error))?;
    for number in 0..archive.len() {
        let mut member = archive.by_index(number).map_err(|error| Error::malformed(what, error))?;
        let name = member.name().to_owned();
        if member.is_dir() || name.ends_with(".pyc") || name.contains("__pycache__/") || out.leave_out(&name) {
            continue;
        }
        let (to, script) = destination(&name, scheme);
        let executable = script || member.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
        if script {
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).map_err(|error| Error::malformed(what, error))?;
            tree.stream(&to, &mut interpreted(bytes, scheme).as_slice(), executable, what)?;
            continue;
        }
        if name.ends_with(".dist-info/entry_points.txt") {
            let mut text = String::new();
            member.read_to_string(&mut text).map_err(|error| Error::malformed(what, error))?;
            for (command, code) in commands(&text, scheme) {
                tree.stream(&format!("{}/{command}", scheme.scripts), &mut code.as_bytes(), true, what)?;
            }
            tree.stream(&to, &mut text.as_bytes(), false, what)?;
            continue;
        }
        if !sections.is_empty() && is_library(&name) {
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).map_err(|error| Error::malformed(what, error))?;
            elf::empty(&mut bytes, sections);
            tree.stream(&to, &mut bytes.as_slice(), executable, what)?;
            continue;
        }
        tree.stream(&to, &mut member, executable, what)?;
    }
    Ok(())
}

/// Whether a file's name is that of a shared library: `libx.so`, `libx.so.1` or `x.cpython-311-x86_64-linux-gnu.so`.
pub(crate) fn is_library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.ends_with(".so") || name.contains(".so.")
}

/// Where a member goes, and whether it is a script.
fn destination(name: &str, scheme: &Scheme) -> (String, bool) {
    let packages = &scheme.packages;
    let data = name.split_once('/').filter(|(first, _)| first.ends_with(".data"));
    let Some((kind, rest)) = data.and_then(|(_, rest)| rest.split_once('/')) else {
        return (format!("{packages}/{name}"), false);
    };
    match kind {
        "scripts" => (format!("{}/{rest}", scheme.scripts), true),
        "data" => (format!("{}/{rest}", scheme.data), false),
        "headers" => (format!("{}/{rest}", scheme.headers), false),
        _ => (format!("{packages}/{rest}"), false),
    }
}

/// The script with the scheme's Python in its first line.
fn interpreted(script: Vec<u8>, scheme: &Scheme) -> Vec<u8> {
    match script.strip_prefix(b"#!python") {
        Some(rest) => [b"#!", scheme.interpreter.as_bytes(), rest].concat(),
        None => script,
    }
}

/// The commands that a package declares, each with a script that starts it.
fn commands(entry_points: &str, scheme: &Scheme) -> Vec<(String, String)> {
    let lines = entry_points.lines().map(str::trim).skip_while(|line| *line != "[console_scripts]").skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| {
            let (name, target) = line.split_once('=')?;
            let (module, object) = target.split('[').next()?.trim().split_once(':')?;
            let first = object.split('.').next()?;
            let interpreter = &scheme.interpreter;
            let script = format!(
                "#!{interpreter}\nimport sys\nfrom {module} import {first}\nif __name__ == \"__main__\":\n    sys.exit({object}())\n"
            );
            Some((name.trim().to_owned(), script)).filter(|(name, _)| !name.contains('/'))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_scripts_and_commands() {
        let scheme = Scheme::of_image("3.11");
        let at = |name| destination(name, &scheme);
        let packages = "usr/local/lib/python3.11/dist-packages";
        assert_eq!(at("a/b.py"), (format!("{packages}/a/b.py"), false));
        assert_eq!(at("a-1.data/scripts/run"), ("usr/local/bin/run".into(), true));
        assert_eq!(at("a-1.data/purelib/a.py"), (format!("{packages}/a.py"), false));
        assert_eq!(at("a-1.data/data/share/a"), ("usr/local/share/a".into(), false));
        assert_eq!(interpreted(b"#!python\nx".to_vec(), &scheme), b"#!/usr/bin/python3.11\nx");
        let found =
            commands("[gui_scripts]\nx = y:z\n[console_scripts]\nrun = a.b:c.d [extra]\n\n[other]\nq = r:s\n", &scheme);
        assert_eq!(found.len(), 1);
        assert!(found[0].0 == "run" && found[0].1.contains("from a.b import c\n") && found[0].1.contains("c.d()"));
        let scheme = Scheme::of_venv("3.12", "/e/bin/python".into());
        assert_eq!(destination("a-1.data/data/share/a", &scheme).0, "/share/a");
        assert_eq!(destination("a/b.py", &scheme).0, "lib/python3.12/site-packages/a/b.py");
    }

    #[test]
    fn libraries_by_their_names() {
        let all = ["a/lib/libx.so", "libx.so.1.2", "a.cpython-311-x86_64-linux-gnu.so", "a.py", "solar.sorted"];
        assert_eq!(all.map(is_library), [true, true, true, false, false]);
    }
}
