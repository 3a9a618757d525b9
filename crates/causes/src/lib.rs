//! What a message says.
//!
//! The causes of an error as text: HTTP and cloud libraries leave the cause that matters, such as `Connection refused`, out of their own
//! message. And addresses without the login that they may hold.

mod address;

pub use address::{hide_login, without_password};

/// An error's message followed by those of its causes, without repetitions.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
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
pub fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
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

    impl std::error::Error for Failed {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
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
}
