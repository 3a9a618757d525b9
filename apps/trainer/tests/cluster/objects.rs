//! An S3 endpoint over a folder that holds one dataset, in which each digit is a bright block at its own place, and empty buckets for checkpoints and
//! for MLflow.

use slipway_dataset::{Credentials, LocalDataset, Sizes, Store, idx};
use slipway_object_store::{Endpoint, Faults};
use tempfile::TempDir;

pub(crate) use slipway_object_store::KEYS;

pub(crate) struct Objects {
    pub(crate) url: String,
    pub(crate) digest: String,
    pub(crate) faults: Faults,
    endpoint: Endpoint,
    folder: TempDir,
}

impl Objects {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for bucket in ["checkpoints", "mlflow"] {
            std::fs::create_dir(folder.path().join(bucket)).unwrap();
        }
        let faults = Faults::default();
        let endpoint = Endpoint::start(folder.path(), faults.clone());
        let url = endpoint.url();
        let (access_key, secret_key) = (KEYS.0.to_owned(), KEYS.1.to_owned());
        let credentials = Credentials { access_key, secret_key, session_token: None };
        let store = Store::new(&url, "datasets", credentials, "us-east-1").unwrap();
        let digest = store.push(&blocks()).await.unwrap().to_string();
        Self { url, digest, faults, endpoint, folder }
    }

    /// Kills the endpoint; what it has stored stays.
    pub(crate) async fn kill(&mut self) {
        self.endpoint.kill().await;
    }

    /// Starts it again after a kill.
    pub(crate) fn start_again(&mut self) {
        self.endpoint.start_again();
    }

    /// While it is away, every request is answered with 503.
    pub(crate) fn set_away(&self, away: bool) {
        self.faults.set_away(away);
    }

    /// Where the store keeps a job's checkpoints.
    pub(crate) fn checkpoints_of(&self, job: &str) -> std::path::PathBuf {
        self.folder.path().join("checkpoints").join(job)
    }

    /// How many objects there are of a job's checkpoints: the manifest, and each shard.
    pub(crate) fn checkpoint_objects(&self, job: &str) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
        }
        count(&self.checkpoints_of(job))
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
