//! Addresses without their logins.

/// A URL as it may be shown: without the user and the password before the host's `@`.
#[must_use]
pub fn without_password(url: &str) -> String {
    login(url).map_or_else(|| url.to_owned(), |login| url.replacen(login, "", 1))
}

/// What another program says of a URL, without the user and the password that stand in the URL.
#[must_use]
pub fn hide_login(text: &str, url: &str) -> String {
    login(url).map_or_else(|| text.to_owned(), |login| text.replace(login, ""))
}

/// `USER:PASSWORD@` of a URL, or of a registry, which stands without a scheme. The user of an address as scp writes it, `git@host:path`, is
/// part of the place.
fn login(url: &str) -> Option<&str> {
    let (has_scheme, rest) = url.split_once("://").map_or((false, url), |(_, rest)| (true, rest));
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    let login = authority.rfind('@').map(|at| &authority[..=at])?;
    (has_scheme || login.contains(':')).then_some(login)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_user_is_taken_out_of_a_url() {
        for (url, shown) in [
            ("https://user:p@ss@host:8443/a/b@c", "https://host:8443/a/b@c"),
            ("https://token@host", "https://host"),
            ("git::https://user:pass@host/a?ref=v1", "git::https://host/a?ref=v1"),
            ("oci://user:pass@host/chart", "oci://host/chart"),
            ("user:pass@registry.example/charts", "registry.example/charts"),
            ("https://host/a", "https://host/a"),
            ("git@github.com:a/b.git", "git@github.com:a/b.git"),
            ("/srv/a@b/forge.git", "/srv/a@b/forge.git"),
            ("file:///srv/a@b", "file:///srv/a@b"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn a_login_is_taken_out_of_every_place_of_a_text() {
        let url = "https://ann:secret@host/charts";
        let text = "looks like \"https://ann:secret@host/charts\" has no https://ann:secret@host/charts/index.yaml";
        assert_eq!(hide_login(text, url), "looks like \"https://host/charts\" has no https://host/charts/index.yaml");
        assert_eq!(hide_login(text, "https://host/charts"), text);
    }
}
