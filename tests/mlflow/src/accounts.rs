//! MLflow with the login of base/mlflow/login, as its pod has it.

use std::fs;
use std::path::Path;
use std::process::Command;

use slipway_mlflow::Client;
use tempfile::TempDir;

use crate::{Mlflow, python};

/// MLflow with its accounts, whose passwords are their names and `-secret`.
#[derive(Debug)]
pub struct Accounts {
    /// The server; ended before its files go.
    pub mlflow: Mlflow,
    /// The files of MLflow, and the accounts.
    pub folder: TempDir,
}

impl Accounts {
    /// As the pod starts: the tables, the accounts, the server. Its probes give no login.
    pub async fn start() -> Self {
        // a `%` has a meaning in the file that MLflow reads, which holds the address of its database
        let folder = tempfile::Builder::new().prefix("accounts-100%-").tempdir().unwrap();
        fs::create_dir(folder.path().join("accounts")).unwrap();
        for name in ["admin", "trainer", "manager", "reader"] {
            set_password(folder.path(), name, &format!("{name}-secret"));
        }
        run(folder.path(), &["-m", "mlflow", "db", "upgrade", &database(folder.path())]);
        make_accounts(folder.path());
        let mlflow = Mlflow::with_login(command(folder.path()), &folder.path().join("log")).await;
        Self { mlflow, folder }
    }

    /// A client with the login of an account.
    #[must_use]
    pub fn client(&self, name: &str) -> Client {
        self.client_with(name, &format!("{name}-secret"))
    }

    /// A client with this password.
    #[must_use]
    pub fn client_with(&self, name: &str, password: &str) -> Client {
        Client::new(&self.mlflow.url.replace("://", &format!("://{name}:{password}@"))).unwrap()
    }

    /// An account's Secret holds another password, and the pod starts again.
    pub fn change_password(&self, name: &str, password: &str) {
        set_password(self.folder.path(), name, password);
        make_accounts(self.folder.path());
    }
}

fn set_password(folder: &Path, name: &str, password: &str) {
    fs::write(folder.join("accounts").join(name), password).unwrap();
}

fn make_accounts(folder: &Path) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../base/mlflow/login/accounts.py");
    run(folder, &[program.to_str().unwrap()]);
}

fn database(folder: &Path) -> String {
    format!("sqlite:///{}", folder.join("mlflow.db").display())
}

fn command(folder: &Path) -> Command {
    let mut command = python(folder);
    command
        .env("MLFLOW_BACKEND_STORE_URI", database(folder))
        .env("MLFLOW_ARTIFACTS_DESTINATION", folder.join("artifacts"))
        .env("MLFLOW_AUTH_CONFIG_PATH", folder.join("login.ini"))
        .env("ACCOUNTS", folder.join("accounts"))
        .env("MLFLOW_FLASK_SERVER_SECRET_KEY", "any");
    command
}

fn run(folder: &Path, arguments: &[&str]) {
    let done = command(folder).args(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}
