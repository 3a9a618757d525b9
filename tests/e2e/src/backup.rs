//! The commands of docs/operations.md.

use std::fs::File;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::Stack;

/// The folder in the node that `mc` copies the buckets to and from. It is lost with the cluster.
const COPY: &str = "/tmp/backup";
const BUCKETS: [&str; 2] = ["mlflow", "datasets"];
/// Suspends automated sync; otherwise Argo CD would start MLflow again.
const PAUSE: &str = r#"{"spec":{"syncPolicy":{"automated":null}}}"#;
/// The files of a backup.
const DUMP: &str = "mlflow.dump";
const OBJECTS: &str = "buckets.tar";

/// A backup on this machine: the database and the buckets.
#[derive(Debug)]
pub struct Backup(TempDir);

impl Stack {
    /// Takes a backup: the database, then the buckets.
    ///
    /// # Errors
    /// If a command fails.
    pub fn back_up(&self) -> Result<Backup> {
        let backup = Backup(tempfile::tempdir()?);
        let dump =
            ["exec", "-n", "postgres", "postgres-0", "--", "pg_dump", "-U", "postgres", "--format=custom", "mlflow"];
        let status = self.kubectl().command().args(dump).stdout(backup.create(DUMP)?).status()?;
        ensure!(status.success(), "pg_dump ended with {status}");
        for bucket in BUCKETS {
            self.mc(&["mirror", "--overwrite", &format!("slipway/{bucket}"), &format!("{COPY}/{bucket}")])?;
        }
        let mut tar = self.ground().inside()?;
        let status = tar
            .args(["tar", "-C", COPY, "-cf", "-", "."])
            .stdin(Stdio::null())
            .stdout(backup.create(OBJECTS)?)
            .status()?;
        ensure!(status.success(), "tar ended with {status}");
        Ok(backup)
    }

    /// Restores a backup into a cluster that `slipway bootstrap` has set up.
    ///
    /// # Errors
    /// If a command fails.
    pub fn restore(&self, backup: &Backup) -> Result<()> {
        for application in ["root", "mlflow"] {
            let patch = ["patch", "-n", "argocd", "application", application, "--type", "merge", "-p", PAUSE];
            self.kubectl().run(&patch)?;
        }
        self.kubectl().run(&["scale", "-n", "mlflow", "deployment", "mlflow", "--replicas=0"])?;
        self.kubectl().run(&["wait", "-n", "mlflow", "--for=delete", "pod", "--all", "--timeout=120s"])?;
        let restore = [
            "exec",
            "-i",
            "-n",
            "postgres",
            "postgres-0",
            "--",
            "pg_restore",
            "-U",
            "postgres",
            "--clean",
            "--if-exists",
            "--no-owner",
            "--role=mlflow",
            "--dbname=mlflow",
        ];
        let status = self.kubectl().command().args(restore).stdin(backup.open(DUMP)?).stdout(Stdio::null()).status()?;
        ensure!(status.success(), "pg_restore ended with {status}");
        self.inside(["mkdir", "-p", COPY])?;
        let mut tar = self.ground().inside()?;
        let status = tar.args(["tar", "-C", COPY, "-xf", "-"]).stdin(backup.open(OBJECTS)?).status()?;
        ensure!(status.success(), "tar ended with {status}");
        for bucket in BUCKETS {
            self.mc(&["mirror", "--overwrite", &format!("{COPY}/{bucket}"), &format!("slipway/{bucket}")])?;
        }
        self.slipway(&["bootstrap", "local"]).map(drop)
    }

    /// Runs MinIO's client in the node, as root.
    pub(crate) fn mc(&self, arguments: &[&str]) -> Result<String> {
        let service = self.kubectl().get(&["service", "minio", "-n", "minio"])?;
        let address = service["spec"]["clusterIP"].as_str().context("MinIO's Service has no address")?;
        let password = self.kubectl().secret("minio", "minio-root", "MINIO_ROOT_PASSWORD")?;
        let host = format!("MC_HOST_slipway=http://slipway-root:{password}@{address}:9000");
        let program = self.ground().mc().display().to_string();
        self.inside(
            ["env", &host, &program, "--config-dir", "/tmp/mc", "--quiet"].into_iter().chain(arguments.iter().copied()),
        )
    }
}

impl Backup {
    fn create(&self, name: &str) -> Result<File> {
        Ok(File::create(self.0.path().join(name))?)
    }

    fn open(&self, name: &str) -> Result<File> {
        Ok(File::open(self.0.path().join(name))?)
    }
}
