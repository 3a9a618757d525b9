//! Resolves a list of packages to everything that they depend on.

use std::collections::BTreeMap;

use crate::debian::index::{Available, Index};
use crate::declaration::Debian;
use crate::error::{Error, Result};

/// The declared packages and everything that they depend on (Depends and Pre-Depends, never Recommends), sorted by name.
///
/// The first of several alternatives is taken, unless another one was chosen before. Version relations are ignored: within one
/// release of Debian they hold.
///
/// # Errors
/// When a package is not in the index; the message has the nearest name that is.
pub(crate) fn resolve<'a>(declaration: &Debian, index: &'a Index) -> Result<Vec<&'a Available>> {
    let mut chosen: BTreeMap<&str, &Available> = BTreeMap::new();
    let mut waiting: Vec<&Available> = Vec::new();
    for name in &declaration.packages {
        waiting.push(index.get(name).ok_or_else(|| unknown(name, None, declaration, index))?);
    }
    waiting.reverse();
    while let Some(package) = waiting.pop() {
        if chosen.insert(&package.name, package).is_some() {
            continue;
        }
        for alternatives in &package.depends {
            let without = |name: &String| declaration.without.iter().any(|other| other == name);
            let chosen_before = |name: &String| chosen.contains_key(name.as_str()) || without(name);
            if alternatives.iter().any(chosen_before)
                || declaration.packages.iter().any(|name| alternatives.contains(name))
            {
                continue;
            }
            let provided = |name: &String| index.get(name).or_else(|| index.provider(name));
            let found = alternatives.iter().find_map(provided);
            let Some(found) = found else {
                let first = alternatives.first().map_or("", String::as_str);
                return Err(unknown(first, Some(&package.name), declaration, index));
            };
            if !without(&found.name) {
                waiting.push(found);
            }
        }
    }
    Ok(chosen.into_values().collect())
}

fn unknown(name: &str, needed_by: Option<&str>, declaration: &Debian, index: &Index) -> Error {
    let near = slipway_source::closest(name, index.names());
    let by = needed_by.map(|by| format!(" ({by} depends on it)")).unwrap_or_default();
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_else(|| ".".to_owned());
    let suite = &declaration.suite;
    Error::Package(format!(
        "Debian {suite} has no package {name}{by}{hint} Packages are listed at packages.debian.org/{suite}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGES: &str = "Package: app\nVersion: 1\nDepends: libc6 (>= 2.3), shell | other, virtual\nPre-Depends: base:any\n\
        Filename: pool/a\nSize: 1\nSHA256: 00\n\nPackage: libc6\nVersion: 2.36\nFilename: pool/l\nSize: 1\nSHA256: 00\n\n\
        Package: other\nVersion: 1\nFilename: pool/o\nSize: 1\nSHA256: 00\n\nPackage: base\nVersion: 1\nFilename: pool/b\nSize: 1\n\
        SHA256: 00\n\nPackage: real\nVersion: 1\nProvides: virtual (= 1)\nFilename: pool/r\nSize: 1\nSHA256: 00\n";

    fn declaration(packages: &[&str], without: &[&str]) -> Debian {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Debian { suite: "bookworm".into(), packages: list(packages), without: list(without) }
    }

    fn index() -> Index {
        let mut index = Index::default();
        let packages = PACKAGES.replace("SHA256: 00", &format!("SHA256: {}", "0".repeat(64)));
        index.add(crate::lock::Archive::Debian, &packages).unwrap();
        index
    }

    #[test]
    fn dependencies_alternatives_and_virtual_packages() {
        let index = index();
        let names = |without: &[&str]| -> Vec<String> {
            let found = resolve(&declaration(&["app"], without), &index).unwrap();
            found.iter().map(|package| package.name.clone()).collect()
        };
        assert_eq!(names(&[]), ["app", "base", "libc6", "other", "real"]);
        assert_eq!(names(&["shell", "virtual"]), ["app", "base", "libc6"]);
        assert_eq!(names(&["real"]), ["app", "base", "libc6", "other"]);
    }

    #[test]
    fn an_unknown_package_is_named_with_the_nearest_one() {
        let error = resolve(&declaration(&["libc7"], &[]), &index()).unwrap_err().to_string();
        assert!(error.contains("no package libc7") && error.contains("did you mean libc6?"), "{error}");
    }
}
