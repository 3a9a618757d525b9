//! Which hosts are GitHub, and where their API is.

use slipway_http::{Url, is_loopback};

use super::remote::{PUBLIC, canonical};

/// Reads an environment variable; empty ones are `None`.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Whether a host is run by GitHub itself: github.com or an enterprise's subdomain of ghe.com.
pub(crate) fn is_public(host: &str) -> bool {
    host == PUBLIC || host.ends_with(".ghe.com")
}

/// The server that this environment is part of, as GitHub's runners say it: `GITHUB_SERVER_URL`, otherwise the server whose API
/// `GITHUB_API_URL` names. Returns `None` if neither is set, or if the API is a stub on this machine.
pub(crate) fn named_server(variables: Variables) -> Option<String> {
    let server = variables("GITHUB_SERVER_URL").and_then(|url| authority(&url));
    server.or_else(|| {
        let api = authority(&variables("GITHUB_API_URL")?).filter(|api| !is_loopback(without_port(api)))?;
        Some(canonical(api.strip_prefix("api.").unwrap_or(&api)))
    })
}

/// The server that `gh` is told to use.
pub(crate) fn gh_host(variables: Variables) -> Option<String> {
    variables("GH_HOST").map(|host| canonical(&host.to_lowercase()))
}

/// The GitHub Enterprise server that `GH_HOST`, or the environment of a runner, names.
pub(crate) fn enterprise_server(variables: Variables) -> Option<String> {
    [gh_host(variables), named_server(variables)].into_iter().flatten().find(|host| !is_public(host))
}

/// Whether a host is GitHub by its name, or by what this environment says.
pub(crate) fn is_named(host: &str, variables: Variables) -> bool {
    let api = variables("GITHUB_API_URL").is_some_and(|api| serves(&api, host, variables));
    is_public(host) || enterprise_server(variables).as_deref() == Some(host) || api
}

/// The URL of a host's API without a slash at its end: `GITHUB_API_URL` where it is this host's own, otherwise by GitHub's rules.
pub(crate) fn api_of(host: &str, variables: Variables) -> String {
    let named = variables("GITHUB_API_URL").filter(|api| serves(api, host, variables));
    let api = named.unwrap_or_else(|| match host {
        PUBLIC => "https://api.github.com".to_owned(),
        host if is_public(host) => format!("https://api.{host}"),
        host => format!("https://{host}/api/v3"),
    });
    api.trim_end_matches('/').to_owned()
}

/// Whether an API's URL is that of a host: `https://<host>/api/v3`, `https://api.<host>`, or a stub on this machine for the server that
/// this environment is part of.
pub(crate) fn serves(api: &str, host: &str, variables: Variables) -> bool {
    authority(api).is_some_and(|api| {
        let stub = is_loopback(without_port(&api)) && named_server(variables).as_deref().unwrap_or(PUBLIC) == host;
        api == host || api.strip_prefix("api.") == Some(host) || stub
    })
}

/// Host and port of a URL, in lower case.
fn authority(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(canonical(&format!("{}{port}", url.host_str()?.to_lowercase())))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}
