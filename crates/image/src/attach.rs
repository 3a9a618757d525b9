//! What is attached to an image: what it consists of (SBOM, CycloneDX 1.6) and how it was made (SLSA provenance v1).
//! Both are manifests whose subject is the image, so that a registry lists them as its referrers. Neither holds a time of its
//! own, so the same image has the same attachments.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::build::{Built, Sources};
use crate::digest::of_file;
use crate::error::{Error, Result};
use crate::layout::Attached;
use crate::manifest::{Blob, MANIFEST};
use crate::parse::Declared;
use crate::{application, elf, sbom};

/// The media type of the SBOM.
pub const SBOM: &str = "application/vnd.cyclonedx+json";
/// The media type of the provenance statement.
pub const PROVENANCE: &str = "application/vnd.in-toto+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Makes the SBOM of each platform's image and the provenance of the whole.
///
/// # Errors
/// When cargo cannot say which crates are in a program, or a lock file cannot be read.
pub fn attach(declared: &Declared, built: &Built, sources: &Sources) -> Result<Attached> {
    let mut attached = Attached::default();
    for image in &built.images {
        let document = sbom::document(declared, built, image, sources)?;
        add(&mut attached, &Blob::new(SBOM, &document)?, &image.manifest, built)?;
    }
    let statement = provenance(declared, built, sources)?;
    add(&mut attached, &Blob::new(PROVENANCE, &statement)?, built.top(), built)?;
    Ok(attached)
}

fn add(attached: &mut Attached, document: &Blob, subject: &Blob, built: &Built) -> Result<()> {
    let empty = Blob { media_type: EMPTY, bytes: b"{}".to_vec() };
    let manifest = Blob::new(
        MANIFEST,
        &json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": document.media_type,
            "config": empty.descriptor(),
            "layers": [document.descriptor()],
            "subject": subject.descriptor(),
            "annotations": { "org.opencontainers.image.created": built.revision.created() },
        }),
    )?;
    let mut descriptor = manifest.descriptor();
    descriptor["artifactType"] = document.media_type.into();
    attached.referrers.push(descriptor);
    attached.documents.extend([empty, document.clone(), manifest]);
    Ok(())
}

/// <https://slsa.dev/spec/v1.1/provenance>
fn provenance(declared: &Declared, built: &Built, sources: &Sources) -> Result<Value> {
    let commit = built.revision.commit.trim_end_matches("-dirty");
    let mut dependencies = vec![json!({ "name": "source", "digest": { "gitCommit": commit } })];
    let mut file = |path: std::path::PathBuf| -> Result<()> {
        let (sha256, _) = of_file(&path)?;
        let shown = path.strip_prefix(&declared.root).unwrap_or(&path).display().to_string();
        dependencies.push(json!({ "name": shown, "digest": { "sha256": sha256 } }));
        Ok(())
    };
    file(declared.root.join(&declared.folder).join("image.yaml"))?;
    file(declared.lock_path())?;
    if let Some(path) = declared.requirements_path() {
        file(path)?;
    }
    if declared.image.spec.files.iter().any(|file| file.binary.is_some()) {
        file(declared.root.join("Cargo.lock"))?;
    }
    if declared.image.spec.libtorch {
        for image in &built.images {
            for (name, path) in crate::libtorch::libraries(&sources.libtorch, image.platform, declared.name())? {
                let sha256 = sources.cache.hash_of(&path)?;
                dependencies.push(json!({ "name": format!("libtorch/{name}"), "digest": { "sha256": sha256 } }));
            }
        }
    }
    let mut compilers = BTreeSet::new();
    for binary in declared.image.spec.files.iter().filter_map(|file| file.binary.as_deref()) {
        for image in &built.images {
            let path = application::program_path(sources, image.platform, binary);
            let bytes = std::fs::read(&path).map_err(Error::file("reading", &path))?;
            compilers.extend(elf::compiler(&bytes));
        }
    }
    Ok(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": built.name, "digest": { "sha256": built.top().hex() } }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://slipway.dev/image/v1alpha1",
                "externalParameters": {
                    "image": built.name,
                    "declaration": declared.folder.join("image.yaml").display().to_string(),
                    "platforms": built.summary().platforms,
                    "revision": built.revision.commit,
                },
                "internalParameters": { "compilers": compilers },
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {
                    "id": "https://slipway.dev/slipway-image",
                    "version": { "slipway": env!("CARGO_PKG_VERSION") },
                },
            },
        },
    }))
}
