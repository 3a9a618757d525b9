//! Addresses of git repositories.

/// An address as Argo CD compares it: without case, and without `.git` at the end.
///
/// Source: `NormalizeGitURL` in Argo CD's `util/git`.
pub(crate) fn normalized(address: &str) -> String {
    let mut address = address.trim().to_lowercase();
    if is_ssh(&address) && !address.starts_with("ssh://") {
        address = format!("ssh://{}", address.replacen(':', "/", 1));
    }
    let address = address.strip_suffix(".git").unwrap_or(&address);
    address.strip_prefix("ssh://").unwrap_or(address).to_owned()
}

/// Whether two addresses lead to the same repository, be it by HTTPS or by SSH. Argo CD needs other credentials for each, and finds
/// the same files.
#[must_use]
pub fn is_same_repository(one: &str, two: &str) -> bool {
    let place = |address: &str| {
        let address = normalized(address);
        let address = address.split_once("://").map_or(address.as_str(), |(_, rest)| rest);
        let (host, path) = address.split_once('/').unwrap_or((address, ""));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        format!("{host}/{path}")
    };
    !one.is_empty() && place(one) == place(two)
}

/// `user@host…` or `ssh://user@host…`.
fn is_ssh(address: &str) -> bool {
    let rest = address.strip_prefix("ssh://").unwrap_or(address);
    rest.split_once('@')
        .is_some_and(|(user, host)| !user.contains(['/', ':']) && !host.is_empty() && !host.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repository_has_many_addresses() {
        let this = "https://github.com/acme/ml.git";
        for same in [
            "https://github.com/acme/ml",
            "https://GitHub.com/Acme/ML.git",
            "git@github.com:acme/ml.git",
            "ssh://git@github.com/acme/ml",
            "https://user:password@github.com/acme/ml",
            " https://github.com/acme/ml.git\n",
        ] {
            assert!(is_same_repository(this, same), "{same}");
        }
        for other in ["https://github.com/acme/ml2", "https://gitlab.com/acme/ml", "https://github.com/acme/ml/x", ""] {
            assert!(!is_same_repository(this, other), "{other}");
        }
        assert!(!is_same_repository("", ""));
    }

    /// The pairs of Argo CD 3.5's own test, `TestSameURL`.
    #[test]
    fn addresses_are_compared_as_in_argo_cd() {
        for (one, two) in [
            ("git@GITHUB.com:argoproj/test", "git@github.com:argoproj/test.git"),
            ("git@GITHUB.com:test.git", "git@github.com:test.git"),
            ("https://GITHUB.com/argoproj/test", "https://github.com/argoproj/test.git"),
            ("https://github.com/FOO", "https://github.com/foo"),
            ("https://github.com:4443/TEST", "https://github.com:4443/TEST.git"),
            ("ssh://git@GITHUB.com/argoproj/test.git", "git@github.com:argoproj/test.git"),
            ("ssh://git@github.com/test", "git@github.com:test.git"),
            ("\thttps://github.com/argoproj/test\n", "https://github.com/argoproj/test.git"),
            ("https://dev.azure.com/1234/myproj/_git/myrepo", "https://dev.azure.com/1234/myproj/_git/myrepo"),
        ] {
            assert_eq!(normalized(one), normalized(two));
        }
        assert_ne!(
            normalized("https://github.com/a/b"),
            normalized("git@github.com:a/b"),
            "a project permits each alone"
        );
    }
}
