//! A server whose certificate is not trusted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::TOKEN;
use crate::{Credentials, Error, GitHub};
/// A server whose certificate nobody has signed, and how often it was called.
async fn untrusted() -> (String, Arc<AtomicUsize>) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let _ = acceptor.accept(stream).await;
        }
    });
    (address, calls)
}

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
