//! Addresses without their logins.

/// A URL as it may be shown: without the user and the password before the host's `@`.
#[must_use]
pub fn without_password(url: &str) -> String {
    login(url).map_or_else(|| url.to_owned(), |login| url.replacen(login, "", 1))
}

/// What another program says of a URL, without the user and the password that stand in the URL. The program may have replaced a part of them.
#[must_use]
pub fn hide_login(text: &str, url: &str) -> String {
    hide_logins(&login(url).map_or_else(|| text.to_owned(), |login| text.replace(login, "")))
}

/// A text without the logins of the URLs in it. What is not secret stays: `ssh://git@`, and variables such as `$(USER):$(PASSWORD)@`.
#[must_use]
pub fn hide_logins(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        shown.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "/\"'`<>".contains(c)).unwrap_or(after.len());
        let login = after[..end].rfind('@').map_or("", |at| &after[..=at]);
        let is_harmless = is_variables(login) || before.ends_with("ssh://") && !login.contains(':');
        rest = if is_harmless { after } else { &after[login.len()..] };
    }
    shown + rest
}

/// Whether a URL holds a password, or a token in place of the user. A user's name alone, as in `ssh://git@host`, is neither: what is shorter
/// than any token is taken for a name.
#[must_use]
pub fn holds_secret(url: &str) -> bool {
    /// GitLab's, which are shorter than GitHub's, Azure's and Bitbucket's.
    const SHORTEST_TOKEN: usize = 20;
    let login = login(url).map(|login| login.trim_end_matches('@')).unwrap_or_default();
    login.split_once(':').map_or(login.len() >= SHORTEST_TOKEN, |(_, password)| !password.is_empty())
}

/// Whether `USER:PASSWORD@` is made of references such as `$(NAME)` and `${NAME}`.
fn is_variables(login: &str) -> bool {
    let is_one =
        |part: &str| part.starts_with("$(") && part.ends_with(')') || part.starts_with("${") && part.ends_with('}');
    login.strip_suffix('@').is_some_and(|login| login.split(':').all(is_one))
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
    fn a_text_shows_no_login_of_any_url() {
        for (text, shown) in [
            (
                "cloning https://ann:***@host/a: https://ann:***@host/a is empty",
                "cloning https://host/a: https://host/a is empty",
            ),
            ("url: 'https://ann:p@ss@host'\nb: ssh://git@host/x", "url: 'https://host'\nb: ssh://git@host/x"),
            ("https://host/a?mail=b@c", "https://host/a?mail=b@c"),
            ("postgresql://$(USER):${PASSWORD}@db/x", "postgresql://$(USER):${PASSWORD}@db/x"),
            ("postgresql://$(USER):word@db/x", "postgresql://db/x"),
            ("a://b://c:d@e", "a://b://e"),
            ("no address: a@b", "no address: a@b"),
            ("://", "://"),
        ] {
            assert_eq!(hide_logins(text), shown);
        }
    }

    #[test]
    fn a_password_and_a_token_are_secrets() {
        for url in [
            "https://ann:secret@host/a",
            "https://ghp_0123456789abcdefghijklmnopqrstuvwxyz@host/a",
            "ssh://git:secret@host",
            "ann:secret@registry.example/a",
        ] {
            assert!(holds_secret(url), "{url}");
        }
        for url in [
            "https://host/a",
            "ssh://git@host/a",
            "https://acme@dev.azure.com/acme",
            "https://ann:@host",
            "git@host:a/b.git",
            "oci://host/a",
            "/srv/a@b",
        ] {
            assert!(!holds_secret(url), "{url}");
        }
    }

    #[test]
    fn a_login_is_taken_out_of_every_place_of_a_text() {
        let url = "https://ann:secret@host/charts";
        let text = "looks like \"https://ann:secret@host/charts\" has no https://ann:secret@host/charts/index.yaml";
        let shown = "looks like \"https://host/charts\" has no https://host/charts/index.yaml";
        assert_eq!(hide_login(text, url), shown);
        // as helm and git show it
        assert_eq!(hide_login(&text.replace("secret", "***"), url), shown);
        let registry = "ann:secret@registry.example/charts";
        assert_eq!(
            hide_login("no oci://ann:secret@registry.example/charts", registry),
            "no oci://registry.example/charts"
        );
        assert_eq!(
            hide_login("pulling ann:secret@registry.example/charts", registry),
            "pulling registry.example/charts"
        );
    }
}
