//! A store whose certificate is not trusted.

use std::sync::atomic::Ordering;

use slipway_dataset::{Digest, Error};
use slipway_untrusted::untrusted;

use crate::endpoint::{SECRET, store};

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_said_and_not_tried_again() {
    let (address, calls) = untrusted().await;
    let error = store(&address, SECRET).verify(&Digest::of("")).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Tls { .. }) && !error.is_unavailable(), "{text}");
    for part in [address.as_str(), "its certificate is not trusted or not valid", "SSL_CERT_FILE"] {
        assert!(text.contains(part), "{text}");
    }
    // one attempt, which the SDK makes of three calls
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}
