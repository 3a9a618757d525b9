//! A store whose certificate is not trusted.

use std::sync::atomic::Ordering;

use slipway_dataset::{Digest, Error};
use slipway_untrusted::untrusted;

use crate::child::run;
use crate::endpoint::{SECRET, store};
use crate::stub::{Stub, answer};

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_said_and_not_tried_again() {
    let (address, calls) = untrusted().await;
    let error = store(&address, SECRET).verify(&Digest::of("")).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Tls { .. }) && !error.is_unavailable(), "{text}");
    for part in [address.as_str(), "its certificate is not trusted or not valid", "SSL_CERT_FILE"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn nor_is_that_of_a_service_that_gives_credentials() {
    let (sts, sts_calls) = untrusted().await;
    let (portal, portal_calls) = untrusted().await;
    let s3 = Stub::start(|_| answer(200, "")).await;
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let token = r#"{"accessToken": "t", "expiresAt": "2099-01-01T00:00:00Z", "region": "eu-west-1", "startUrl": "https://sign-in.example"}"#;
    // SHA-1 of `dev`
    std::fs::write(cache.join("34c6fceca75e456f25e7e99531e2425c6c1de443.json"), token).unwrap();
    let config = "[profile sso]\nsso_session = dev\nsso_account_id = 123456789012\nsso_role_name = data\nregion = eu-west-1\n\
                  [sso-session dev]\nsso_region = eu-west-1\nsso_start_url = https://sign-in.example\n";
    std::fs::write(home.path().join(".aws/config"), config).unwrap();
    std::fs::write(home.path().join("token"), "jwt").unwrap();
    let (home, token) = (home.path().to_str().unwrap(), home.path().join("token"));
    let web_identity = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/trainer"),
        ("AWS_ENDPOINT_URL_STS", sts.as_str()),
    ];
    let sign_on = [("AWS_PROFILE", "sso"), ("AWS_ENDPOINT_URL_SSO", portal.as_str())];
    let metadata = ("AWS_EC2_METADATA_DISABLED", "true");
    for (source, calls) in [(&web_identity[..], sts_calls), (&sign_on[..], portal_calls)] {
        let asked = [("HOME", home), ("AWS_ENDPOINT_URL_S3", &s3.url), metadata];
        // a job, which would repeat for minutes what may pass
        let outcome = run("wait", &[&asked[..], source].concat()).await;
        let says = "error: unavailable=false no TLS connection to what gives credentials for the object store at http";
        assert!(outcome.text.starts_with(says) && outcome.text.contains("SSL_CERT_FILE"), "{outcome:?}");
        assert_eq!(calls.load(Ordering::Relaxed), 1, "{source:?}");
    }
    assert!(s3.seen().is_empty());
}
