//! `slipway dataset`: stores a declared dataset and pins its digest, builds one by its pipeline, verifies a stored one.

use std::path::Path;

use clap::{Args, Subcommand};
use serde::Serialize;
use slipway_dataset::{Digest, Manifest, Splits, Store};
use slipway_source::{Finding, position_of};

use crate::clean;
use crate::context::Context;
use crate::dataset::{add, read};
use crate::failure::Failure;
use crate::named::in_project;
use crate::pipeline;
use crate::services;
use crate::whole_number::parse_number;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slipway dataset add datasets/mnist-10k.yaml\n  slipway dataset verify datasets/mnist-10k.yaml"
)]
pub(crate) struct Dataset {
    #[command(subcommand)]
    command: DatasetCommand,
}

#[derive(Debug, Subcommand)]
enum DatasetCommand {
    /// Read a declared dataset from its source, store it by content, and pin its digest and those of its files in the declaration
    #[command(after_help = "Example:\n  slipway dataset add datasets/mnist-10k.yaml")]
    Add {
        /// The dataset's name, or its declaration
        dataset: String,
        /// Replace pinned digests: experiments then train on other data
        #[arg(long)]
        repin: bool,
    },
    /// Run the declared pipeline: read what is new, validate, split, publish, and move the dataset's head
    #[command(
        after_help = "What does not fit is set aside with its name and the reason. A run reads only what no earlier one has read, and whoever runs it \
                      gets the same bytes. The digest that trains is the one in the declaration: --pin writes the new one.\n\n\
                      Examples:\n  slipway dataset build digits\n  slipway dataset build digits --plan\n  slipway dataset build digits --pin"
    )]
    Build {
        /// The dataset's name, or its declaration
        dataset: String,
        /// Say what would be read, and change nothing
        #[arg(long, conflicts_with = "pin")]
        plan: bool,
        /// Write the digest into the declaration
        #[arg(long)]
        pin: bool,
    },
    /// Say what the store keeps of earlier builds that nothing needs any more, and remove it with --delete
    #[command(
        after_help = "Every manifest stays with its blobs, so every digest that is pinned anywhere can be trained on. Also stays what a head names, the reports \
                      of what a declaration pins, and what the next build of a declaration would not read again. Let no build run meanwhile.\n\n\
                      Examples:\n  slipway dataset clean\n  slipway dataset clean --older-than 30 --delete"
    )]
    Clean {
        /// Keep what was written in so many days: a build that runs names what it has stored last
        #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = parse_number)]
        older_than: u64,
        /// Remove it for ever
        #[arg(long)]
        delete: bool,
    },
    /// Read every byte of a pinned dataset from the store and check it against its digest
    #[command(after_help = "Example:\n  slipway dataset verify datasets/mnist-10k.yaml")]
    Verify {
        /// The dataset's name, or its declaration
        dataset: String,
    },
}

#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    digest: String,
    store: String,
    train: usize,
    validation: usize,
    test: usize,
}

impl Dataset {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        match &self.command {
            DatasetCommand::Add { dataset, repin } => {
                let file = declaration(context, dataset)?;
                // a mistake in the file comes before a store that is away
                read(context, &file)?;
                let store = services::datasets(context).await?;
                let added = add(context, &store, &file, *repin).await?;
                let pinned = added.pin(context)?;
                context.say(format!(
                    "stored {} in {} as {}{}",
                    added.name,
                    store.place(),
                    added.digest,
                    if pinned { format!(", pinned in {file}") } else { String::new() }
                ));
                report(context, &added.name, added.digest, &added.manifest, &store)
            }
            DatasetCommand::Build { dataset, plan, pin } => {
                let file = declaration(context, dataset)?;
                if *plan { pipeline::plan(context, &file).await } else { pipeline::build(context, &file, *pin).await }
            }
            DatasetCommand::Clean { older_than, delete } => clean::run(context, *older_than, *delete).await,
            DatasetCommand::Verify { dataset } => {
                let file = declaration(context, dataset)?;
                let (text, declaration) = read(context, &file)?;
                let Some(digest) = &declaration.spec.digest else {
                    let message = format!("{} has no digest yet", declaration.name);
                    let help = match declaration.spec.pipeline {
                        Some(_) => format!("`slipway dataset build {} --pin` builds it and pins it", declaration.name),
                        None => format!("`slipway dataset add {file}` stores it and pins it"),
                    };
                    return Err(Failure::Invalid(vec![
                        Finding::at(&file, position_of(&text, "spec"), "unpinned-dataset", message).with_help(help),
                    ]));
                };
                let digest: Digest = digest.parse().map_err(slipway_dataset::Error::from)?;
                let store = services::datasets(context).await?;
                let manifest = store.verify(&digest).await?;
                let (name, place) = (&declaration.name, store.place());
                context.say(format!("{name} is complete in {place}: every byte is as its digest says"));
                report(context, name, digest, &manifest, &store)
            }
        }
    }
}

/// The path of a declaration that is given by its path, or by the dataset's name.
fn declaration(context: &Context, given: &str) -> Result<String, Failure> {
    let is_name = !given.contains('/') && !given.ends_with(".yaml");
    let path = if is_name { format!("datasets/{given}.yaml") } else { given.to_owned() };
    in_project(context, Path::new(&path))
}

fn report(context: &Context, name: &str, digest: Digest, manifest: &Manifest, store: &Store) -> Result<(), Failure> {
    let Splits { train, validation, test } = manifest.counts();
    context.json(&Report { name, digest: digest.to_string(), store: store.place(), train, validation, test })
}
