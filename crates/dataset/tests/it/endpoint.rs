//! A store at an endpoint, and a small dataset.

use slipway_dataset::{Credentials, LocalDataset, Sizes, Store, idx};
pub(crate) use slipway_object_store::serve as endpoint;

const KEY: &str = slipway_object_store::KEYS.0;
pub(crate) const SECRET: &str = slipway_object_store::KEYS.1;

pub(crate) fn store(url: &str, secret: &str) -> Store {
    let credentials = Credentials { access_key: KEY.to_owned(), secret_key: secret.to_owned(), session_token: None };
    Store::new(url, "datasets", credentials, "us-east-1").unwrap()
}

pub(crate) fn dataset() -> LocalDataset {
    let images = idx::Images { count: 100, height: 4, width: 4, pixels: (0..1600).map(|n| (n % 251) as u8).collect() };
    let labels: Vec<u8> = (0..100).map(|n| n % 10).collect();
    LocalDataset::new("tiny", 10, &images, &labels, Sizes { train: 80, validation: 10, test: 10 }, 0).unwrap()
}
