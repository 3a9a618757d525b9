//! The address of a tracking server: checked, and without the login that it may hold.

use reqwest::Url;

use crate::login::Login;
use crate::{Error, Result};

/// The server's address, which can be shown, and the login that was in it.
///
/// # Errors
/// [`Error::Address`], which shows no part of a login, if it is not an http or https address.
pub(crate) fn read(tracking_uri: &str) -> Result<(Url, Option<Login>)> {
    let refuse =
        |reason: &str| Err(Error::Address { uri: without_login(tracking_uri.trim()), reason: reason.to_owned() });
    let mut address = match Url::parse(tracking_uri.trim()) {
        Ok(address) if matches!(address.scheme(), "http" | "https") => address,
        Ok(_) => return refuse("it starts with neither http:// nor https://"),
        Err(error) => return refuse(&error.to_string()),
    };
    let login = Login::take(&mut address);
    // a password that is not escaped can end the host's name anywhere, so that its rest looks like a port, a path or a query
    if address.as_str().contains('@') {
        return refuse("its password must be percent-encoded, `/` as %2F, `?` as %3F, `#` as %23 and `@` as %40");
    }
    address.set_query(None);
    address.set_fragment(None);
    Ok((address, login))
}

/// An address that need not be valid, for messages: what stands before its last `@`, and its query, become `…`.
fn without_login(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => (format!("{scheme}://"), rest),
        _ => (String::new(), address),
    };
    let rest = rest.rsplit_once('@').map_or_else(|| rest.to_owned(), |(_, host)| format!("…@{host}"));
    let shown = rest.split_once(['?', '#']).map_or_else(|| rest.clone(), |(path, _)| format!("{path}?…"));
    format!("{scheme}{shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_prefix_and_loses_its_login_and_its_query() {
        let (address, login) = read(" http://ann:secret@example.org:5000/mlflow/?x=1#y\n").unwrap();
        assert_eq!(address.as_str(), "http://example.org:5000/mlflow/");
        assert!(login.is_some());
        assert!(read("https://example.org").unwrap().1.is_none());
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for (address, shown) in [
            ("http://ann:sec/ret@h", "`http://…@h`"),
            ("http://ann:5/secret@h", "`http://…@h`"),
            ("http://ann:5?secret@h", "`http://…@h`"),
            ("http://ann:5#secret@h", "`http://…@h`"),
            ("http://ann:secret@y/z@h", "`http://…@h`"),
            ("ann:secret@h:5000", "`…@h:5000`"),
            ("ann:secret://x@h", "`…@h`"),
            ("ftp://h/?token=secret", "`ftp://h/?…`"),
            ("sqlite:///x.db", "`sqlite:///x.db`"),
            ("127.0.0.1:5000", "`127.0.0.1:5000`"),
            ("", "``"),
        ] {
            let error = read(address).unwrap_err().to_string();
            assert!(error.contains(shown) && error.contains("MLFLOW_TRACKING_URI"), "{error}");
            assert!(!error.contains("secret") && !error.contains("sec/ret"), "{error}");
        }
    }
}
