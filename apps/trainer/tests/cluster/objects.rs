//! An S3 endpoint over a folder that holds one dataset: each digit is a bright block at its own place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use slipway_dataset::{Credentials, LocalDataset, Sizes, Store, idx};
use tempfile::TempDir;
use tokio::net::TcpListener;

pub(crate) const KEYS: (&str, &str) = ("key", "secret");

pub(crate) struct Objects {
    pub(crate) url: String,
    pub(crate) digest: String,
    away: Arc<AtomicBool>,
    _folder: TempDir,
}

impl Objects {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEYS.0, KEYS.1));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let away = Arc::new(AtomicBool::new(false));
        let is_away = Arc::clone(&away);
        let answer = service_fn(move |request: Request<Incoming>| {
            let (service, is_away) = (service.clone(), is_away.load(Ordering::SeqCst));
            async move {
                if !is_away {
                    return Service::call(&service, request).await;
                }
                let mut refusal = Response::new(s3s::Body::empty());
                *refusal.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                Ok(refusal)
            }
        });
        tokio::spawn(async move {
            let http = Builder::new(TokioExecutor::new());
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(http.serve_connection(TokioIo::new(socket), answer.clone()).into_owned());
            }
        });
        let (access_key, secret_key) = (KEYS.0.to_owned(), KEYS.1.to_owned());
        let credentials = Credentials { access_key, secret_key, session_token: None };
        let store = Store::new(&url, "datasets", credentials, "us-east-1").unwrap();
        let digest = store.push(&blocks()).await.unwrap().to_string();
        Self { url, digest, away, _folder: folder }
    }

    /// While it is away, every request is answered with 503.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }
}

fn blocks() -> LocalDataset {
    const COUNT: usize = 1200;
    let labels: Vec<u8> = (0..COUNT).map(|n| (n % 10) as u8).collect();
    let mut pixels = Vec::with_capacity(COUNT * 784);
    for (n, label) in labels.iter().enumerate() {
        let (row, column) = (4 + 10 * usize::from(label / 5), 2 + 5 * usize::from(label % 5));
        for (y, x) in (0..28).flat_map(|y| (0..28).map(move |x| (y, x))) {
            let ink = if (row..row + 8).contains(&y) && (column..column + 4).contains(&x) { 160 } else { 0 };
            // noise that differs from image to image and from pixel to pixel
            pixels.push(ink + ((n * 7919 + y * 104_729 + x * 1_299_709) % 80) as u8);
        }
    }
    let images = idx::Images { count: COUNT, height: 28, width: 28, pixels };
    LocalDataset::new("blocks", 10, &images, &labels, Sizes { train: 1000, validation: 100, test: 100 }, 0).unwrap()
}
