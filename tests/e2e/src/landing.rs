//! What lands in the object store, who tells the dataset monitor of it, and what the monitor knows then.

use std::io::Cursor;
use std::process::Command;

use anyhow::{Context as _, Result};
use image::{ExtendedColorType, ImageFormat};
use serde_json::{Value, json};
use slipway_dataset::{Credentials, Digest, Store};
use slipway_loop::programs::program;
use tokio::runtime::{Builder, Runtime};

use crate::Stack;
use crate::repository::run;

/// The sides of a picture, in pixels.
pub const SIDE: u32 = 8;
/// The bucket in which images land.
const LANDING: &str = "landing";
/// Whom MinIO tells of it: base/minio/notifications.
const TARGET: &str = "arn:minio:sqs::MONITOR:webhook";
/// The dataset monitor, as the API server leads to it.
const MONITOR: &str = "/api/v1/namespaces/dataset-monitor/services/dataset-monitor:8080/proxy";

/// A picture of one of two classes. Each number is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    number: u32,
    is_odd: bool,
}

impl Picture {
    /// One that is bright on the left, or on the right.
    #[must_use]
    pub fn usual(number: u32) -> Self {
        Self { number, is_odd: false }
    }

    /// One that is bright above alone, and on the side of the other class: whoever knows only the usual ones is wrong about it, and whoever knows
    /// both kinds can be right about both.
    #[must_use]
    pub fn odd(number: u32) -> Self {
        Self { number, is_odd: true }
    }

    /// Its class.
    #[must_use]
    pub fn class(self) -> u8 {
        (self.number % 2) as u8
    }

    /// Its grey levels.
    #[must_use]
    pub fn levels(self) -> Vec<u8> {
        let Self { number, is_odd } = self;
        let is_left = (self.class() == 0) != is_odd;
        let is_bright = |at: u32| (at % SIDE < SIDE / 2) == is_left && (!is_odd || at / SIDE < SIDE / 2);
        let level = |at: u32| if is_bright(at) { 200 } else { (at * 7 + number * 13) % 40 };
        let mut levels: Vec<u8> = (0..SIDE * SIDE).map(|at| level(at) as u8).collect();
        // two pixels that no other number has
        levels[0] = (number % 250) as u8;
        levels[1] = (number / 250 % 250) as u8;
        levels
    }

    /// Its file, as PNG.
    fn file(self) -> Result<Vec<u8>> {
        let mut file = Cursor::new(Vec::new());
        image::write_buffer_with_format(
            &mut file,
            &self.levels(),
            SIDE,
            SIDE,
            ExtendedColorType::L8,
            ImageFormat::Png,
        )?;
        Ok(file.into_inner())
    }

    /// The key of its object below a prefix of the bucket.
    fn key(self, prefix: &str) -> String {
        format!("{prefix}/{}/{}.png", self.class(), self.number)
    }
}

impl Stack {
    /// Puts pictures below a prefix of the landing bucket, in this order, whatever is there.
    ///
    /// # Errors
    /// If the store refuses.
    pub fn land(&self, prefix: &str, pictures: &[Picture]) -> Result<()> {
        let landing = self.store()?.beside(LANDING);
        runtime()?.block_on(async {
            for picture in pictures {
                landing.write_own(&picture.key(prefix), picture.file()?.into(), "image/png").await?;
            }
            Ok(())
        })
    }

    /// Sends the monitor a notification of these pictures, as MinIO does, from the node.
    ///
    /// # Errors
    /// If the monitor refuses it.
    pub fn tell_monitor(&self, prefix: &str, pictures: &[Picture]) -> Result<()> {
        let service = self.kubectl().get(&["service", "dataset-monitor", "-n", "dataset-monitor"])?;
        let address = service["spec"]["clusterIP"].as_str().context("the monitor's Service has no address")?;
        let token = self.kubectl().secret("dataset-monitor", "dataset-monitor-notifications", "token")?;
        let record =
            |picture: &Picture| json!({"s3": {"bucket": {"name": LANDING}, "object": {"key": picture.key(prefix)}}});
        let records: Vec<Value> = pictures.iter().map(record).collect();
        let body = json!({"EventName": "s3:ObjectCreated:Put", "Records": records}).to_string();
        let (header, url) = (format!("Authorization: Bearer {token}"), format!("http://{address}:8080/events"));
        let curl = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*"];
        let rest = ["--header", &header, "--data-binary", &body, &url];
        self.inside(curl.into_iter().chain(rest)).map(drop)
    }

    /// Whether MinIO tells the monitor of what lands.
    ///
    /// # Errors
    /// If MinIO refuses.
    pub fn set_notifications(&self, on: bool) -> Result<()> {
        let bucket = format!("slipway/{LANDING}");
        if on {
            self.mc(&["event", "add", "--ignore-existing", &bucket, TARGET, "--event", "put"]).map(drop)
        } else {
            self.mc(&["event", "remove", &bucket, "--force"]).map(drop)
        }
    }

    /// What the monitor knows of a dataset.
    ///
    /// # Errors
    /// If it does not answer, or does not watch it.
    pub fn watched(&self, dataset: &str) -> Result<Value> {
        let all = self.kubectl().run(&["get", "--raw", &format!("{MONITOR}/api/v1/datasets")])?;
        let all: Value = serde_json::from_str(&all)?;
        all.get(dataset).cloned().with_context(|| format!("{dataset} is not watched: {all}"))
    }

    /// How many notifications the monitor has taken that were about a dataset.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn notifications(&self) -> Result<f64> {
        let all = self.kubectl().run(&["get", "--raw", &format!("{MONITOR}/metrics")])?;
        let count = all.lines().find_map(|line| line.strip_prefix("slipway_monitor_events_total{outcome=\"taken\"} "));
        // it is counted from the first one on
        Ok(count.map_or(Ok(0.0), |count| count.trim().parse::<f64>())?)
    }

    /// The digest of a dataset's head.
    ///
    /// # Errors
    /// If it has none.
    pub fn head(&self, dataset: &str) -> Result<Digest> {
        let store = self.store()?;
        let seen = runtime()?.block_on(store.head(dataset))?;
        Ok(seen.with_context(|| format!("{dataset} has no head"))?.head.manifest)
    }

    /// Builds a dataset of the clone as a person does at home, with more arguments of `slipway dataset build`. Returns its JSON.
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn build_dataset(&self, dataset: &str, arguments: &[&str]) -> Result<Value> {
        let key = self.kubectl().secret("minio", "minio-user-datasets", "AWS_SECRET_ACCESS_KEY")?;
        self.built(dataset, arguments, [("AWS_ACCESS_KEY_ID", "datasets"), ("AWS_SECRET_ACCESS_KEY", key.as_str())])
    }

    /// The same into an empty store of its own, a new bucket: nothing is known of earlier builds there.
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn build_dataset_anew(&self, dataset: &str, bucket: &str) -> Result<Value> {
        let password = self.kubectl().secret("minio", "minio-root", "MINIO_ROOT_PASSWORD")?;
        let store = format!("s3://{bucket}");
        let environment = [
            ("AWS_ACCESS_KEY_ID", "slipway-root"),
            ("AWS_SECRET_ACCESS_KEY", password.as_str()),
            ("SLIPWAY_DATASETS", store.as_str()),
        ];
        self.built(dataset, &[], environment)
    }

    fn built<'a>(
        &self,
        dataset: &str,
        arguments: &[&str],
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Value> {
        let mut command = Command::new(program("slipway")?);
        command.arg("--repo").arg(self.repository().root());
        command.args(["-o", "json", "dataset", "build", dataset]).args(arguments);
        command.env("AWS_ENDPOINT_URL_S3", self.url("s3")).envs(environment);
        Ok(serde_json::from_str(&run(&mut command)?)?)
    }

    /// The datasets of the cluster, with the rights of a person who adds some.
    fn store(&self) -> Result<Store> {
        let secret_key = self.kubectl().secret("minio", "minio-user-datasets", "AWS_SECRET_ACCESS_KEY")?;
        let credentials = Credentials { access_key: "datasets".to_owned(), secret_key, session_token: None };
        Ok(Store::new(&self.url("s3"), "datasets", credentials, "us-east-1")?)
    }
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_pictures_are_the_same() {
        let both = |number| [Picture::usual(number), Picture::odd(number)];
        let all: BTreeSet<Vec<u8>> = (0..2000).flat_map(both).map(Picture::levels).collect();
        assert_eq!(all.len(), 4000);
        assert!(Picture::usual(7).file().unwrap().starts_with(b"\x89PNG"));
        assert_eq!(Picture::odd(7).key("prefix"), "prefix/1/7.png");
    }
}
