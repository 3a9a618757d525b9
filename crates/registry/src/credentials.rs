//! The credentials for a registry, where Docker keeps them: `config.json`, and the programs that it names.
//!
//! As Docker and Google's go-containerregistry do, a program for the registry (`credHelpers`), or else for all registries (`credsStore`),
//! is asked first. If it is not installed or knows nothing about the registry, the entries of the file (`auths`) count, and
//! without one the registry is asked without credentials. <https://github.com/docker/docker-credential-helpers>

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Docker Hub's key in every configuration, which is an address of its first version.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// Docker Hub's names.
const DOCKER_HUB_HOSTS: [&str; 3] = ["index.docker.io", "docker.io", "registry-1.docker.io"];
/// What a helper prints when it knows nothing about a registry.
const NOT_FOUND: [&str; 3] =
    ["credentials not found in native keychain", "no credentials server URL", "no credentials username"];
/// The user name under which a helper keeps an identity token.
const TOKEN_USER: &str = "<token>";
/// How long a helper may take. It may ask a person to unlock a keychain.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a registry is told about who asks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// Nothing.
    Anonymous,
    /// User and password.
    Basic(String, String),
    /// A token that is exchanged for one that the registry takes, such as that of `az acr login`.
    Identity(String),
    /// A token that the registry takes as it is.
    Bearer(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic(..) => "Basic(…)",
            Self::Identity(_) => "Identity(…)",
            Self::Bearer(_) => "Bearer(…)",
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Configuration {
    auths: HashMap<String, Entry>,
    creds_store: String,
    cred_helpers: HashMap<String, String>,
}

/// Docker writes these in lower case.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl Credentials {
    /// Those for an image of this registry, from `DOCKER_CONFIG` or `~/.docker`.
    ///
    /// # Errors
    /// Why those that are configured cannot be had. No part of them is in the text.
    pub(crate) async fn of(host: &str, repository: &str) -> Result<Self, String> {
        match folder() {
            Some(folder) => Self::in_file(&folder.join("config.json"), host, repository).await,
            None => Ok(Self::Anonymous),
        }
    }

    async fn in_file(file: &Path, host: &str, repository: &str) -> Result<Self, String> {
        let text = match tokio::fs::read(file).await {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Anonymous),
            // many registries can be read without credentials
            Err(error) => {
                tracing::warn!("{} cannot be read ({error}): {host} is asked without credentials", file.display());
                return Ok(Self::Anonymous);
            }
        };
        // serde_json's own message could quote a value
        let configuration: Configuration = serde_json::from_slice(&text).map_err(|error| {
            format!("{}:{}:{} is not what Docker writes", file.display(), error.line(), error.column())
        })?;
        let keys = keys(host, repository);
        if let Some(helper) = configuration.helper(&keys) {
            // a program knows registries, not repositories
            let server = if DOCKER_HUB_HOSTS.contains(&host) { DOCKER_HUB } else { host };
            let found = ask(helper, server).await?;
            if found != Self::Anonymous {
                return Ok(found);
            }
        }
        configuration.entry(&keys).map_or(Ok(Self::Anonymous), |(key, entry)| {
            entry.credentials().map_err(|reason| format!("{}: the entry of {key} {reason}", file.display()))
        })
    }
}

impl Configuration {
    fn helper(&self, keys: &[String]) -> Option<&str> {
        let own = keys.iter().find_map(|key| self.cred_helpers.get(key));
        own.or(Some(&self.creds_store)).map(String::as_str).filter(|helper| !helper.is_empty())
    }

    fn entry(&self, keys: &[String]) -> Option<(&str, &Entry)> {
        keys.iter().find_map(|key| {
            let exact = self.auths.get_key_value(key);
            let found = exact.or_else(|| self.auths.iter().find(|(written, _)| host_of(written) == key));
            found.map(|(key, entry)| (key.as_str(), entry))
        })
    }
}

impl Entry {
    fn credentials(&self) -> Result<Credentials, &'static str> {
        if !self.identitytoken.is_empty() {
            return Ok(Credentials::Identity(self.identitytoken.clone()));
        }
        if !self.registrytoken.is_empty() {
            return Ok(Credentials::Bearer(self.registrytoken.clone()));
        }
        let (user, password) = if self.auth.is_empty() {
            (self.username.clone(), self.password.clone())
        } else {
            let decoded = STANDARD.decode(self.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
            let (user, password) = pair.ok_or("has an `auth` that is not user and password in base64")?;
            (user.to_owned(), password.trim_matches('\0').to_owned())
        };
        // `docker login` leaves an empty entry where a program keeps the password
        Ok(if user.is_empty() && password.is_empty() {
            Credentials::Anonymous
        } else {
            Credentials::Basic(user, password)
        })
    }
}

/// The keys under which a configuration can have a registry, the most specific first: `host/team/image`, `host/team`, `host`.
fn keys(host: &str, repository: &str) -> Vec<String> {
    let paths = std::iter::successors(Some(repository), |path| path.rsplit_once('/').map(|(parent, _)| parent));
    let mut keys: Vec<String> = paths.map(|path| format!("{host}/{path}")).collect();
    if DOCKER_HUB_HOSTS.contains(&host) {
        keys.push(DOCKER_HUB.to_owned());
        keys.extend(DOCKER_HUB_HOSTS.map(str::to_owned));
    } else {
        keys.push(host.to_owned());
    }
    keys
}

/// The host in a key that is an address, as old versions of Docker wrote it.
fn host_of(key: &str) -> &str {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    rest.map_or(key, |rest| rest.split('/').next().unwrap_or_default())
}

fn folder() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("DOCKER_CONFIG").or_else(|| variable("HOME").map(|home| home.join(".docker")))
}

/// Asks `docker-credential-<helper>`. Nothing that it prints is repeated, but for its message when it fails.
async fn ask(helper: &str, server: &str) -> Result<Credentials, String> {
    let program = format!("docker-credential-{helper}");
    let spawned = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::warn!(
                "{program}, which Docker's configuration names, is not installed: {server} is asked without it"
            );
            return Ok(Credentials::Anonymous);
        }
        Err(error) => return Err(format!("{program} cannot be started: {error}")),
    };
    if let Some(mut stdin) = child.stdin.take() {
        // a program that answers without reading is not at fault
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let done = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let done = done.map_err(|_| format!("{program} did not answer within {} s", PATIENCE.as_secs()))?;
    let done = done.map_err(|error| format!("{program} cannot be read: {error}"))?;
    if !done.status.success() {
        let message = String::from_utf8_lossy(&done.stdout);
        let message = message.trim();
        if NOT_FOUND.contains(&message) {
            return Ok(Credentials::Anonymous);
        }
        return Err(format!("{program} failed ({}): {}", done.status, message.lines().next().unwrap_or_default()));
    }
    let answer: Answer = serde_json::from_slice(&done.stdout)
        .map_err(|_| format!("{program} does not answer as a credential helper"))?;
    Ok(match answer {
        Answer { secret, .. } if secret.is_empty() => Credentials::Anonymous,
        Answer { username, secret } if username == TOKEN_USER => Credentials::Identity(secret),
        Answer { username, secret } => Credentials::Basic(username, secret),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &str, host: &str) -> Result<Credentials, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, text).unwrap();
        Credentials::in_file(&file, host, "team/thing").await
    }

    fn basic(user: &str, password: &str) -> Credentials {
        Credentials::Basic(user.to_owned(), password.to_owned())
    }

    #[tokio::test]
    async fn an_entry_is_found_under_every_key_that_docker_and_podman_write() {
        let entry = format!("{{\"auth\": \"{}\"}}", STANDARD.encode("ann:p:w"));
        for (key, host) in [
            ("r.example", "r.example"),
            ("https://r.example", "r.example"),
            ("http://r.example/v2/", "r.example"),
            ("r.example:5000", "r.example:5000"),
            ("r.example/team", "r.example"),
            ("r.example/team/thing", "r.example"),
            ("https://index.docker.io/v1/", "index.docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("docker.io", "index.docker.io"),
        ] {
            let text = format!("{{\"auths\": {{\"x.example\": {{}}, \"{key}\": {entry}}}}}");
            assert_eq!(read(&text, host).await, Ok(basic("ann", "p:w")), "{key}");
        }
        let other = format!("{{\"auths\": {{\"r.example/teams\": {entry}, \"r.example:5000\": {entry}}}}}");
        assert_eq!(read(&other, "r.example").await, Ok(Credentials::Anonymous));
    }

    #[tokio::test]
    async fn each_kind_of_entry_is_understood() {
        let acr = STANDARD.encode("00000000-0000-0000-0000-000000000000:");
        for (entry, credentials) in [
            (format!("{{\"auth\": \"{acr}\", \"identitytoken\": \"r1\"}}"), Credentials::Identity("r1".to_owned())),
            ("{\"registrytoken\": \"t\"}".to_owned(), Credentials::Bearer("t".to_owned())),
            ("{\"username\": \"ann\", \"password\": \"p\"}".to_owned(), basic("ann", "p")),
            ("{}".to_owned(), Credentials::Anonymous),
        ] {
            assert_eq!(read(&format!("{{\"auths\": {{\"h\": {entry}}}}}"), "h").await, Ok(credentials));
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_named_and_not_shown() {
        for text in ["{\"auths\": {\"h\": {\"auth\": \"secret!\"}}}", "{\"auths\": \"secret\"}", "secret"] {
            let error = read(text, "h").await.unwrap_err();
            assert!(error.contains("config.json") && !error.contains("secret"), "{error}");
        }
        assert!(!format!("{:?}", basic("secret", "secret")).contains("secret"));
    }

    /// A folder with a configuration and helpers, and what a process with them finds.
    struct Docker(tempfile::TempDir);

    impl Docker {
        fn new(configuration: &str) -> Self {
            let docker = Self(tempfile::tempdir().unwrap());
            std::fs::write(docker.0.path().join("config.json"), configuration).unwrap();
            docker
        }

        /// A helper, as a shell script that finds the server in `$server`.
        fn helper(self, name: &str, script: &str) -> Self {
            let path = self.0.path().join(format!("docker-credential-{name}"));
            std::fs::write(&path, format!("#!/bin/sh\n[ \"$1\" = get ] || exit 9\nread -r server || :\n{script}\n"))
                .unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            self
        }

        /// The result for a host, and what was logged.
        fn find(&self, host: &str) -> (String, String) {
            let done = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["credentials::tests::act", "--exact", "--ignored", "--nocapture"])
                .env_clear()
                .env("PATH", self.0.path())
                .env("DOCKER_CONFIG", self.0.path())
                .env("HOST", host)
                .output()
                .unwrap();
            let text = String::from_utf8(done.stdout).unwrap();
            let outcome = text.lines().find_map(|line| line.split_once("OUTCOME ").map(|(_, text)| text.to_owned()));
            (outcome.unwrap_or_else(|| panic!("{text}")), String::from_utf8(done.stderr).unwrap())
        }
    }

    #[tokio::test]
    #[ignore = "other tests run it in a process of its own"]
    async fn act() {
        let log = tracing_subscriber::fmt().with_writer(std::io::stderr).without_time().finish();
        let _guard = tracing::subscriber::set_default(log);
        let outcome = match Credentials::of(&std::env::var("HOST").unwrap(), "team/thing").await {
            Ok(Credentials::Anonymous) => "anonymous".to_owned(),
            Ok(Credentials::Basic(user, password)) => format!("{user}:{password}"),
            Ok(Credentials::Identity(token)) => format!("identity {token}"),
            Ok(Credentials::Bearer(token)) => format!("bearer {token}"),
            Err(error) => format!("error: {error}"),
        };
        println!("\nOUTCOME {outcome}");
    }

    const KNOWS: &str = "echo '{\"ServerURL\": \"x\", \"Username\": \"ann\", \"Secret\": \"p\"}'";
    const KNOWS_NOTHING: &str = "echo 'credentials not found in native keychain'; exit 1";

    #[test]
    fn a_helper_that_knows_nothing_is_no_failure() {
        let docker = Docker::new("{\"credsStore\": \"fake\"}").helper("fake", KNOWS_NOTHING);
        assert_eq!(docker.find("r.example"), ("anonymous".to_owned(), String::new()));
        let entry = STANDARD.encode("ann:p");
        let text = format!("{{\"credsStore\": \"fake\", \"auths\": {{\"r.example\": {{\"auth\": \"{entry}\"}}}}}}");
        let docker = Docker::new(&text).helper("fake", KNOWS_NOTHING);
        assert_eq!(docker.find("r.example").0, "ann:p");
    }

    #[test]
    fn a_helper_that_is_not_installed_is_a_warning() {
        let (found, log) = Docker::new("{\"credsStore\": \"desktop.exe\"}").find("r.example");
        assert_eq!(found, "anonymous");
        assert!(
            log.contains("WARN") && log.contains("docker-credential-desktop.exe") && log.contains("r.example"),
            "{log}"
        );
    }

    #[test]
    fn docker_hub_is_asked_for_by_its_old_key() {
        let script = format!("[ \"$server\" = {DOCKER_HUB} ] || {{ {KNOWS_NOTHING}; }}\n{KNOWS}");
        let docker = Docker::new("{\"credsStore\": \"fake\"}").helper("fake", &script);
        for host in DOCKER_HUB_HOSTS {
            assert_eq!(docker.find(host).0, "ann:p");
        }
        assert_eq!(docker.find("r.example").0, "anonymous");
    }

    #[test]
    fn a_helper_of_a_registry_comes_before_the_one_of_all() {
        let text = "{\"credsStore\": \"all\", \"credHelpers\": {\"r.example\": \"own\"}}";
        let token = "echo '{\"Username\": \"<token>\", \"Secret\": \"r1\"}'";
        let docker = Docker::new(text).helper("all", KNOWS).helper("own", token);
        assert_eq!(docker.find("r.example").0, "identity r1");
        assert_eq!(docker.find("other.example").0, "ann:p");
    }

    #[test]
    fn a_helper_that_fails_is_named_and_its_answer_is_not_shown() {
        let configuration = "{\"credsStore\": \"fake\"}";
        let (found, _) = Docker::new(configuration).helper("fake", "echo the keychain is locked; exit 3").find("h");
        assert!(found.contains("docker-credential-fake failed") && found.contains("the keychain is locked"), "{found}");
        let (found, _) = Docker::new(configuration).helper("fake", "echo '{\"Secret\": 5, secret'").find("h");
        assert_eq!(found, "error: docker-credential-fake does not answer as a credential helper");
    }
}
