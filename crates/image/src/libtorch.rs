//! The layer with libtorch: libtorch_cpu.so and the libraries that it needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use slipway_oci::Platform;

use crate::cache::Cache;
use crate::elf;
use crate::error::{Error, Result};
use crate::layer::{self, Layer};
use crate::tree::Content;

/// Where the libraries are in an image; the programs' search path for libraries is the same.
pub(crate) const FOLDER: &str = "/opt/libtorch/lib";

/// What the programs link to.
const ROOT: &str = "libtorch_cpu.so";

/// The libraries by name: the root, and what it needs of the libraries in libtorch's folder. The base has the others.
pub(crate) fn libraries(libtorch: &Path, platform: Platform, image: &str) -> Result<BTreeMap<String, PathBuf>> {
    let folder = libtorch.join("lib");
    let root = folder.join(ROOT);
    if !root.is_file() {
        let what = "libtorch 2.13.0".to_owned();
        return Err(Error::Missing { what, path: root, command: "make setup".to_owned() });
    }
    let mut found = BTreeMap::new();
    let mut waiting = vec![ROOT.to_owned()];
    while let Some(name) = waiting.pop() {
        let path = folder.join(&name);
        if found.contains_key(&name) || !path.is_file() {
            continue;
        }
        let elf = elf::read(&path)?;
        if elf.machine != elf::machine(platform) {
            return Err(Error::Platform {
                image: image.to_owned(),
                platform: platform.to_string(),
                reason: format!(
                    "{} is for another architecture: set LIBTORCH to a libtorch 2.13.0 for Linux on {}, or build on a machine of that architecture",
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
        inputs.push(serde_json::json!([name, cache.digest_of(path)?.hex()]));
    }
    layer::make(cache, "libtorch", &serde_json::Value::from(inputs), fresh, |tree| {
        for (name, path) in libraries {
            tree.file(&format!("{FOLDER}/{name}"), Content::Disk(path.clone()), true, "libtorch")?;
        }
        Ok(())
    })
}
