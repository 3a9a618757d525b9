//! A server whose certificate is not trusted.

use std::sync::atomic::Ordering;

use slipway_untrusted::untrusted;

use super::TOKEN;
use crate::{Credentials, Error, GitHub};

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_said_at_the_first_attempt() {
    let (address, calls) = untrusted().await;
    let error = GitHub::new(&address, "octo", "cat", Credentials::token(TOKEN)).default_branch().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Tls { .. }), "{text}");
    for part in [address.as_str(), "its certificate is not trusted or not valid", "SSL_CERT_FILE"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}
