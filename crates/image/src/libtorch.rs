//! The layer with libtorch: the libraries that libtorch_cpu.so needs and no more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cache::Cache;
use crate::elf;
use crate::error::{Error, Result};
use crate::layer::{self, Layer};
use crate::platform::Platform;
use crate::tree::Content;

/// Where the libraries lie in an image; the programs' search path for libraries says the same.
pub(crate) const FOLDER: &str = "/opt/libtorch/lib";

/// What the programs link to.
const ROOT: &str = "libtorch_cpu.so";

/// The libraries by name: the root and those that it needs, as far as libtorch's folder has them; the base has the others.
pub(crate) fn libraries(libtorch: &Path, platform: Platform, image: &str) -> Result<BTreeMap<String, PathBuf>> {
    let folder = libtorch.join("lib");
    let root = folder.join(ROOT);
    if !root.is_file() {
        let what = "libtorch 2.13.0".to_owned();
        return Err(Error::Missing { what, path: root, command: "make setup, or set LIBTORCH".to_owned() });
    }
    let mut found = BTreeMap::new();
    let mut waiting = vec![ROOT.to_owned()];
    while let Some(name) = waiting.pop() {
        let path = folder.join(&name);
        if found.contains_key(&name) || !path.is_file() {
            continue;
        }
        let elf = elf::read(&path)?;
        if elf.machine != platform.elf_machine() {
            return Err(Error::Platform {
                image: image.to_owned(),
                platform: platform.to_string(),
                reason: format!(
                    "{} is for another architecture: set LIBTORCH to a libtorch 2.13.0 for Linux on {}, or build on such a machine",
                    path.display(),
                    platform.machine()
                ),
            });
        }
        waiting.extend(elf.needed);
        found.insert(name, path);
    }
    Ok(found)
}

pub(crate) fn layer(cache: &Cache, libraries: &BTreeMap<String, PathBuf>, fresh: bool) -> Result<Layer> {
    let mut inputs = Vec::new();
    for (name, path) in libraries {
        inputs.push(serde_json::json!([name, cache.hash_of(path)?]));
    }
    layer::make(cache, "libtorch", &serde_json::Value::from(inputs), fresh, |tree| {
        for (name, path) in libraries {
            tree.file(&format!("{FOLDER}/{name}"), Content::Disk(path.clone()), true, "libtorch")?;
        }
        Ok(())
    })
}
