//! The token of whoever asks.

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use super::problem::Problem;

/// The most characters of a token. GitHub's have at most 255.
const MOST: usize = 512;

/// A token. It is shown nowhere and compared in constant time.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// That of a request; `how` says how to send one.
    ///
    /// # Errors
    /// 401 if there is not exactly one, or it cannot be read.
    pub fn of(headers: &HeaderMap, how: &str) -> Result<Self, Problem> {
        let mut all = headers.get_all(AUTHORIZATION).into_iter();
        let (Some(value), None) = (all.next(), all.next()) else {
            return Err(Problem::unauthorized(format!("there is not exactly one token: {how}")));
        };
        let token = value.to_str().ok().and_then(|value| value.split_once(' '));
        let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        token.and_then(Self::read).ok_or_else(|| Problem::unauthorized(format!("the token cannot be read: {how}")))
    }

    /// A token by its text; `None` for one that no header can carry.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        let is_token = (1..=MOST).contains(&text.len()) && text.bytes().all(allowed);
        is_token.then(|| Self(text.to_owned()))
    }

    /// The token itself, for whom it is meant.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether it is this one. How long that takes does not depend on how much of it is right.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_one_bearer_token_counts() {
        let of = |values: &[&str]| {
            let values = values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap()));
            Token::of(&values.collect(), "send one")
        };
        assert_eq!(of(&["bearer  abc"]).unwrap().secret(), "abc");
        let long = format!("Bearer {}", "a".repeat(MOST + 1));
        for wrong in [&[][..], &["Basic abc"], &["Bearer"], &["Bearer "], &["Bearer a b"], &[&long], &["Bearer a"; 2]] {
            assert_eq!(of(wrong).unwrap_err().status, 401, "{wrong:?}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let token = Token::read("secret").unwrap();
        assert_eq!(format!("{token:?}"), "Token");
        assert!(token.is(&Token::read("secret").unwrap()));
        assert!(!token.is(&Token::read("secret2").unwrap()) && !token.is(&Token::read("Secret").unwrap()));
    }
}
