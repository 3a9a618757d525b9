//! MLflow with its own basic authentication, `--app-name basic-auth`, and one user.

use std::path::Path;

use anyhow::Result;
use slipway_mlflow_server::{Mlflow, python};

use crate::programs::repository;

/// The user: what an address must escape is in the name and in the password.
pub const USER: &str = "ann@acme";
/// The user's password.
pub const PASSWORD: &str = "m4rked/p@ss:w #? 50%";
/// [`USER`] and [`PASSWORD`] as they stand in an address.
pub const ESCAPED: &str = "ann%40acme:m4rked%2Fp%40ss%3Aw%20%23%3F%2050%25";
/// A token that stands for the user.
pub const TOKEN: &str = "m4rked-token.of+ann/=";

/// Starts it, with everything that it stores in `folder`. It answers nobody without a login.
pub async fn start(folder: &Path) -> Result<Mlflow> {
    let configuration = folder.join("basic_auth.ini");
    std::fs::write(
        &configuration,
        format!(
            "[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{}\nauthorization_function = token_login:authenticate\n",
            folder.join("users.db").display()
        ),
    )?;
    let mut command = python(folder);
    command
        .env("MLFLOW_BACKEND_STORE_URI", format!("sqlite:///{}", folder.join("mlflow.db").display()))
        .env("MLFLOW_ARTIFACTS_DESTINATION", folder.join("artifacts"))
        .env("MLFLOW_AUTH_CONFIG_PATH", &configuration)
        .env("MLFLOW_AUTH_ADMIN_USERNAME", USER)
        .env("MLFLOW_AUTH_ADMIN_PASSWORD", PASSWORD)
        .env("MLFLOW_FLASK_SERVER_SECRET_KEY", "of this test")
        .env("PYTHONPATH", repository().join("tests/loop"))
        .env("TOKEN", TOKEN);
    Ok(Mlflow::with_login(command, &folder.join("mlflow.log")).await)
}
