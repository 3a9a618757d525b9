//! How much a build reads in a second of one core, and how much memory it takes: `throughput [IMAGES]`.
//!
//! The images are noise, 28 × 28, in two IDX files; the store is another process of this program. `perf record` of the first process is what the time goes to.
#![expect(clippy::print_stdout, reason = "what it measures is for the person at the terminal")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use slipway_dataset::{Credentials, Store};
use slipway_experiment::parse_dataset;
use slipway_object_store::{KEYS, serve};
use slipway_pipeline::{Places, Step, Temporary, build};

const SIDE: u32 = 28;
const DECLARATION: &str = "{apiVersion: slipway.dev/v1alpha1, kind: Dataset, metadata: {name: noise}, spec: {source: {idx: {images: x, labels: y}}, \
    classes: 10, shape: [28, 28], split: {validation: 0.1, test: 0.1, seed: 0}, pipeline: {}}}";

type Failed = Box<dyn std::error::Error>;

/// Ends with this process.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("serve"), Some(folder)) => runtime.block_on(async {
            println!("{}", serve(Path::new(&folder)).await);
            std::future::pending().await
        }),
        (images, _) => runtime.block_on(measure(images.map_or(Ok(400_000), str::parse)?)),
    }
}

async fn measure(images: u32) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let objects = folder.path().join("s3");
    std::fs::create_dir(&objects)?;
    noise(folder.path(), images)?;
    let serving = Command::new(std::env::current_exe()?).arg("serve").arg(&objects).stdout(Stdio::piped()).spawn()?;
    let mut serving = Server(serving);
    let mut url = String::new();
    BufReader::new(serving.0.stdout.take().ok_or("no output")?).read_line(&mut url)?;
    let keys = Credentials { access_key: KEYS.0.to_owned(), secret_key: KEYS.1.to_owned(), session_token: None };
    let store = Store::new(url.trim(), "datasets", keys, "us-east-1")?;
    let declaration = parse_dataset("noise.yaml", DECLARATION).map_err(|findings| format!("{findings:?}"))?;
    let temporary = Temporary::new(&folder.path().join("temporary"))?;
    let sources = slipway_sources::Places {
        project: folder.path().to_owned(),
        cache: folder.path().join("cache"),
        repin: false,
        limits: slipway_sources::Limits::default(),
    };
    let places = Places { sources, npm: None, temporary: temporary.path().to_owned() };
    let (begun, mut before) = (Instant::now(), cpu_seconds()?);
    let all_before = before;
    let built = build(&declaration, &places, &store, |step| {
        let now = cpu_seconds().unwrap_or_default();
        let step = match step {
            Step::Read { .. } => "read",
            Step::Validated { .. } => "validate",
            Step::Split { .. } => "split",
            Step::Published { .. } => "publish",
            _ => "other",
        };
        println!("{step:>10} {:6.2} s of one core", now - before);
        before = now;
    });
    let built = built.await?;
    let (seconds, bytes) = (cpu_seconds()? - all_before, f64::from(images) * f64::from(SIDE * SIDE));
    println!(
        "{images} images, {:.0} MB: {seconds:.2} s of one core, {:.0} MB/s a core; {:.2} s in all; at most {} MiB of memory",
        bytes / 1e6,
        bytes / 1e6 / seconds,
        begun.elapsed().as_secs_f64(),
        peak_mib()?
    );
    println!("{}", built.digest);
    Ok(())
}

/// The source: always the same images.
fn noise(folder: &Path, images: u32) -> Result<(), Failed> {
    let file = |name: &str| std::fs::File::create(folder.join(name)).map(std::io::BufWriter::new);
    let (mut pixels, mut labels) = (file("x")?, file("y")?);
    for (file, head) in [(&mut pixels, &[0x0803, images, SIDE, SIDE][..]), (&mut labels, &[0x0801, images])] {
        for number in head {
            file.write_all(&number.to_be_bytes())?;
        }
    }
    let mut random = fastrand::Rng::with_seed(7);
    let mut image = vec![0; (SIDE * SIDE) as usize];
    for number in 0..images {
        random.fill(&mut image);
        pixels.write_all(&image)?;
        labels.write_all(&[(number % 10) as u8])?;
    }
    pixels.flush()?;
    labels.flush()?;
    Ok(())
}

/// What this process has computed so far.
fn cpu_seconds() -> Result<f64, Failed> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    // user and system, in hundredths of a second on Linux
    Ok((ticks(11) + ticks(12)) / 100.0)
}

fn peak_mib() -> Result<u64, Failed> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    Ok(line.split_whitespace().next().unwrap_or("0").parse::<u64>()? >> 10)
}
