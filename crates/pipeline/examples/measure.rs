//! Time and memory of a build, measured by hand: the store is another process.
//!
//! ```console
//! $ measure serve FOLDER                          # an S3 endpoint; prints its address
//! $ measure make FOLDER COUNT                     # IDX files of COUNT images of 28 × 28 random levels
//! $ measure build FOLDER ADDRESS PIPELINE         # builds them; `PIPELINE` such as '{validate: {nearDuplicates: 2}}'
//! ```
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that panics has failed")]

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use slipway_dataset::{Credentials, Store};
use slipway_experiment::parse_dataset;
use slipway_object_store::{KEYS, serve};
use slipway_pipeline::{Places, Temporary, build};
use slipway_sources::Limits;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", folder] => {
            println!("{}", serve(Path::new(folder)).await);
            std::future::pending::<()>().await;
        }
        ["make", folder, count] => make(Path::new(folder), count.parse().unwrap()),
        ["build", folder, address, pipeline] => run(Path::new(folder), address, pipeline).await,
        _ => panic!("serve, make or build"),
    }
}

fn make(folder: &Path, count: u32) {
    std::fs::create_dir_all(folder).unwrap();
    let file = |name: &str| BufWriter::new(std::fs::File::create(folder.join(name)).unwrap());
    let (mut images, mut labels) = (file("x"), file("y"));
    for word in [0x0803, count, 28, 28_u32] {
        images.write_all(&word.to_be_bytes()).unwrap();
    }
    for word in [0x0801, count] {
        labels.write_all(&word.to_be_bytes()).unwrap();
    }
    let mut random = fastrand::Rng::with_seed(0);
    let mut levels = [0; 784];
    for number in 0..count {
        random.fill(&mut levels);
        images.write_all(&levels).unwrap();
        labels.write_all(&[(number % 10) as u8]).unwrap();
    }
}

async fn run(folder: &Path, address: &str, pipeline: &str) {
    let text = format!(
        "{{apiVersion: slipway.dev/v1alpha1, kind: Dataset, metadata: {{name: d}}, spec: {{source: {{idx: {{images: x, labels: y}}}}, \
         classes: 10, shape: [28, 28], split: {{validation: 0.1, test: 0.1, seed: 0}}, pipeline: {pipeline}}}}}"
    );
    let declaration = parse_dataset("d.yaml", &text).unwrap();
    let keys = Credentials { access_key: KEYS.0.to_owned(), secret_key: KEYS.1.to_owned(), session_token: None };
    let store = Store::new(address, "datasets", keys, "us-east-1").unwrap();
    let cache: PathBuf = folder.join("cache");
    let temporary = Temporary::new(&folder.join("temporary")).unwrap();
    let sources =
        slipway_sources::Places { project: folder.to_owned(), cache, repin: false, limits: Limits::default() };
    let places = Places { sources, npm: None, temporary: temporary.path().to_owned() };
    let start = Instant::now();
    let built = build(&declaration, &places, &store, |step| {
        println!("{:6.2} s  {:4} MB  {step:?}", start.elapsed().as_secs_f64(), peak() >> 10);
    });
    let built = built.await.unwrap();
    println!("{:6.2} s  {:4} MB  {}", start.elapsed().as_secs_f64(), peak() >> 10, built.digest);
    println!(
        "{}",
        std::fs::read_to_string("/proc/self/stat").unwrap().split(' ').skip(13).take(2).collect::<Vec<_>>().join(" + ")
    );
}

/// The largest memory of this process so far, in kB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
