//! Sigstore's services, and GitHub's that gives a job its identity, for the workflows that sign. They are a child process, on a port of
//! its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::script::{self, Script};

const LIMIT: Duration = Duration::from_secs(60);

/// A running Sigstore. It ends with this value.
#[derive(Debug)]
pub struct Sigstore {
    url: String,
    client: reqwest::Client,
    _script: Script,
}

#[derive(Deserialize)]
struct Started {
    port: u16,
}

impl Sigstore {
    /// Starts it.
    ///
    /// # Errors
    /// When SLIPWAY_EMULATE names no folder in which `npm ci` was run, or it does not start.
    pub async fn start() -> Result<Self> {
        let (script, Started { port }) = Script::start("sigstore.mjs", "").await?;
        let (url, client) = (format!("http://127.0.0.1:{port}"), slipway_http::loopback(LIMIT)?);
        Ok(Self { url, client, _script: script })
    }

    /// Begins a job that has these claims; the variables by which its steps ask for its identity.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn begin(&self, claims: &Value) -> Result<[(&'static str, String); 2]> {
        let answer = self.client.post(format!("{}/jobs", self.url)).json(claims).send().await?.error_for_status()?;
        let answer: Value = answer.json().await?;
        let token = answer["token"].as_str().context("a job's token")?.to_owned();
        let url = format!("{}/identity?api-version=2.0", self.url);
        Ok([("ACTIONS_ID_TOKEN_REQUEST_URL", url), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", token)])
    }

    /// Puts `cosign`, which asks this Sigstore, into a folder of programs.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn install(&self, folder: &Path) -> Result<()> {
        let (script, packages) = (script::path("cosign.mjs"), script::packages()?);
        let called =
            format!("#!/bin/sh\nexec node '{}' '{}' '{}' \"$@\"\n", script.display(), packages.display(), self.url);
        let cosign = folder.join("cosign");
        fs::write(&cosign, called)?;
        fs::set_permissions(&cosign, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }
}
