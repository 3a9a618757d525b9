//! Files of runs and models, through the server's proxy (`/api/2.0/mlflow-artifacts/artifacts/…`).

use std::path::Path;

use bytes::Bytes;
use reqwest::Url;
use serde::Deserialize;

use crate::client::below;
use crate::values::read_int64;
use crate::{Client, Error, Result, Run};

const PROXY: [&str; 4] = ["api", "2.0", "mlflow-artifacts", "artifacts"];
/// The deepest level of folders that is listed; models are not nested deeper.
const MAX_DEPTH: usize = 16;

/// A file below an artifact root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Relative to the root, with `/` between its parts.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
}

#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    files: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(default)]
    is_dir: bool,
    #[serde(default, deserialize_with = "read_int64")]
    file_size: i64,
}

impl Client {
    /// Uploads one file to a run; `path` is relative, with `/` between its parts.
    ///
    /// # Errors
    /// When the path leaves the run's folder, the server does not proxy artifacts, or MLflow fails.
    pub async fn log_artifact(&self, run: &Run, path: &str, bytes: impl Into<Bytes>) -> Result<()> {
        self.upload_artifact(&run.artifact_uri, path, bytes.into()).await
    }

    /// Every file below an artifact root (`artifact_uri` of a run or a logged model), sorted by path.
    ///
    /// # Errors
    /// When the server does not proxy artifacts, or MLflow fails.
    pub async fn list_artifacts(&self, artifact_uri: &str) -> Result<Vec<Artifact>> {
        let root = self.proxied(artifact_uri)?;
        let mut files = Vec::new();
        let mut folders = vec![(String::new(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            for entry in self.list_folder(&root, &folder).await? {
                let path = if folder.is_empty() { entry.path } else { format!("{folder}/{}", entry.path) };
                parts(&path)?;
                if !entry.is_dir {
                    files.push(Artifact { path, size: u64::try_from(entry.file_size).unwrap_or_default() });
                } else if depth < MAX_DEPTH {
                    folders.push((path, depth + 1));
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Downloads one file below an artifact root into `file`, in blocks, so that its size does not matter.
    ///
    /// # Errors
    /// When there is no such file, it does not have `size` bytes, the path leaves the root, `file` cannot be written, or MLflow fails.
    pub async fn download_artifact(&self, artifact_uri: &str, path: &str, size: u64, file: &Path) -> Result<()> {
        self.download(self.proxied(artifact_uri)?.file(path)?, file, size).await
    }

    /// The bytes of one file below an artifact root. Returns `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when it has more than `most` bytes; when the path leaves the root, or MLflow fails.
    pub async fn read_artifact(&self, artifact_uri: &str, path: &str, most: u64) -> Result<Option<Bytes>> {
        let (root, folder) = (self.proxied(artifact_uri)?, path.rsplit_once('/').map_or("", |(folder, _)| folder));
        let file = root.file(path)?;
        // a missing file is a server error of some object stores, so the folder is asked
        let name = path.rsplit('/').next().unwrap_or(path);
        let listing = self.list_folder(&root, folder).await?;
        let Some(entry) = listing.into_iter().find(|entry| !entry.is_dir && entry.path == name) else {
            return Ok(None);
        };
        let size = u64::try_from(entry.file_size).unwrap_or_default();
        if size > most {
            return Err(Error::TooLarge { path: path.to_owned(), size, most });
        }
        self.fetch(file, size).await.map(Some)
    }

    /// What is directly in a folder below an artifact root.
    async fn list_folder(&self, root: &Root, folder: &str) -> Result<Vec<Entry>> {
        let mut url = below(root.server.clone(), PROXY.into_iter());
        let path =
            [root.path.as_str(), folder].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        url.query_pairs_mut().append_pair("path", &path);
        Ok(self.get_at::<Listing>(url).await?.files)
    }

    pub(crate) async fn upload_artifact(&self, artifact_uri: &str, path: &str, bytes: Bytes) -> Result<()> {
        self.upload(self.proxied(artifact_uri)?.file(path)?, bytes).await
    }

    /// `mlflow-artifacts:/path` is on this server; `mlflow-artifacts://host:port/path` names another server, which is reached by the
    /// same scheme (`mlflow/store/artifact/mlflow_artifacts_repo.py`).
    fn proxied(&self, artifact_uri: &str) -> Result<Root> {
        let not_proxied = || Error::NotProxied { uri: artifact_uri.to_owned() };
        let uri = Url::parse(artifact_uri).map_err(|_| not_proxied())?;
        if uri.scheme() != "mlflow-artifacts" {
            return Err(not_proxied());
        }
        let here = self.url(&[]);
        let server = match uri.host_str() {
            None | Some("") => here,
            Some(host) => {
                let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
                Url::parse(&format!("{}://{host}{port}", here.scheme())).map_err(|_| not_proxied())?
            }
        };
        Ok(Root { server, path: uri.path().trim_matches('/').to_owned() })
    }
}

struct Root {
    server: Url,
    path: String,
}

impl Root {
    fn file(&self, path: &str) -> Result<Url> {
        let parts = parts(path)?;
        Ok(below(
            self.server.clone(),
            PROXY.into_iter().chain(self.path.split('/').filter(|part| !part.is_empty())).chain(parts),
        ))
    }
}

/// Splits a relative path, and refuses one that could leave its folder, here or on the server.
fn parts(path: &str) -> Result<Vec<&str>> {
    let parts: Vec<&str> = path.split('/').collect();
    if parts.iter().any(|part| part.is_empty() || *part == "." || *part == ".." || part.contains(['\\', '\0'])) {
        return Err(Error::Invalid {
            what: format!("the artifact path `{path}`"),
            reason: "it must be relative, without empty parts, `.`, `..` or backslashes".to_owned(),
        });
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(artifact_uri: &str) -> Result<String> {
        Ok(Client::new("https://a.example/mlflow")?.proxied(artifact_uri)?.file("data/m x.pth")?.to_string())
    }

    #[test]
    fn roots_are_resolved_as_mlflow_does() {
        assert_eq!(
            url("mlflow-artifacts:/1/r/artifacts").unwrap(),
            "https://a.example/mlflow/api/2.0/mlflow-artifacts/artifacts/1/r/artifacts/data/m%20x.pth"
        );
        assert_eq!(
            url("mlflow-artifacts://b.example:81/1").unwrap(),
            "https://b.example:81/api/2.0/mlflow-artifacts/artifacts/1/data/m%20x.pth"
        );
        for other in ["s3://bucket/1", "/tmp/x", "file:///tmp/x"] {
            assert!(url(other).unwrap_err().to_string().contains("--serve-artifacts"));
        }
    }

    #[test]
    fn paths_stay_below_the_root() {
        for path in ["../x", "a/../../x", "/etc/passwd", "a//b", "", "a\\b"] {
            assert!(matches!(parts(path), Err(Error::Invalid { .. })), "{path}");
        }
    }
}
