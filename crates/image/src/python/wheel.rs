//! Unpacks a wheel. <https://packaging.python.org/en/latest/specifications/binary-distribution-format/>

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::lock::Wheel;
use crate::tree::Tree;

/// Unpacks a wheel to where the base's Python looks for it. Nothing is compiled, because compiled files would hold times.
pub(crate) fn unpack(path: &Path, wheel: &Wheel, version: &str, tree: &mut Tree) -> Result<()> {
    let what = wheel.file.as_str();
    let file = File::open(path).map_err(Error::file("reading", path))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| Error::malformed(what, error))?;
    let site = format!("usr/local/lib/python{version}/dist-packages");
    for number in 0..archive.len() {
        let mut member = archive.by_index(number).map_err(|error| Error::malformed(what, error))?;
        let name = member.name().to_owned();
        if member.is_dir() || name.ends_with(".pyc") || name.contains("__pycache__/") {
            continue;
        }
        let (to, script) = destination(&name, &site, version);
        let executable = script || member.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
        if script {
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).map_err(|error| Error::malformed(what, error))?;
            tree.stream(&to, &mut interpreted(bytes, version).as_slice(), executable, what)?;
            continue;
        }
        if name.ends_with(".dist-info/entry_points.txt") {
            let mut text = String::new();
            member.read_to_string(&mut text).map_err(|error| Error::malformed(what, error))?;
            for (command, code) in commands(&text, version) {
                tree.stream(&format!("usr/local/bin/{command}"), &mut code.as_bytes(), true, what)?;
            }
            tree.stream(&to, &mut text.as_bytes(), false, what)?;
            continue;
        }
        tree.stream(&to, &mut member, executable, what)?;
    }
    Ok(())
}

/// Where a member goes, and whether it is a script.
fn destination(name: &str, site: &str, version: &str) -> (String, bool) {
    let data = name.split_once('/').filter(|(first, _)| first.ends_with(".data"));
    let Some((scheme, rest)) = data.and_then(|(_, rest)| rest.split_once('/')) else {
        return (format!("{site}/{name}"), false);
    };
    match scheme {
        "scripts" => (format!("usr/local/bin/{rest}"), true),
        "data" => (format!("usr/local/{rest}"), false),
        "headers" => (format!("usr/local/include/python{version}/{rest}"), false),
        _ => (format!("{site}/{rest}"), false),
    }
}

/// The script with the image's Python in its first line.
fn interpreted(script: Vec<u8>, version: &str) -> Vec<u8> {
    match script.strip_prefix(b"#!python") {
        Some(rest) => [format!("#!/usr/bin/python{version}").as_bytes(), rest].concat(),
        None => script,
    }
}

/// The commands that a package declares, each with a script that starts it.
fn commands(entry_points: &str, version: &str) -> Vec<(String, String)> {
    let lines = entry_points.lines().map(str::trim).skip_while(|line| *line != "[console_scripts]").skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| {
            let (name, target) = line.split_once('=')?;
            let (module, object) = target.split('[').next()?.trim().split_once(':')?;
            let first = object.split('.').next()?;
            let script = format!(
                "#!/usr/bin/python{version}\nimport sys\nfrom {module} import {first}\nif __name__ == \"__main__\":\n    sys.exit({object}())\n"
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
        let at = |name| destination(name, "site", "3.11");
        assert_eq!(at("a/b.py"), ("site/a/b.py".into(), false));
        assert_eq!(at("a-1.data/scripts/run"), ("usr/local/bin/run".into(), true));
        assert_eq!(at("a-1.data/purelib/a.py"), ("site/a.py".into(), false));
        assert_eq!(interpreted(b"#!python\nx".to_vec(), "3.11"), b"#!/usr/bin/python3.11\nx");
        let found =
            commands("[gui_scripts]\nx = y:z\n[console_scripts]\nrun = a.b:c.d [extra]\n\n[other]\nq = r:s\n", "3.11");
        assert_eq!(found.len(), 1);
        assert!(found[0].0 == "run" && found[0].1.contains("from a.b import c\n") && found[0].1.contains("c.d()"));
    }
}
