//! Files of YAML documents, each an object of Kubernetes.

use std::fs;
use std::path::Path;

use kube::api::DynamicObject;

use super::error::{Error, Tried as _};

/// Objects to be applied.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    objects: Vec<DynamicObject>,
}

impl Manifest {
    /// Reads a file of YAML documents.
    ///
    /// # Errors
    /// A file that cannot be read, or a document that is not an object of Kubernetes.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(file).tried(format!("reading {}", file.display()))?;
        Self::parse(&text).map_err(|reason| Error::Manifest { file: file.to_owned(), reason })
    }

    /// Reads YAML documents; empty ones are skipped.
    ///
    /// # Errors
    /// Which document is wrong, and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
        let mut objects = Vec::new();
        for (n, document) in documents.into_iter().enumerate().filter(|(_, document)| !document.is_null()) {
            let object: DynamicObject =
                serde_json::from_value(document).map_err(|error| format!("document {}: {error}", n + 1))?;
            if object.types.is_none() || object.metadata.name.is_none() {
                return Err(format!("document {}: an object needs apiVersion, kind and metadata.name", n + 1));
            }
            objects.push(object);
        }
        Ok(Self { objects })
    }

    /// The objects, in the order of the file.
    #[must_use]
    pub fn objects(&self) -> &[DynamicObject] {
        &self.objects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_and_empty_ones_are_skipped() {
        let manifest = Manifest::parse(
            "---\n# nothing\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {port: \"80\"}\n",
        )
        .unwrap();
        assert_eq!(manifest.objects().len(), 1);
        assert_eq!(manifest.objects()[0].data["data"]["port"], "80");
        let error =
            Manifest::parse("apiVersion: v1\nkind: ConfigMap\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {}\n")
                .unwrap_err();
        assert!(error.starts_with("document 1: "), "{error}");
        assert!(Manifest::parse("a: [").unwrap_err().contains("line 1"), "the line is named");
    }
}
