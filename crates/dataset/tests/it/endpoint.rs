//! A real S3 endpoint: s3s over a folder.

use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use slipway_dataset::{Credentials, LocalDataset, Sizes, Store, idx};
use tokio::net::TcpListener;

const KEY: &str = "key";
pub(crate) const SECRET: &str = "secret";

/// Serves a folder until the test ends.
pub(crate) async fn endpoint(folder: &Path) -> String {
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder).unwrap());
    service.set_auth(SimpleAuth::from_single(KEY, SECRET));
    let service = service.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let http = Builder::new(TokioExecutor::new());
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(http.serve_connection(TokioIo::new(socket), service.clone()).into_owned());
        }
    });
    format!("http://{address}")
}

pub(crate) fn store(url: &str, secret: &str) -> Store {
    let credentials = Credentials { access_key: KEY.to_owned(), secret_key: secret.to_owned(), session_token: None };
    Store::new(url, "datasets", credentials, "us-east-1").unwrap()
}

pub(crate) fn dataset() -> LocalDataset {
    let images = idx::Images { count: 100, height: 4, width: 4, pixels: (0..1600).map(|n| (n % 251) as u8).collect() };
    let labels: Vec<u8> = (0..100).map(|n| n % 10).collect();
    LocalDataset::new("tiny", 10, &images, &labels, Sizes { train: 80, validation: 10, test: 10 }, 0).unwrap()
}
