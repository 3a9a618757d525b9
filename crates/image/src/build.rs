//! Builds an image: its layers, its configuration, its manifest.

use slipway_oci::Platform;

use crate::base_image::BaseImage;
use crate::built::{Built, PlatformImage};
use crate::declaration::Base;
use crate::error::Result;
use crate::lock::{self, Locked};
use crate::parse::Declared;
use crate::python::{self, Pip};
use crate::revision::Revision;
use crate::sources::Sources;
use crate::{application, base, libtorch, manifest};

/// Builds an image for these platforms, or for this machine's if the list is empty. Several platforms give an index over them. With
/// `fresh`, no layer is taken from the cache.
///
/// # Errors
/// When the lock is out of date, a file of the image is missing or not what was locked, or a platform cannot be built here.
pub fn build(declared: &Declared, platforms: &[Platform], sources: &Sources, fresh: bool) -> Result<Built> {
    let revision = Revision::of(&declared.root)?;
    let mut platforms = platforms.to_vec();
    platforms.sort();
    platforms.dedup();
    if platforms.is_empty() {
        platforms.push(Platform::of_this_machine());
    }
    // all locks are read before any work begins
    let locks: Vec<Locked> = platforms.iter().map(|platform| lock::read(declared, *platform)).collect::<Result<_>>()?;
    let mut images = Vec::new();
    for (platform, locked) in platforms.into_iter().zip(locks) {
        images.push(for_platform(declared, platform, locked, sources, &revision, fresh)?);
    }
    let index = if images.len() > 1 { Some(manifest::index(&images)) } else { None };
    Ok(Built { name: declared.name().to_owned(), revision, images, index })
}

fn for_platform(
    declared: &Declared,
    platform: Platform,
    locked: Locked,
    sources: &Sources,
    revision: &Revision,
    fresh: bool,
) -> Result<PlatformImage> {
    let (cache, name, spec) = (&sources.cache, declared.name(), &declared.image.spec);
    // a missing program is found in no time, so it is looked for before the work that takes long
    let application = application::layers(sources, declared, &locked.debian, platform, fresh)?;
    let libraries = if spec.libtorch { Some(libtorch::libraries(&sources.libtorch, platform, name)?) } else { None };
    let mut layers = Vec::new();
    let mut inherited = Vec::new();
    match &spec.base {
        Base::Debian(_) => layers.push(base::layer(cache, name, &locked.debian, &spec.user, platform, fresh)?),
        Base::Oci(reference) => {
            let below = BaseImage::open(cache, reference, platform, name)?;
            layers.extend(below.layers(cache)?);
            inherited = below.environment()?;
        }
    }
    if let Some(libraries) = libraries {
        layers.push(libtorch::layer(cache, &libraries, fresh)?);
    }
    if let Some(python) = &spec.python {
        let pip = Pip { python: &sources.python };
        layers.push(python::layer(cache, &pip, python, &locked.wheels, &locked.debian, platform, fresh)?);
    }
    layers.extend(application);
    let config = manifest::config(declared, platform, &layers, &inherited, revision)?;
    let manifest = manifest::manifest(&config, &layers);
    Ok(PlatformImage { platform, layers, config, manifest, locked })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attach::attach;
    use std::path::{Path, PathBuf};

    use slipway_digest::Digest;

    use crate::cache::Cache;
    use crate::layout::{write_folder, write_tar};
    use crate::lock::{Archive, Package};

    const DECLARATION: &str = "apiVersion: slipway.dev/v1alpha1
kind: Image
metadata: {name: thing}
spec:
  base:
    debian: {suite: bookworm, packages: [thing-data]}
  entrypoint: [/usr/bin/thing]
  args: [--serve]
  env: {B: two, A: one}
  ports: [8080]
  labels: {z: last, a: first}
";

    fn tar(path: &str, content: &[u8]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        archive.append_data(&mut header, path, content).unwrap();
        archive.into_inner().unwrap()
    }

    fn deb() -> Vec<u8> {
        let mut archive = ar::Builder::new(Vec::new());
        let control = b"Package: thing-data\nVersion: 1.0\nArchitecture: all\n";
        let data = tar("./usr/bin/thing", b"#!thing\n");
        for (name, bytes) in [("control.tar", tar("./control", control)), ("data.tar", data)] {
            archive.append(&ar::Header::new(name.into(), bytes.len() as u64), bytes.as_slice()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    /// Everything that decides a digest is fixed here, so the digests are, whatever the code that makes them looks like.
    #[test]
    fn the_same_inputs_are_the_same_bytes_in_every_version() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: &[u8]| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        write("Cargo.toml", b"[workspace.package]\nversion = \"1.2.3\"\nlicense = \"MIT\"\n");
        write("apps/thing/image.yaml", DECLARATION.as_bytes());
        write("apps/thing/image.lock", b"{}\n");
        let deb = deb();
        let package = Package {
            name: "thing-data".to_owned(),
            version: "1.0".to_owned(),
            archive: Archive::Debian,
            path: "pool/thing.deb".to_owned(),
            sha256: Digest::of(&deb),
            size: deb.len() as u64,
        };
        write(&format!("cache/debs/{}.deb", package.sha256.hex()), &deb);
        let locked = Locked { debian: vec![package], wheels: Vec::new() };
        let image = crate::parse("apps/thing/image.yaml", DECLARATION).unwrap();
        let declared = Declared { root: folder.path().to_owned(), folder: "apps/thing".into(), image };
        let revision = Revision { commit: "0123456789abcdef0123456789abcdef01234567".to_owned(), time: 1_700_000_000 };
        let cache = Cache::new(folder.path().join("cache"));
        let nothing = PathBuf::from("/nonexistent");
        let sources = Sources { cache, libtorch: nothing.clone(), target: nothing.clone(), python: nothing };
        let image = |platform| for_platform(&declared, platform, locked.clone(), &sources, &revision, false).unwrap();
        let images: Vec<PlatformImage> = Platform::ALL.into_iter().map(image).collect();
        let index = Some(manifest::index(&images));
        let mut built = Built { name: "thing".to_owned(), revision: revision.clone(), images, index };
        let attached = attach(&declared, &built, &sources).unwrap();
        let layout = folder.path().join("layout");
        write_folder(&built, &attached, &sources.cache, &layout).unwrap();
        let digest = |path: &Path| Digest::of(std::fs::read(path).unwrap()).hex();
        let mut found = vec![built.top().digest().hex(), digest(&layout.join("index.json"))];
        found.extend(built.images.iter().map(|image| image.manifest.digest().hex()));
        // one platform alone, as the tar that other programs import
        built.index = None;
        built.images.truncate(1);
        let tar = folder.path().join("thing.tar");
        write_tar(&built, &sources.cache, &tar).unwrap();
        found.push(digest(&tar));
        let mut blobs: Vec<_> = std::fs::read_dir(layout.join("blobs/sha256"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        blobs.sort();
        found.push(Digest::of(blobs.join(" ")).hex());
        assert_eq!(
            found,
            [
                "1a60abd6d7d4bbd047b923056c4c44399a770863edc6b3d79890339569049c77",
                "18e364ff72bb67055c2ea8e2a2ff9e4afbb855d18b4b9f1f3b875f22472167e1",
                "dbddadca0d209301e8d8734cede33fc09692f617701057afca0dd333c356eb17",
                "15208c96c0a5ee0099bafa14d7be1ba56e894a9d31c9063ff6968b55b8344b81",
                "5bd0712e986c251ff046c6c1cbd50e45860468dc349e6cacff034b749ea58a9b",
                "6e52baf7dba86a775b86f8d5394bfed9e076d735ba2b825c61bfb8053be83706",
            ]
        );
    }
}
