//! Trainer's status API over TLS, with a certificate authority of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

const PATH: &str = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/training/trainjobs/blocks-mlp-1a2b3c4d/status";

/// A report that was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) token: String,
    pub(crate) status: Value,
}

#[derive(Clone)]
pub(crate) struct StatusApi {
    pub(crate) url: String,
    /// PEM of the authority that signed the server's certificate.
    pub(crate) ca: String,
    answer: StatusCode,
    reports: Arc<Mutex<Vec<Report>>>,
    attempts: Arc<Mutex<usize>>,
}

impl StatusApi {
    /// Accepts reports, or answers each with this status.
    pub(crate) async fn start(answer: StatusCode) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}{PATH}", listener.local_addr().unwrap().port());
        let (reports, attempts) = (Arc::default(), Arc::default());
        let api = Self { url, ca: authority.pem(), answer, reports, attempts };
        let app = Router::new().fallback(take).with_state(api.clone());
        let tls = Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
        tokio::spawn(async move { axum::serve(tls, app).await });
        api
    }

    pub(crate) fn reports(&self) -> Vec<Report> {
        self.reports.lock().unwrap().clone()
    }

    pub(crate) fn attempts(&self) -> usize {
        *self.attempts.lock().unwrap()
    }
}

/// Answers as Trainer 2.3 does: 422 for what its decoder or the schema of the status refuses.
async fn take(State(api): State<StatusApi>, request: Request) -> Response {
    *api.attempts.lock().unwrap() += 1;
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = axum::body::to_bytes(request.into_body(), 1 << 16).await.unwrap();
    if method != "POST" || path != PATH {
        return (StatusCode::NOT_FOUND, "Not found").into_response();
    }
    let Some(token) = token.and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned)) else {
        return (StatusCode::FORBIDDEN, "Forbidden").into_response();
    };
    if api.answer != StatusCode::OK {
        return (api.answer, r#"{"message":"not now"}"#).into_response();
    }
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::UNPROCESSABLE_ENTITY, "Invalid payload").into_response();
    };
    let status = message["trainerStatus"].clone();
    let number = |name: &str, most: u64| status[name].is_null() || status[name].as_u64().is_some_and(|n| n <= most);
    let metrics = status["metrics"].as_array().is_some_and(|metrics| {
        metrics.iter().all(|metric| {
            metric["name"].is_string() && metric["value"].as_str().is_some_and(|v| v.parse::<f64>().is_ok())
        })
    });
    // RFC 3339 in whole seconds
    let time = status["lastUpdatedTime"].as_str().is_some_and(|time| time.len() == 20 && time.ends_with('Z'));
    let valid =
        number("progressPercentage", 100) && number("estimatedRemainingSeconds", i32::MAX as u64) && metrics && time;
    if !valid {
        return (StatusCode::UNPROCESSABLE_ENTITY, json!({"message": "Invalid"}).to_string()).into_response();
    }
    api.reports.lock().unwrap().push(Report { token, status });
    message.to_string().into_response()
}

/// A listener whose connections speak TLS; one whose handshake fails is dropped.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// The files that Trainer mounts into a worker.
pub(crate) struct Mounted {
    pub(crate) folder: PathBuf,
}

impl Mounted {
    pub(crate) fn new(folder: &Path, ca: &str, token: &str) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("ca.crt"), ca).unwrap();
        std::fs::write(folder.join("token"), token).unwrap();
        Self { folder: folder.to_owned() }
    }

    pub(crate) fn environment(&self, url: &str) -> [(&'static str, String); 3] {
        let path = |name: &str| self.folder.join(name).display().to_string();
        [
            ("KUBEFLOW_TRAINER_SERVER_URL", url.to_owned()),
            ("KUBEFLOW_TRAINER_SERVER_CA_CERT", path("ca.crt")),
            ("KUBEFLOW_TRAINER_SERVER_TOKEN", path("token")),
        ]
    }
}
