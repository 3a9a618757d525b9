//! The commands of docs/operations.md.

use std::fs::File;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::Stack;

/// The folder in the node that holds the copy of the buckets.
const COPY: &str = "/tmp/backup";
const BUCKETS: [&str; 2] = ["mlflow", "datasets"];
/// Suspends automated sync; otherwise Argo CD would start MLflow again.
const PAUSE: &str = r#"{"spec":{"syncPolicy":{"automated":null}}}"#;
/// Empties every table of MLflow.
const LOSS: &str = "DO $$ DECLARE name text; BEGIN FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' \
                    LOOP EXECUTE 'TRUNCATE TABLE public.' || quote_ident(name) || ' CASCADE'; END LOOP; END $$";

/// A backup of the database. The copy of the buckets stays in the node.
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
        let status =
            self.kubectl().command().args(dump).stdout(File::create(backup.0.path().join("mlflow.dump"))?).status()?;
        ensure!(status.success(), "pg_dump ended with {status}");
        for bucket in BUCKETS {
            self.mc(&["mirror", "--overwrite", &format!("slipway/{bucket}"), &format!("{COPY}/{bucket}")])?;
        }
        Ok(backup)
    }

    /// Empties every table and both buckets.
    ///
    /// # Errors
    /// If a command fails.
    pub fn lose_everything(&self) -> Result<()> {
        self.kubectl().run(&[
            "exec",
            "-n",
            "postgres",
            "postgres-0",
            "--",
            "psql",
            "-U",
            "postgres",
            "-d",
            "mlflow",
            "-c",
            LOSS,
        ])?;
        for bucket in BUCKETS {
            self.mc(&["rm", "--recursive", "--force", &format!("slipway/{bucket}")])?;
        }
        Ok(())
    }

    /// Restores a backup.
    ///
    /// # Errors
    /// If a command fails.
    pub fn restore(&self, backup: &Backup) -> Result<()> {
        for application in ["root", "mlflow"] {
            self.kubectl().run(&[
                "patch",
                "-n",
                "argocd",
                "application",
                application,
                "--type",
                "merge",
                "-p",
                PAUSE,
            ])?;
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
        let dump = File::open(backup.0.path().join("mlflow.dump"))?;
        let status = self.kubectl().command().args(restore).stdin(dump).stdout(Stdio::null()).status()?;
        ensure!(status.success(), "pg_restore ended with {status}");
        for bucket in BUCKETS {
            self.mc(&["mirror", "--overwrite", &format!("{COPY}/{bucket}"), &format!("slipway/{bucket}")])?;
        }
        self.slipway(&["bootstrap", "local"]).map(drop)
    }

    /// Runs MinIO's client in the node.
    fn mc(&self, arguments: &[&str]) -> Result<String> {
        let service = self.kubectl().get(&["service", "minio", "-n", "minio"])?;
        let address = service["spec"]["clusterIP"].as_str().context("MinIO's Service has no address")?;
        let password = self.kubectl().secret("minio", "minio-root", "MINIO_ROOT_PASSWORD")?;
        let host = format!("MC_HOST_slipway=http://slipway-root:{password}@{address}:9000");
        let program = testbed::Cache::locate().context("HOME is not set")?.program("mc");
        let program = program.display().to_string();
        self.inside(
            ["env", &host, &program, "--config-dir", "/tmp/mc", "--quiet"].into_iter().chain(arguments.iter().copied()),
        )
    }
}
