//! Access keys of the S3 endpoint: random, made once for each state folder, readable by their owner only.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, files};

/// An access key and its secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    /// The value of `AWS_ACCESS_KEY_ID`.
    pub access_key: String,
    /// The value of `AWS_SECRET_ACCESS_KEY`.
    pub secret_key: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads those of a state folder.
    ///
    /// # Errors
    /// If the file does not exist or has another form.
    pub fn read(state: &Path) -> Result<Self> {
        let path = state.join("credentials.json");
        let text = std::fs::read_to_string(&path).map_err(Error::file("reading", &path))?;
        serde_json::from_str(&text).map_err(|error| Error::Malformed { path, reason: error.to_string() })
    }

    /// Those of a state folder; makes them if it has none.
    pub(crate) fn read_or_make(state: &Path) -> Result<Self> {
        let path = state.join("credentials.json");
        if files::read_if_there(&path)?.is_some() {
            return Self::read(state);
        }
        let made = Self { access_key: random(10)?, secret_key: random(20)? };
        let text = serde_json::to_string(&made)
            .map_err(|error| Error::Malformed { path: path.clone(), reason: error.to_string() })?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(Error::file("writing", &path))?;
        Ok(made)
    }

    /// The variables by which every S3 client finds the endpoint and these keys, and nothing else: a person's AWS configuration may name
    /// another endpoint, or ask for what a store on this machine does not have.
    pub(crate) fn environment(&self, endpoint: &str) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL_S3", endpoint),
            ("AWS_ACCESS_KEY_ID", &self.access_key),
            ("AWS_SECRET_ACCESS_KEY", &self.secret_key),
            ("AWS_REGION", "us-east-1"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}

/// Random bytes as hexadecimal digits.
pub(crate) fn random(bytes: usize) -> Result<String> {
    let path = Path::new("/dev/urandom");
    let mut buffer = vec![0; bytes];
    File::open(path).and_then(|mut file| file.read_exact(&mut buffer)).map_err(Error::file("reading", path))?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}
