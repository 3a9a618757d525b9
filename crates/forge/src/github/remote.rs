//! The repository that a remote's URL names.

use slipway_http::Url;

/// A repository on a server, as a remote's URL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteRepository {
    /// The server in lower case, with its port if an `https` URL gives one.
    pub(crate) host: String,
    /// Whether git reaches it by SSH, so that `host` may be an alias of `~/.ssh/config`.
    pub(crate) ssh: bool,
    /// User or organization.
    pub(crate) owner: String,
    /// Without `.git`.
    pub(crate) repository: String,
}

impl RemoteRepository {
    /// Reads `https://host/owner/repository(.git)`, `ssh://git@host/…` or `git@host:owner/repository`. Returns `None` for everything
    /// else, such as a path.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let (host, ssh, path) = match Url::parse(url) {
            Ok(url) if matches!(url.scheme(), "https" | "http" | "ssh" | "git+ssh" | "ssh+git") => {
                let (name, ssh) = (url.host_str()?, !url.scheme().starts_with("http"));
                // the port of SSH says nothing about the API
                let port = url.port().filter(|_| !ssh).map(|port| format!(":{port}")).unwrap_or_default();
                (format!("{name}{port}"), ssh, url.path().to_owned())
            }
            _ => {
                let (host, path) =
                    url.split_once(':').filter(|(host, path)| !host.contains('/') && !path.starts_with("//"))?;
                (host.rsplit('@').next()?.to_owned(), true, path.to_owned())
            }
        };
        let path = path.trim_matches('/');
        let (owner, repository) = path.strip_suffix(".git").unwrap_or(path).split_once('/')?;
        // what GitHub allows in names, so that they are a path of its API as they are
        let plain = |name: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !matches!(name, "" | "." | "..") && name.bytes().all(allowed)
        };
        // `ssh -- -oProxyCommand=…` is an option to older programs
        let valid = plain(owner) && plain(repository) && !host.is_empty() && !host.starts_with('-');
        let host = host.to_lowercase();
        valid.then(|| Self { host: canonical(&host), ssh, owner: owner.to_owned(), repository: repository.to_owned() })
    }

    /// The same repository, with an SSH host alias replaced by the host that it stands for. `resolve` is asked for hosts that are not
    /// GitHub's own.
    pub(crate) fn resolved(mut self, resolve: impl Fn(&str) -> Option<String>) -> Self {
        if self.ssh && self.host != PUBLIC {
            self.host = resolve(&self.host).map_or(self.host, |host| canonical(&host.to_lowercase()));
        }
        self
    }
}

/// GitHub's public server.
pub(crate) const PUBLIC: &str = "github.com";

/// One name for each server: `ssh.github.com` is GitHub's SSH on port 443.
pub(crate) fn canonical(host: &str) -> String {
    match host.trim_end_matches('.') {
        "www.github.com" | "ssh.github.com" => PUBLIC.to_owned(),
        host => host.to_owned(),
    }
}
