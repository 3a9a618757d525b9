//! The login for MLflow, from the places and in the order of MLflow's own client (`mlflow/utils/credentials.py`, `rest_utils.py`).

use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::HeaderValue;
use slipway_names::env::{
    MLFLOW_TRACKING_PASSWORD as PASSWORD, MLFLOW_TRACKING_TOKEN as TOKEN, MLFLOW_TRACKING_USERNAME as USERNAME,
};

use crate::credentials_file::CredentialsFile;
use crate::{Error, Result};

/// Looks up an environment variable; one that is empty counts as not set.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is sent to MLflow as authorization.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// Marked as sensitive, so that it is not shown.
    header: HeaderValue,
    source: Source,
}

/// Where a login comes from, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Address,
    Variables,
    File,
    Token,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "MLFLOW_TRACKING_URI",
            Self::Variables => "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
            Self::File => "~/.mlflow/credentials",
            Self::Token => "MLFLOW_TRACKING_TOKEN",
        })
    }
}

impl Login {
    /// Takes the user and the password out of an address; without them, it can be shown.
    pub(crate) fn take(address: &mut Url) -> Option<Self> {
        if address.username().is_empty() && address.password().is_none() {
            return None;
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (decoded(address.username()), decoded(address.password().unwrap_or_default()));
        // fails for an address without a host, which has no user either
        let _ = address.set_username("").and_then(|()| address.set_password(None));
        Some(Self::basic(&user, &password, Source::Address))
    }

    /// User and password, each from its variable or else from `~/.mlflow/credentials`; if one of them is missing, the token.
    ///
    /// # Errors
    /// [`Error::Settings`] if half of a login is given, or a token that no header can carry.
    pub(crate) fn of_environment(variable: Variables<'_>) -> Result<Option<Self>> {
        let file = match variable("HOME") {
            Some(home) => CredentialsFile::read(&PathBuf::from(home).join(".mlflow/credentials"))?,
            None => CredentialsFile::default(),
        };
        let (user, password) = (variable(USERNAME), variable(PASSWORD));
        // whoever has a refused login to mend looks where the password is
        let source = if password.is_some() { Source::Variables } else { Source::File };
        match (user.or(file.user), password.or(file.password), variable(TOKEN)) {
            (Some(user), Some(password), _) => Ok(Some(Self::basic(&user, &password, source))),
            (_, _, Some(token)) => Self::bearer(&token).map(Some),
            (None, None, None) => Ok(None),
            (user, ..) => {
                let [missing, absent, given] =
                    if user.is_some() { [PASSWORD, "password", "user"] } else { [USERNAME, "user", "password"] };
                Err(Error::Settings(format!(
                    "{missing} is not set, and ~/.mlflow/credentials has no {absent} either, but there is a {given}; give both, or neither"
                )))
            }
        }
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    fn basic(user: &str, password: &str, source: Source) -> Self {
        let text = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let mut header = HeaderValue::try_from(text).unwrap_or_else(|_| unreachable!("base64 is ASCII"));
        header.set_sensitive(true);
        Self { header, source }
    }

    fn bearer(token: &str) -> Result<Self> {
        let mut header = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
            Error::Settings(format!("{TOKEN} holds a character that cannot be sent, such as a line break"))
        })?;
        header.set_sensitive(true);
        Ok(Self { header, source: Source::Token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The decoded login, and where it comes from.
    fn sent(login: &Login) -> (String, Source) {
        let header = login.header.to_str().unwrap();
        let text = match header.strip_prefix("Basic ") {
            Some(encoded) => String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap(),
            None => header.to_owned(),
        };
        (text, login.source)
    }

    fn of_address(address: &str) -> Option<(String, Source)> {
        let mut url = Url::parse(address).unwrap();
        let login = Login::take(&mut url);
        assert!(!url.as_str().contains('@'), "{url}");
        login.as_ref().map(sent)
    }

    fn of(home: Option<&str>, pairs: &[(&str, &str)]) -> Result<Option<(String, Source)>> {
        let folder = tempfile::tempdir().unwrap();
        if let Some(text) = home {
            std::fs::create_dir(folder.path().join(".mlflow")).unwrap();
            std::fs::write(folder.path().join(".mlflow/credentials"), text).unwrap();
        }
        let home = folder.path().display().to_string();
        let login = Login::of_environment(&|name| {
            if name == "HOME" {
                return Some(home.clone());
            }
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })?;
        Ok(login.as_ref().map(sent))
    }

    #[test]
    fn what_an_address_escapes_is_sent_unescaped() {
        for (address, login) in [
            ("http://ann%40acme:p%40ss%2Fw@h:1/p", "ann@acme:p@ss/w"),
            ("http://ann:p@ss@h", "ann:p@ss"),
            ("http://ann:50%@h", "ann:50%"),
            ("http://j%C3%B6rg:gr%C3%BCn@h", "jörg:grün"),
            ("http://ann@h", "ann:"),
            ("http://:token@h", ":token"),
        ] {
            assert_eq!(of_address(address), Some((login.to_owned(), Source::Address)), "{address}");
        }
        assert_eq!(of_address("http://h:5000"), None);
    }

    #[test]
    fn the_order_is_that_of_mlflows_client() {
        let file = "[mlflow]\nmlflow_tracking_username = bob\nmlflow_tracking_password = filed\n";
        let ann = [(USERNAME, "ann"), (PASSWORD, "p")];
        let all = [ann[0], ann[1], (TOKEN, "t")];
        let basic = |text: &str, source| Some((text.to_owned(), source));
        assert_eq!(of(Some(file), &all).unwrap(), basic("ann:p", Source::Variables));
        assert_eq!(of(Some(file), &[ann[0]]).unwrap(), basic("ann:filed", Source::File));
        assert_eq!(of(Some(file), &[ann[1]]).unwrap(), basic("bob:p", Source::Variables));
        assert_eq!(of(Some(file), &[(TOKEN, "t")]).unwrap(), basic("bob:filed", Source::File));
        assert_eq!(of(None, &[ann[0], (TOKEN, "t")]).unwrap(), basic("Bearer t", Source::Token));
        assert_eq!(of(Some("[other]\n"), &[]).unwrap(), None);
    }

    #[test]
    fn half_a_login_and_an_unsendable_token_are_named_and_not_shown() {
        for (pairs, named) in
            [([(USERNAME, "secret")], PASSWORD), ([(PASSWORD, "secret")], USERNAME), ([(TOKEN, "secret\n")], TOKEN)]
        {
            let error = of(None, &pairs).unwrap_err().to_string();
            assert!(error.contains(named) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_login_is_not_shown() {
        let login = Login::basic("ann", "secret", Source::Variables);
        let shown = format!("{login:?}");
        assert!(shown.contains("Sensitive") && !shown.contains("secret"), "{shown}");
    }
}
