//! What a remote's URL names, and which server that is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::github::program::ssh_host;
use crate::github::remote::RemoteRepository;
use crate::github::server::{api_of, is_named, serves};

fn of(url: &str) -> Option<(String, String, String)> {
    RemoteRepository::of(url).map(|remote| (remote.host, remote.owner, remote.repository))
}

fn variables(given: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> + use<> {
    let given: Vec<_> = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    move |asked| given.iter().find(|(name, _)| name == asked).map(|(_, value)| value.clone())
}

#[test]
fn a_remote_names_its_repository() {
    let expected = Some(("github.com".to_owned(), "octo".to_owned(), "cat".to_owned()));
    for url in [
        "https://github.com/octo/cat",
        "https://github.com/octo/cat.git",
        "https://GitHub.com/octo/cat",
        "https://www.github.com/octo/cat/",
        "https://user:secret@github.com/octo/cat/",
        "git@github.com:octo/cat.git",
        "git@GitHub.Com:/octo/cat",
        "github.com:octo/cat",
        "ssh://git@github.com/octo/cat.git",
        "ssh://git@ssh.github.com:443/octo/cat.git",
        "git+ssh://git@github.com/octo/cat.git",
    ] {
        assert_eq!(of(url), expected, "{url}");
    }
    for url in [
        "/srv/forge.git",
        "file:///srv/forge.git",
        "https://github.com/octo",
        "https://github.com/a/b/c",
        "git@github.com:../cat",
        "https://github.com/octo/c%20t",
        "-oProxyCommand=x:octo/cat",
        "ssh://-oProxyCommand=x/octo/cat",
        "./a:b/c",
        "",
    ] {
        assert_eq!(of(url), None, "{url}");
    }
    assert_eq!(of("https://git.example.org:8443/octo/cat").unwrap().0, "git.example.org:8443");
    assert_eq!(of("ssh://git@git.example.org:2222/octo/cat").unwrap().0, "git.example.org");
}

#[test]
fn an_ssh_alias_is_the_host_that_it_stands_for() {
    let ssh = |name: &str| (name == "work").then(|| "ssh.GitHub.com".to_owned());
    let host = |url: &str| RemoteRepository::of(url).unwrap().resolved(ssh).host;
    assert_eq!(host("git@work:octo/cat.git"), "github.com");
    assert_eq!(host("ssh://work/octo/cat"), "github.com");
    assert_eq!(host("git@other:octo/cat"), "other");
    // a name of https is never an alias
    assert_eq!(host("https://work/octo/cat"), "work");
}

#[test]
fn the_real_ssh_resolves_an_alias() {
    let installed = Command::new("ssh").arg("-V").stderr(Stdio::null()).status();
    assert!(installed.is_ok_and(|status| status.success()), "there is no ssh: install the package openssh-client");
    let folder = tempfile::tempdir().unwrap();
    let (config, script) = (folder.path().join("a config"), folder.path().join("own-ssh"));
    fs::write(&config, "Host work\n  HostName ssh.GitHub.com\n  Port 443\nHost *.corp\n  HostName git.example.org\n")
        .unwrap();
    let command = format!("ssh -F '{}'", config.display());
    fs::write(&script, format!("#!/bin/sh\nexec {command} \"$@\"\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    for variables in [
        variables(&[("GIT_SSH_COMMAND", &command), ("GIT_SSH", "/none")]),
        variables(&[("GIT_SSH", &script.display().to_string())]),
    ] {
        let resolve = |name: &str| ssh_host(name, &variables);
        let host = |url: &str| RemoteRepository::of(url).unwrap().resolved(resolve).host;
        assert_eq!(host("git@work:octo/cat.git"), "github.com");
        assert_eq!(host("ssh://git@team.corp/octo/cat"), "git.example.org");
        assert_eq!(host("git@other.example:octo/cat"), "other.example");
    }
    // the user's own configuration, whatever is in it
    assert_eq!(ssh_host("127.0.0.1", &variables(&[])).as_deref(), Some("127.0.0.1"));
    let broken = variables(&[("GIT_SSH_COMMAND", "ssh -F /none/config")]);
    assert_eq!(ssh_host("work", &broken), None);
}

#[test]
fn each_server_has_its_api() {
    for (host, api) in [
        ("github.com", "https://api.github.com"),
        ("acme.ghe.com", "https://api.acme.ghe.com"),
        ("git.example.org", "https://git.example.org/api/v3"),
        ("git.example.org:8443", "https://git.example.org:8443/api/v3"),
    ] {
        assert_eq!(api_of(host, &variables(&[])), api);
    }
    // a runner of an Enterprise server
    let runner = variables(&[
        ("GITHUB_SERVER_URL", "https://git.example.org"),
        ("GITHUB_API_URL", "https://git.example.org/api/v3/"),
    ]);
    assert_eq!(api_of("git.example.org", &runner), "https://git.example.org/api/v3");
    assert_eq!(api_of("github.com", &runner), "https://api.github.com");
    // an API of another server never stands in for this one, whatever names it
    for server in ["https://github.com", "https://git.example.org", ""] {
        let named = variables(&[("GITHUB_SERVER_URL", server), ("GITHUB_API_URL", "https://git.example.org/api/v3")]);
        assert_eq!(api_of("github.com", &named), "https://api.github.com", "{server}");
    }
    // a stub on this machine stands in for one server alone
    let stub = variables(&[("GITHUB_API_URL", "http://127.0.0.1:8080")]);
    assert_eq!(api_of("github.com", &stub), "http://127.0.0.1:8080");
    assert_eq!(api_of("acme.ghe.com", &stub), "https://api.acme.ghe.com");
}

#[test]
fn another_server_is_github_when_the_environment_names_it() {
    let none = variables(&[]);
    for api in ["https://git.example.org/api/v3", "https://api.git.example.org", "https://GIT.example.org/api/v3"] {
        assert!(serves(api, "git.example.org", &none), "{api}");
        assert!(is_named("git.example.org", &variables(&[("GITHUB_API_URL", api)])), "{api}");
    }
    // GITHUB_API_URL is set on every runner of GitHub: that makes no other host GitHub
    let runner =
        variables(&[("GITHUB_API_URL", "https://api.github.com"), ("GITHUB_SERVER_URL", "https://github.com")]);
    for (host, named) in
        [("gitlab.com", false), ("github.com", true), ("acme.ghe.com", true), ("ghe.com.example.org", false)]
    {
        assert_eq!(is_named(host, &runner), named, "{host}");
    }
    assert!(is_named("git.example.org", &variables(&[("GH_HOST", "Git.example.org")])));
    assert!(is_named("git.example.org", &variables(&[("GITHUB_SERVER_URL", "https://git.example.org/")])));
    assert!(!serves("", "x", &none) && !serves("ftp://x", "x", &none));
}
