//! What a message says.
//!
//! The causes of an error as text: HTTP and cloud libraries leave the cause that matters, such as `Connection refused`, out of their own
//! message. And addresses without the login that they may hold.

mod address;

pub use address::{hide_login, hide_logins, holds_secret, without_password};

use std::error::Error;
use std::io;

/// An error's message followed by those of its causes, without repetitions.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let message = next.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = next.source();
    }
    text
}

/// The message of an error's last cause, which says what happened.
#[must_use]
pub fn root(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// The first error of a type among an error and its causes.
#[must_use]
pub fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // an error of the system hides the one that it carries from its own causes
        let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = carried.map(|carried| carried as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

/// Why no encrypted connection could be made, if that is the cause: asking again does not help.
#[must_use]
pub fn tls(error: &(dyn Error + 'static)) -> Option<String> {
    find::<rustls::Error>(error).map(|error| match error {
        rustls::Error::InvalidCertificate(reason) => format!("its certificate is not trusted or not valid ({reason})"),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Failed(&'static str, Option<Box<Failed>>);

    impl fmt::Display for Failed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Failed {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn each_cause_appears_once() {
        let refused = Failed("refused", None);
        let error = Failed("sending failed", Some(Box::new(Failed("connect: refused", Some(Box::new(refused))))));
        assert_eq!(chain(&error), "sending failed: connect: refused");
        assert_eq!(root(&error), "refused");
    }

    #[test]
    fn a_certificate_is_found_in_an_error_of_the_system() {
        let wrong = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let carrying = io::Error::other(io::Error::other(wrong));
        assert!(
            tls(&carrying).is_some_and(|reason| reason.starts_with("its certificate is not trusted or not valid ("))
        );
        assert_eq!(tls(&io::Error::other("refused")), None);
    }
}
