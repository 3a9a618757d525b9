//! How a server's certificate is checked, by MLflow's own variables.

use std::path::Path;

use reqwest::{Certificate, ClientBuilder, Identity};

use crate::login::Variables;
use crate::{Error, Result};

const INSECURE: &str = "MLFLOW_TRACKING_INSECURE_TLS";
const SERVER_CERTIFICATE: &str = "MLFLOW_TRACKING_SERVER_CERT_PATH";
pub(crate) const CLIENT_CERTIFICATE: &str = "MLFLOW_TRACKING_CLIENT_CERT_PATH";
/// Ways to log in that need Python, or a signature over each request.
const UNSUPPORTED: [&str; 2] = ["MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4"];

/// Applies `MLFLOW_TRACKING_INSECURE_TLS`, `MLFLOW_TRACKING_SERVER_CERT_PATH` and `MLFLOW_TRACKING_CLIENT_CERT_PATH`.
///
/// # Errors
/// [`Error::Settings`] if they contradict each other, if a file does not hold what it should, or if the environment asks for one of the ways
/// to log in that only MLflow's Python client has; [`Error::File`] if a file cannot be read.
pub(crate) fn configure(mut builder: ClientBuilder, variable: Variables<'_>) -> Result<ClientBuilder> {
    for name in UNSUPPORTED {
        if variable(name).is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0")) {
            return Err(Error::Settings(format!(
                "{name} is set, and only MLflow's Python client supports it; unset it, and set MLFLOW_TRACKING_USERNAME and \
                 MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            )));
        }
    }
    let insecure = match variable(INSECURE).map(|value| value.to_ascii_lowercase()).as_deref() {
        None | Some("false" | "0") => false,
        Some("true" | "1") => true,
        Some(_) => return Err(Error::Settings(format!("{INSECURE} is neither true nor false"))),
    };
    match (insecure, variable(SERVER_CERTIFICATE)) {
        (true, Some(_)) => {
            let both = format!("{INSECURE} and {SERVER_CERTIFICATE} are both set; unset one of them");
            return Err(Error::Settings(both));
        }
        (true, None) => builder = builder.tls_danger_accept_invalid_certs(true),
        (false, Some(path)) => {
            let wrong = || Error::Settings(format!("{SERVER_CERTIFICATE}: {path} holds no certificate in PEM format"));
            let certificates = Certificate::from_pem_bundle(&read(&path)?).map_err(|_| wrong())?;
            if certificates.is_empty() {
                return Err(wrong());
            }
            builder = builder.tls_certs_only(certificates);
        }
        (false, None) => {}
    }
    if let Some(path) = variable(CLIENT_CERTIFICATE) {
        let identity = Identity::from_pem(&read(&path)?).map_err(|_| {
            Error::Settings(format!(
                "{CLIENT_CERTIFICATE}: {path} does not hold a certificate and its private key, both in PEM format"
            ))
        })?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}

fn read(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::File { path: Path::new(path).to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::server::WebPkiClientVerifier;
    use tokio_rustls::rustls::{RootCertStore, ServerConfig};

    use super::*;

    fn refusal(pairs: &[(&str, &str)]) -> String {
        let variable = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        configure(reqwest::Client::builder(), &variable).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_done_is_said_at_the_start() {
        for (pairs, part) in [
            (
                vec![("MLFLOW_TRACKING_AUTH", "kubernetes")],
                "MLFLOW_TRACKING_AUTH is set, and only MLflow's Python client",
            ),
            (vec![("MLFLOW_TRACKING_AWS_SIGV4", "true")], "MLFLOW_TRACKING_AWS_SIGV4 is set"),
            (vec![(INSECURE, "yes")], "neither true nor false"),
            (vec![(INSECURE, "1"), (SERVER_CERTIFICATE, "/ca.pem")], "are both set"),
            (vec![(SERVER_CERTIFICATE, "/does/not/exist")], "/does/not/exist: No such file"),
            (vec![(SERVER_CERTIFICATE, "/dev/null")], "/dev/null holds no certificate"),
            (vec![(CLIENT_CERTIFICATE, "/dev/null")], "/dev/null does not hold a certificate"),
        ] {
            let error = refusal(&pairs);
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_is_off_is_not_in_the_way() {
        let off = |name: &str| ["MLFLOW_TRACKING_AWS_SIGV4", INSECURE].contains(&name).then(|| "false".to_owned());
        let _ = configure(reqwest::Client::builder(), &off).unwrap();
    }

    /// A server with a certificate of an authority of its own; what it answers is `HTTP/1.1 204`.
    async fn server() -> (String, CertifiedIssuer<'static, KeyPair>) {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &authority).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let clients = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build().unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_client_cert_verifier(clients);
        let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let (acceptor, listener) =
            (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let known = stream.get_ref().1.peer_certificates().is_some();
                let answer = format!("HTTP/1.1 {} x\r\nConnection: close\r\n\r\n", if known { 202 } else { 204 });
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        (address, authority)
    }

    /// The status of an answer to a client with these variables; `None` if there was no connection.
    async fn status(address: &str, pairs: &[(&str, &Path)]) -> Option<u16> {
        let variable =
            |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.display().to_string());
        let builder = slipway_http::client_of(&address.parse().unwrap());
        let client = configure(builder, &variable).unwrap().build().unwrap();
        client.get(address).send().await.ok().map(|answer| answer.status().as_u16())
    }

    #[tokio::test]
    async fn certificates_are_checked_as_the_variables_say() {
        let (address, authority) = server().await;
        let folder = tempfile::tempdir().unwrap();
        let (trusted, own) = (folder.path().join("ca.pem"), folder.path().join("client.pem"));
        std::fs::write(&trusted, authority.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["ann".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        std::fs::write(&own, certificate.pem() + &key.serialize_pem()).unwrap();
        assert_eq!(status(&address, &[]).await, None);
        assert_eq!(status(&address, &[(SERVER_CERTIFICATE, &trusted)]).await, Some(204));
        assert_eq!(status(&address, &[(INSECURE, Path::new("true"))]).await, Some(204));
        assert_eq!(status(&address, &[(SERVER_CERTIFICATE, &trusted), (CLIENT_CERTIFICATE, &own)]).await, Some(202));
        assert_eq!(status(&address, &[(SERVER_CERTIFICATE, &own)]).await, None);
    }

    #[test]
    fn an_address_that_somebody_else_names_gets_no_login() {
        let client = crate::Client::without_login("http://ann:secret@example.org").unwrap();
        assert!(format!("{client:?}").contains("login: None"), "{client:?}");
    }

    #[tokio::test]
    async fn a_certificate_that_is_not_trusted_is_said_at_the_first_attempt() {
        let (address, _) = server().await;
        // with pauses that the test would not outlive
        let hour = std::time::Duration::from_secs(3600);
        let client = crate::Client::new(&address).unwrap().with_retry(crate::Retry::at_most(5).pausing(hour, hour));
        let error = client.get_run("r").await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Tls { .. }) && !error.is_unavailable(), "{text}");
        for part in [address.as_str(), "its certificate is not trusted or not valid", SERVER_CERTIFICATE] {
            assert!(text.contains(part), "{text}");
        }
    }
}
