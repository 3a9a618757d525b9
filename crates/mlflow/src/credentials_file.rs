//! `~/.mlflow/credentials`, as Python's `configparser` reads it for MLflow's own client.

use std::path::Path;

use crate::{Error, Result};

/// User and password of the section `[mlflow]`, each if it is there.
#[derive(Default)]
pub(crate) struct CredentialsFile {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

impl CredentialsFile {
    /// Reads the file; empty if there is none.
    ///
    /// # Errors
    /// [`Error::File`] if it exists and cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                Ok(Self::default())
            }
            Err(error) => Err(Error::File { path: path.to_owned(), reason: error.to_string() }),
        }
    }

    fn parse(text: &str) -> Self {
        let mut found = Self::default();
        let mut is_mlflow = false;
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                is_mlflow = section == "mlflow";
            } else if let Some((key, value)) = line.split_once(['=', ':']).filter(|_| is_mlflow) {
                // `%` introduces a reference to another value, and stands for itself when doubled
                let value = Some(value.trim().replace("%%", "%")).filter(|value| !value.is_empty());
                match key.trim().to_ascii_lowercase().as_str() {
                    "mlflow_tracking_username" => found.user = value,
                    "mlflow_tracking_password" => found.password = value,
                    _ => {}
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_configparser_reads_it() {
        let text = "mlflow_tracking_username = nobody\n[other]\nmlflow_tracking_username = nobody\n[mlflow]\n; a comment\n\
                    MLFLOW_TRACKING_USERNAME: ann\nmlflow_tracking_password =  p%%=s:s \n[later]\nmlflow_tracking_password = x\n";
        let found = CredentialsFile::parse(text);
        assert_eq!((found.user.as_deref(), found.password.as_deref()), (Some("ann"), Some("p%=s:s")));
    }

    #[test]
    fn no_file_is_no_login_and_an_unreadable_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(CredentialsFile::read(&folder.path().join("none")).unwrap().user.is_none());
        assert!(matches!(CredentialsFile::read(folder.path()), Err(Error::File { .. })));
    }
}
