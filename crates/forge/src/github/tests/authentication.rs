//! Which credentials go to which host.

use std::process::Command;
use std::time::{Duration, Instant};

use octocrab::secrecy::ExposeSecret;

use crate::github::program::output;
use crate::{Credentials, Error, GitHub};

/// The token for a host in an environment, where `gh` has a login for `logged.in`.
fn token(host: &str, given: &[(&str, &str)]) -> Option<String> {
    let variables = |asked: &str| given.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned());
    let gh = |host: &str| (host == "logged.in").then(|| "stored".to_owned());
    match Credentials::for_host(host, &variables, gh).unwrap()? {
        Credentials::Token(token) | Credentials::Runner(token) => Some(token.expose_secret().to_owned()),
        Credentials::App { .. } | Credentials::Anonymous => panic!("no app is set"),
    }
}

#[test]
fn a_token_goes_to_its_own_host_alone() {
    const SERVER: (&str, &str) = ("GITHUB_SERVER_URL", "https://git.example.org");
    const API: (&str, &str) = ("GITHUB_API_URL", "https://git.example.org/api/v3");
    for (given, host, expected) in [
        (&[("GITHUB_TOKEN", "a")][..], "github.com", Some("a")),
        (&[("GITHUB_TOKEN", "a")], "git.example.org", None),
        (&[("GITHUB_TOKEN", "a")], "acme.ghe.com", None),
        (&[("GH_TOKEN", "b"), ("GITHUB_TOKEN", "a")], "github.com", Some("b")),
        (&[("GH_TOKEN", "b")], "acme.ghe.com", Some("b")),
        (&[("GH_TOKEN", "b"), ("GH_HOST", "acme.ghe.com")], "github.com", None),
        (&[("GH_TOKEN", "b"), ("GH_HOST", "acme.ghe.com")], "other.ghe.com", None),
        (&[("GH_TOKEN", "b"), ("GH_HOST", "acme.ghe.com")], "acme.ghe.com", Some("b")),
        (&[("GH_TOKEN", "b"), SERVER], "git.example.org", None),
        // on a runner GITHUB_TOKEN is the server's own
        (&[("GITHUB_TOKEN", "a"), SERVER, API], "git.example.org", Some("a")),
        (&[("GITHUB_TOKEN", "a"), SERVER, API], "github.com", None),
        (&[("GITHUB_TOKEN", "a"), API], "github.com", None),
        (&[("GITHUB_TOKEN", "a"), API], "git.example.org", Some("a")),
        (&[("GITHUB_TOKEN", "a"), ("GITHUB_SERVER_URL", "https://github.com"), API], "git.example.org", None),
        (&[("GITHUB_TOKEN", "a"), ("GITHUB_SERVER_URL", "https://acme.ghe.com")], "acme.ghe.com", Some("a")),
        (&[("GITHUB_TOKEN", "a"), ("GITHUB_SERVER_URL", "https://acme.ghe.com")], "github.com", None),
        // tokens of Enterprise servers
        (&[("GH_ENTERPRISE_TOKEN", "c"), SERVER], "git.example.org", Some("c")),
        (&[("GH_ENTERPRISE_TOKEN", "c"), ("GH_HOST", "git.example.org")], "git.example.org", Some("c")),
        (&[("GITHUB_ENTERPRISE_TOKEN", "d"), SERVER], "git.example.org", Some("d")),
        (&[("GH_ENTERPRISE_TOKEN", "c"), SERVER], "github.com", None),
        (&[("GH_ENTERPRISE_TOKEN", "c"), SERVER], "evil.example.org", None),
        (&[("GH_ENTERPRISE_TOKEN", "c")], "evil.example.org", None),
        // a login by gh is asked for by host
        (&[("GH_ENTERPRISE_TOKEN", "c"), ("GITHUB_TOKEN", "a")], "logged.in", Some("stored")),
        (&[], "github.com", None),
    ] {
        assert_eq!(token(host, given).as_deref(), expected, "{given:?} for {host}");
    }
}

#[test]
fn a_workflow_has_the_token_of_its_runner_or_one_that_it_was_given() {
    for (token, shown) in
        [("ghs_x", "Runner"), ("x", "Runner"), ("ghp_x", "Token"), ("github_pat_x", "Token"), ("gho_x", "Token")]
    {
        for name in ["GITHUB_TOKEN", "GH_TOKEN"] {
            let given = |asked: &str| match asked {
                "GITHUB_ACTIONS" => Some("true".to_owned()),
                asked => (asked == name).then(|| token.to_owned()),
            };
            let credentials = Credentials::for_host("github.com", &given, |_| None).unwrap().unwrap();
            assert_eq!(format!("{credentials:?}"), shown, "{token} as {name}");
        }
    }
}

#[test]
fn a_remote_without_a_token_is_told_which_one_it_needs() {
    let none = |_: &str| None;
    let error = GitHub::of_remote("https://GitHub.com/octo/cat", &none, none, none).unwrap_err();
    assert!(matches!(&error, Error::NoToken { host } if host == "github.com"), "{error}");
    assert!(error.to_string().contains("gh auth login --hostname github.com"), "{error}");
    assert!(GitHub::of_remote("https://gitlab.com/octo/cat", &none, none, none).unwrap().is_none());
    // a login by gh says that a server is GitHub
    let gh = |host: &str| (host == "git.example.org").then(|| "stored".to_owned());
    let github = GitHub::of_remote("git@work:octo/cat", &none, gh, |_| Some("git.example.org".to_owned())).unwrap();
    assert_eq!(format!("{:?}", github.unwrap()), "GitHub(octo/cat at https://git.example.org/api/v3, Token)");
}

#[test]
fn an_app_belongs_to_one_server_too() {
    let wrong = |name: &str| match name {
        "SLIPWAY_GITHUB_APP_ID" => Some("12".to_owned()),
        "SLIPWAY_GITHUB_APP_PRIVATE_KEY" => {
            Some("-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----".to_owned())
        }
        _ => None,
    };
    let error = Credentials::for_host("github.com", &wrong, |_| None).unwrap_err();
    assert!(matches!(error, Error::AppKey(_)) && !error.to_string().contains("c2VjcmV0"), "{error}");
    assert!(Credentials::for_host("git.example.org", &wrong, |_| None).unwrap().is_none());
    for (id, key) in [("x", None), ("12", None), ("12", Some("/nowhere/app.pem"))] {
        let variables = |name: &str| match name {
            "SLIPWAY_GITHUB_APP_ID" => Some(id.to_owned()),
            "SLIPWAY_GITHUB_APP_PRIVATE_KEY_FILE" => key.map(str::to_owned),
            _ => None,
        };
        let error = Credentials::for_host("github.com", &variables, |_| None).unwrap_err();
        assert!(error.to_string().contains("SLIPWAY_GITHUB_APP_PRIVATE_KEY_FILE"), "{error}");
    }
}

#[test]
fn a_program_that_hangs_is_not_waited_for() {
    let run = |script: &str, limit| {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        output(command, limit)
    };
    assert_eq!(run("echo token", Duration::from_secs(60)).as_deref(), Some("token\n"));
    assert_eq!(run("echo token; exit 1", Duration::from_secs(60)), None);
    let begun = Instant::now();
    assert_eq!(run("exec sleep 600", Duration::from_millis(50)), None);
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(output(Command::new("/nowhere/gh"), Duration::from_secs(1)), None);
}
