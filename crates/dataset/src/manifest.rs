//! A dataset's manifest: what it is and the digests of its blobs.

use serde::{Deserialize, Serialize};

use crate::{Digest, Error, Result};

/// What a dataset is. Its canonical JSON (fields in this order, no spaces, no line end) has the dataset's digest as its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The dataset's name, such as `mnist-10k`.
    pub name: String,
    /// What its splits hold, and in which form.
    #[serde(flatten)]
    pub content: Format,
}

/// The content of a dataset, by the form in which it is stored: the field `format` of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "lowercase")]
pub enum Format {
    /// Grey images of one size and their labels, in IDX files.
    Idx(Idx),
    /// Folders of image files, one folder for each label.
    Images(ImageFolders),
    /// A table in CSV files.
    Csv(Table),
    /// A table in Parquet files.
    Parquet(Table),
}

/// Grey images of one size, with labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idx {
    /// Height and width of an image.
    pub shape: [usize; 2],
    /// The number of classes, 1 to 256: labels are 0 to `classes - 1`.
    pub classes: usize,
    /// The names of the classes, in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Which blobs hold them.
    pub splits: Splits<IdxBlobs>,
}

/// Image files, in one archive a split that holds `<label>/<file>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFolders {
    /// Height, width and channels (1 is grey, 3 is colour) of every image; absent if they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<[usize; 3]>,
    /// The names of the classes, which are the names of the folders, in their order.
    pub labels: Vec<String>,
    /// Which blobs hold them.
    pub splits: Splits<FileBlob>,
}

/// A table: each row is one example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What a model sees of a row, in the order of the columns.
    pub features: Vec<Column>,
    /// What it should say: the table's last column.
    pub label: Column,
    /// The number of classes: labels are 0 to `classes - 1`. Absent if the label is a quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// The names of the classes, in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Which blobs hold it.
    pub splits: Splits<FileBlob>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name in the table's header.
    pub name: String,
    /// What its cells hold.
    #[serde(rename = "type")]
    pub kind: ColumnType,
}

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// A finite number.
    Number,
    /// A whole number of 64 bits.
    Integer,
    /// Any text.
    Text,
}

/// The three splits of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Splits<T> {
    /// The examples to train on.
    pub train: T,
    /// The examples to validate with after each epoch.
    pub validation: T,
    /// The examples that only the finished model sees.
    pub test: T,
}

/// The two blobs of a split of IDX files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdxBlobs {
    /// The number of images, and of labels.
    pub count: usize,
    /// An IDX file of `count` images.
    pub images: Blob,
    /// An IDX file of `count` labels.
    pub labels: Blob,
}

/// The only blob of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileBlob {
    /// The number of examples.
    pub count: usize,
    /// A table, or an archive of images.
    pub file: Blob,
}

/// A file, named by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blob {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Manifest {
    /// The bytes whose SHA-256 is the dataset's digest.
    ///
    /// # Errors
    /// Never for a manifest that this crate made: only the type of serialization is fallible.
    pub fn canonical(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|error| Error::Inconsistent { name: self.name.clone(), reason: error.to_string() })
    }

    /// Parses a manifest whose digest was verified.
    pub(crate) fn parse(digest: &Digest, bytes: &[u8]) -> Result<Self> {
        let unusable = |reason: String| Error::Manifest { digest: *digest, reason };
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| unusable(error.to_string()))?;
        match &manifest.content {
            Format::Idx(Idx { shape, classes, .. }) if shape.contains(&0) || !(1..=256).contains(classes) => {
                Err(unusable(format!(
                    "images of {shape:?} pixels in {classes} classes; images have pixels, and there are 1 to 256 classes"
                )))
            }
            _ => Ok(manifest),
        }
    }

    /// The form in which it is stored: `idx`, `images`, `csv` or `parquet`.
    #[must_use]
    pub fn format(&self) -> &'static str {
        match &self.content {
            Format::Idx(_) => "idx",
            Format::Images(_) => "images",
            Format::Csv(_) => "csv",
            Format::Parquet(_) => "parquet",
        }
    }

    /// How many examples each split has.
    #[must_use]
    pub fn counts(&self) -> Splits<usize> {
        match &self.content {
            Format::Idx(Idx { splits, .. }) => splits.map(|part| part.count),
            Format::Images(ImageFolders { splits, .. })
            | Format::Csv(Table { splits, .. })
            | Format::Parquet(Table { splits, .. }) => splits.map(|part| part.count),
        }
    }

    /// The number of classes; `None` if the label is a quantity.
    #[must_use]
    pub fn classes(&self) -> Option<usize> {
        match &self.content {
            Format::Idx(Idx { classes, .. }) => Some(*classes),
            Format::Images(ImageFolders { labels, .. }) => Some(labels.len()),
            Format::Csv(Table { classes, .. }) | Format::Parquet(Table { classes, .. }) => *classes,
        }
    }

    /// The names of the classes, in their order, if they have names.
    #[must_use]
    pub fn labels(&self) -> Option<&[String]> {
        match &self.content {
            Format::Images(ImageFolders { labels, .. }) => Some(labels),
            Format::Idx(Idx { labels, .. })
            | Format::Csv(Table { labels, .. })
            | Format::Parquet(Table { labels, .. }) => labels.as_deref(),
        }
    }

    /// The shape of one example: height and width, height, width and channels, or the number of features. Empty if images differ in size.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        match &self.content {
            Format::Idx(Idx { shape, .. }) => shape.to_vec(),
            Format::Images(ImageFolders { shape, .. }) => shape.iter().flatten().copied().collect(),
            Format::Csv(Table { features, .. }) | Format::Parquet(Table { features, .. }) => vec![features.len()],
        }
    }

    /// Every blob with its name within the dataset, such as `train/images`.
    pub fn blobs(&self) -> impl Iterator<Item = (String, Blob)> {
        let blobs: Vec<(String, Blob)> = match &self.content {
            Format::Idx(Idx { splits, .. }) => splits
                .parts()
                .flat_map(|(name, part)| {
                    [(format!("{name}/images"), part.images), (format!("{name}/labels"), part.labels)]
                })
                .collect(),
            Format::Images(ImageFolders { splits, .. })
            | Format::Csv(Table { splits, .. })
            | Format::Parquet(Table { splits, .. }) => {
                splits.parts().map(|(name, part)| (name.to_owned(), part.file)).collect()
            }
        };
        blobs.into_iter()
    }
}

impl<T> Splits<T> {
    /// The three splits with their names: `train`, `validation`, `test`.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &T)> {
        [("train", &self.train), ("validation", &self.validation), ("test", &self.test)].into_iter()
    }

    /// The same of each split.
    pub fn map<U>(&self, of: impl Fn(&T) -> U) -> Splits<U> {
        Splits { train: of(&self.train), validation: of(&self.validation), test: of(&self.test) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Manifest> {
        Manifest::parse(&Digest::of(json), json.as_bytes())
    }

    #[test]
    fn a_manifest_keeps_its_bytes() {
        let blob = format!(r#"{{"digest":"{}","size":20}}"#, Digest::of(""));
        let idx = format!(r#"{{"count":2,"images":{blob},"labels":{blob}}}"#);
        let file = format!(r#"{{"count":2,"file":{blob}}}"#);
        let splits = |part: &str| format!(r#""splits":{{"train":{part},"validation":{part},"test":{part}}}}}"#);
        for json in [
            format!(r#"{{"name":"a","format":"idx","shape":[28,28],"classes":10,{}"#, splits(&idx)),
            format!(r#"{{"name":"a","format":"idx","shape":[28,28],"classes":1,"labels":["x"],{}"#, splits(&idx)),
            format!(r#"{{"name":"a","format":"images","shape":[8,8,1],"labels":["x"],{}"#, splits(&file)),
            format!(r#"{{"name":"a","format":"images","labels":["x"],{}"#, splits(&file)),
            format!(
                r#"{{"name":"a","format":"csv","features":[{{"name":"x","type":"number"}}],"label":{{"name":"y","type":"integer"}},"classes":3,{}"#,
                splits(&file)
            ),
        ] {
            assert_eq!(String::from_utf8(parse(&json).unwrap().canonical().unwrap()).unwrap(), json);
            // what this version does not know may change what the data means
            let unknown = json.replacen(r#""splits""#, r#""unknown":1,"splits""#, 1);
            assert!(parse(&unknown).unwrap_err().to_string().contains("unknown"), "{unknown}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let other = r#"{"name":"a","format":"tfrecord"}"#;
        assert!(parse(other).unwrap_err().to_string().contains("tfrecord"));
        assert!(parse("{}").is_err());
        assert!(parse("[").is_err());
    }
}
