//! What is attached to an image: its parts (SBOM, CycloneDX 1.6) and how it was made (SLSA provenance v1).
//! Both are manifests whose subject is the image, so a registry lists them as its referrers. Their only time is the commit's, so the
//! same image has the same attachments.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use slipway_digest::Digest;
use slipway_oci::{Descriptor, Document, Manifest, media_type};

use crate::built::Built;
use crate::error::{Error, Result};
use crate::parse::Declared;
use crate::sources::Sources;
use crate::{application, elf, sbom};

/// The media type of the SBOM.
pub const SBOM: &str = "application/vnd.cyclonedx+json";
/// The media type of the provenance statement.
pub const PROVENANCE: &str = "application/vnd.in-toto+json";

/// What is attached to an image.
#[derive(Clone, Debug, Default)]
pub struct Attached {
    /// The manifests whose subject is the image, or one of its platforms.
    pub referrers: Vec<Descriptor>,
    /// Those manifests and the documents that they name.
    pub documents: Vec<Document>,
    /// The same SBOMs and provenance, to be signed.
    pub predicates: Vec<Predicate>,
}

/// What is said of an image. Who signs it makes a statement of it, which names the image.
#[derive(Clone, Debug)]
pub struct Predicate {
    /// What `cosign attest` calls its type.
    pub kind: &'static str,
    /// JSON.
    pub content: Value,
}

/// Makes the SBOM of each platform's image and the provenance of the whole.
///
/// # Errors
/// When cargo cannot list the crates of a program, or a lock file cannot be read.
pub fn attach(declared: &Declared, built: &Built, sources: &Sources) -> Result<Attached> {
    let mut attached = Attached::default();
    for image in &built.images {
        let document = sbom::document(declared, built, image, sources)?;
        add(&mut attached, Document::new(SBOM, &document), &image.manifest, built);
        attached.predicates.push(Predicate { kind: "cyclonedx", content: document });
    }
    let mut statement = provenance(declared, built, sources)?;
    add(&mut attached, Document::new(PROVENANCE, &statement), built.top(), built);
    attached.predicates.push(Predicate { kind: "slsaprovenance1", content: statement["predicate"].take() });
    Ok(attached)
}

fn add(attached: &mut Attached, document: Document, subject: &Document, built: &Built) {
    let empty = Document::new(media_type::EMPTY, &json!({}));
    let created = ("org.opencontainers.image.created".to_owned(), built.revision.created());
    let manifest = Manifest {
        artifact_type: Some(document.media_type.to_owned()),
        subject: Some(subject.descriptor()),
        annotations: BTreeMap::from([created]),
        ..Manifest::new(empty.descriptor(), vec![document.descriptor()])
    };
    let manifest = manifest.document();
    attached.referrers.push(manifest.descriptor().of_artifact(document.media_type));
    attached.documents.extend([empty, document, manifest]);
}

/// <https://slsa.dev/spec/v1.1/provenance>
fn provenance(declared: &Declared, built: &Built, sources: &Sources) -> Result<Value> {
    let commit = built.revision.commit.trim_end_matches("-dirty");
    let mut dependencies = vec![json!({ "name": "source", "digest": { "gitCommit": commit } })];
    let mut file = |path: std::path::PathBuf| -> Result<()> {
        let (digest, _) = Digest::of_file(&path).map_err(Error::file("reading", &path))?;
        let shown = path.strip_prefix(&declared.root).unwrap_or(&path).display().to_string();
        dependencies.push(json!({ "name": shown, "digest": { "sha256": digest.hex() } }));
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
                let digest = sources.cache.digest_of(&path)?;
                dependencies.push(json!({ "name": format!("libtorch/{name}"), "digest": { "sha256": digest.hex() } }));
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
        "subject": [{ "name": built.name, "digest": { "sha256": built.top().digest().hex() } }],
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
