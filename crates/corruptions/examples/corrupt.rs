//! Corrupts pictures of 28 × 28 bytes: `corrupt IN OUT STRENGTH SEED` reads the file IN, pictures one after another, and writes the
//! same pictures to OUT/<corruption>.u8 for each of the fifteen.

use std::path::Path;
use std::process::ExitCode;

use slipway_corruptions::{Corruption, PIXELS};

fn run(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let [input, output, strength, seed] = arguments else {
        return Err("usage: corrupt IN OUT STRENGTH SEED".into());
    };
    let (strength, seed) = (strength.parse::<f64>()?, seed.parse::<u64>()?);
    let bytes = std::fs::read(input)?;
    let (pictures, rest) = bytes.as_chunks::<PIXELS>();
    if !rest.is_empty() {
        return Err(format!("{input} has {} bytes: not a multiple of {PIXELS}", bytes.len()).into());
    }
    std::fs::create_dir_all(output)?;
    for corruption in Corruption::ALL {
        let corrupted: Vec<u8> = pictures
            .iter()
            .enumerate()
            .flat_map(|(index, picture)| corruption.apply(picture, strength, seed + index as u64))
            .collect();
        std::fs::write(Path::new(output).join(corruption.name()).with_extension("u8"), corrupted)?;
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a program for people")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
