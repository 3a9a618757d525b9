//! The certificate of the API, made at each start and signed by an authority of its own. Its keys are in memory only.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::{Error, Result};

/// Where the API is, in certificates.
pub(super) const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Longer than any loop runs.
const VALID: Duration = Duration::days(3650);

/// What the API and its clients need to trust each other.
pub(super) struct Authority {
    /// The authority's certificate in PEM format, for clients.
    pub(super) certificate: String,
    /// For the API.
    pub(super) server: Arc<ServerConfig>,
}

impl Authority {
    pub(super) fn new() -> Result<Self> {
        Self::make().map_err(|reason| Error::Certificate { reason })
    }

    fn make() -> std::result::Result<Self, String> {
        fn text(error: impl std::fmt::Display) -> String {
            error.to_string()
        }
        let mut authority = parameters("Slipway on this machine", vec![]).map_err(text)?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().map_err(text)?).map_err(text)?;
        let key = KeyPair::generate().map_err(text)?;
        let mut server = parameters("the Kubernetes API of Slipway", vec![HOST.to_string(), "localhost".to_owned()])
            .map_err(text)?;
        server.use_authority_key_identifier_extension = true;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = server.signed_by(&key, &authority).map_err(text)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(text)?;
        let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(text)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(text)?;
        Ok(Self { certificate: authority.pem(), server: Arc::new(server) })
    }
}

fn parameters(name: &str, hosts: Vec<String>) -> std::result::Result<CertificateParams, rcgen::Error> {
    let mut parameters = CertificateParams::new(hosts)?;
    parameters.distinguished_name.push(DnType::CommonName, name);
    // clocks of one machine agree, unless somebody sets them
    parameters.not_before = OffsetDateTime::now_utc() - Duration::days(1);
    parameters.not_after = parameters.not_before + VALID;
    Ok(parameters)
}
