//! MLflow with its own basic authentication, `--app-name basic-auth`, and one user.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::{Process, free_port};
use crate::programs::{given, repository};

/// The user: what an address must escape is in the name and in the password.
pub const USER: &str = "ann@acme";
/// The user's password.
pub const PASSWORD: &str = "m4rked/p@ss:w #? 50%";
/// [`USER`] and [`PASSWORD`] as they stand in an address.
pub const ESCAPED: &str = "ann%40acme:m4rked%2Fp%40ss%3Aw%20%23%3F%2050%25";
/// A token that stands for the user.
pub const TOKEN: &str = "m4rked-token.of+ann/=";

/// A running MLflow, which answers nobody without a login.
#[derive(Debug)]
pub struct LoginMlflow {
    /// `127.0.0.1:<port>`
    pub host: String,
    _process: Process,
}

impl LoginMlflow {
    /// Starts it, with everything that it stores in `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        let host = format!("127.0.0.1:{}", free_port()?);
        let configuration = folder.join("basic_auth.ini");
        let database = folder.join("users.db");
        std::fs::write(
            &configuration,
            format!(
                "[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{}\nauthorization_function = token_login:authenticate\n",
                database.display()
            ),
        )?;
        let (_, port) = host.split_once(':').unwrap_or_default();
        let mut command = Command::new(given("SLIPWAY_PYTHON")?);
        command
            .args(["-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"])
            .args(["--host", "127.0.0.1", "--port", port])
            .arg("--backend-store-uri")
            .arg(format!("sqlite:///{}", folder.join("mlflow.db").display()))
            .arg("--artifacts-destination")
            .arg(folder.join("artifacts"))
            .env("MLFLOW_AUTH_CONFIG_PATH", &configuration)
            .env("MLFLOW_AUTH_ADMIN_USERNAME", USER)
            .env("MLFLOW_AUTH_ADMIN_PASSWORD", PASSWORD)
            .env("MLFLOW_FLASK_SERVER_SECRET_KEY", "of this test")
            .env("MLFLOW_DISABLE_TELEMETRY", "true")
            .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
            .env("PYTHONPATH", repository().join("tests/loop"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TOKEN", TOKEN)
            .current_dir(folder);
        let mut process = Process::start(&command, &folder.join("mlflow.log"))?;
        process.answers(&format!("http://{host}/health")).await?;
        Ok(Self { host, _process: process })
    }
}
