//! The bill of materials: Debian packages, Python packages, crates and libtorch's libraries. <https://cyclonedx.org/docs/1.6/json/>

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};
use slipway_digest::Digest;
use slipway_oci::Platform;

use crate::application::{program_path, target};
use crate::built::{Built, PlatformImage};
use crate::declaration::{Base, Spec, Without};
use crate::error::{Error, Result};
use crate::parse::Declared;
use crate::sources::Sources;

pub(crate) fn document(declared: &Declared, built: &Built, image: &PlatformImage, sources: &Sources) -> Result<Value> {
    let spec = &declared.image.spec;
    let mut components = Vec::new();
    if let Base::Debian(debian) = &spec.base {
        let architecture = image.platform.architecture();
        for package in &image.locked.debian {
            let (name, version) = (encoded(&package.name), encoded(&package.version));
            let purl = format!("pkg:deb/debian/{name}@{version}?arch={architecture}&distro={}", debian.suite);
            components.push(component("library", &package.name, &package.version, &purl, Some(package.sha256)));
        }
    }
    for wheel in &image.locked.wheels {
        let purl = format!("pkg:pypi/{}@{}", wheel.name, encoded(&wheel.version));
        components.push(component("library", &wheel.name, &wheel.version, &purl, Some(wheel.sha256)));
    }
    for path in image.layers.iter().flat_map(|layer| &layer.stand_ins) {
        components.push(json!({
            "type": "file",
            "bom-ref": format!("stand-in:/{path}"),
            "name": format!("/{path}"),
            "description": "an empty library in the place of one that was left out",
        }));
    }
    if spec.libtorch {
        for (name, path) in crate::libtorch::libraries(&sources.libtorch, image.platform, declared.name())? {
            let purl = format!("pkg:generic/libtorch@2.13.0#{name}");
            components.push(component("file", &name, "2.13.0", &purl, Some(sources.cache.digest_of(&path)?)));
        }
    }
    let binaries: Vec<&str> = spec.files.iter().filter_map(|file| file.binary.as_deref()).collect();
    if !binaries.is_empty() {
        for (name, version) in crates(&declared.root, &binaries, image.platform, sources)? {
            let purl = format!("pkg:cargo/{name}@{}", encoded(&version));
            components.push(component("library", &name, &version, &purl, None));
        }
    }
    let mut document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": built.revision.created(),
            "tools": { "components": [{ "type": "application", "name": "slipway", "version": env!("CARGO_PKG_VERSION") }] },
            "component": {
                "type": "container",
                "bom-ref": image.manifest.digest(),
                "name": built.name,
                "version": image.manifest.digest(),
            },
        },
        "components": components,
    });
    let left_out = left_out(spec);
    if !left_out.is_empty() {
        document["metadata"]["component"]["properties"] = Value::from(left_out);
    }
    Ok(document)
}

/// What the declaration leaves out of Python packages, whose hashes are those of the whole wheels.
fn left_out(spec: &Spec) -> Vec<Value> {
    let Some(Without { packages, files, sections }) = spec.python.as_ref().map(|python| &python.without) else {
        return Vec::new();
    };
    let property =
        |kind: &str, pattern: &String| json!({ "name": format!("slipway:python.without.{kind}"), "value": pattern });
    let all = [("packages", packages), ("files", files), ("sections", sections)];
    all.into_iter().flat_map(|(kind, list)| list.iter().map(move |pattern| property(kind, pattern))).collect()
}

/// A part of a package URL. <https://github.com/package-url/purl-spec>
fn encoded(text: &str) -> String {
    text.replace('+', "%2B").replace(':', "%3A")
}

fn component(kind: &str, name: &str, version: &str, purl: &str, sha256: Option<Digest>) -> Value {
    let mut component = json!({ "type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl });
    if let Some(sha256) = sha256 {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": sha256.hex() }]);
    }
    component
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

type Crates = BTreeSet<(String, String)>;

/// The crates that programs are linked from, by name and version. They are remembered for the same programs and lock file, because
/// cargo takes longer to list them than the rest of a build in which nothing changed.
fn crates(root: &Path, binaries: &[&str], platform: Platform, sources: &Sources) -> Result<Crates> {
    let lock = root.join("Cargo.lock");
    let (digest, _) = Digest::of_file(&lock).map_err(Error::file("reading", &lock))?;
    let mut inputs = vec![platform.to_string(), digest.hex()];
    for binary in binaries {
        let path = program_path(sources, platform, binary);
        inputs.extend([(*binary).to_owned(), sources.cache.digest_of(&path)?.hex()]);
    }
    let folder = sources.cache.folder("crates")?;
    let note = folder.join(Digest::of(inputs.join("\n")).hex());
    if let Some(crates) = std::fs::read(&note).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(crates);
    }
    let found = list(root, binaries, platform)?;
    let part = sources.cache.part(&folder)?;
    std::fs::write(part.path(), json!(found).to_string()).map_err(Error::file("writing", &note))?;
    part.persist(&note).map_err(|error| Error::file("writing", &note)(error.error))?;
    Ok(found)
}

/// Asks cargo for the normal dependencies of programs on a platform.
fn list(root: &Path, binaries: &[&str], platform: Platform) -> Result<Crates> {
    let failed = |reason: String| Error::Program { program: "cargo metadata".to_owned(), reason };
    let done = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", target(platform)])
        .current_dir(root)
        .output()
        .map_err(|error| failed(format!("{error}; cargo lists the crates of a program: install Rust")))?;
    if !done.status.success() {
        let errors = String::from_utf8_lossy(&done.stderr);
        return Err(failed(format!("{}\nrun `cargo fetch --locked` and try again", errors.trim())));
    }
    let metadata: Metadata = serde_json::from_slice(&done.stdout).map_err(|error| failed(error.to_string()))?;
    let packages: BTreeMap<&str, &Package> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut waiting: Vec<&str> = Vec::new();
    for binary in binaries {
        let is = |target: &Target| target.name == *binary && target.kind.iter().any(|kind| kind == "bin");
        let found = metadata.packages.iter().find(|package| package.targets.iter().any(is));
        let found = found.ok_or_else(|| failed(format!("no package of the workspace has a program {binary}")))?;
        waiting.push(&found.id);
    }
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = nodes.get(id).ok_or_else(|| failed(format!("it names {id} and has no dependencies for it")))?;
        let linked = |one: &&Dependency| one.dep_kinds.iter().any(|kind| kind.kind.is_none());
        waiting.extend(node.deps.iter().filter(linked).map(|one| one.pkg.as_str()));
    }
    seen.into_iter()
        .map(|id| {
            let package = packages.get(id).ok_or_else(|| failed(format!("it names {id} and does not describe it")))?;
            Ok((package.name.clone(), package.version.clone()))
        })
        .collect()
}
