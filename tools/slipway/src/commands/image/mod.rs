//! `slipway image`: builds OCI images from their declarations, without root and without a container engine.

mod build;
mod index;
mod kustomize;
mod layout;
mod lock;
mod pin;
mod push;
mod venv;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use slipway_image::{Cache, Platform, Sources};
use slipway_registry::Options;

use crate::cache;
use crate::context::Context;
use crate::failure::Failure;
use crate::runtime::wait;
use crate::whole_number::parse_positive_number;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  slipway image build\n  slipway image push --to ghcr.io/acme/slipway --tag 0.1.0")]
pub(crate) struct Image {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Debug, Subcommand)]
enum ImageCommand {
    /// Build images
    #[command(
        after_help = "Examples:\n  slipway image build trainer server\n  slipway image build server --to tar:server.tar"
    )]
    Build(build::Build),
    /// Push images by digest, with their SBOM and provenance
    #[command(
        after_help = "Credentials are those of config.json in the folder DOCKER_CONFIG, otherwise in ~/.docker: `docker login` or \
                            `podman login --authfile ~/.docker/config.json` writes them.\n\n\
                            Example:\n  slipway image push trainer server --to ghcr.io/acme/slipway --tag 0.1.0"
    )]
    Push(push::Push),
    /// Make one index of pushed images of several platforms, by digest
    #[command(
        after_help = "The images of one repository become one index; several repositories become several. SBOM and provenance stay with the \
                            image of each platform. Credentials are those of `slipway image push`.\n\n\
                            Examples:\n  slipway image index \"$AMD64\" \"$ARM64\" --tag 0.1.0\n  \
                            cat pushed-amd64 pushed-arm64 | xargs slipway image index > indexes"
    )]
    Index(index::Index),
    /// Write the digests of pushed images into the environments
    #[command(after_help = "Examples:\n  slipway image pin ghcr.io/acme/slipway/trainer@sha256:…\n  \
                            slipway image push --to ghcr.io/acme/slipway -o json > pushed.json\n  \
                            jq -r '.[].image' pushed.json | xargs slipway image pin\n  \
                            xargs slipway image pin --open --environment staging < indexes")]
    Pin(pin::Pin),
    /// Build images again, without cached layers, and compare their digests
    #[command(after_help = "Example:\n  slipway image verify server")]
    Verify(build::Verify),
    /// Resolve packages to the newest versions and write them to image.lock
    #[command(after_help = "Example:\n  slipway image lock    # every image, the same versions in all of them")]
    Lock(lock::Lock),
    /// Make a virtual environment of this machine with the Python packages of an image
    #[command(
        after_help = "The packages are those of the image, from the same lock and by the same rules, for this machine's Python.\n\n\
                            Example:\n  slipway image venv wine    # prints the folder; its Python is bin/python"
    )]
    Venv(venv::Venv),
    /// Show which images are declared, and for which platforms they are locked
    #[command(after_help = "Example:\n  slipway image list -o json")]
    List,
}

/// Options for what images are made from.
#[derive(Debug, Args)]
struct SourceOptions {
    /// cargo's target folder with the built programs [default: target/ in the cache]
    #[arg(long, env = "CARGO_TARGET_DIR", hide_env_values = true, value_name = "DIR")]
    target_dir: Option<PathBuf>,
    /// An unpacked libtorch 2.13.0 [default: the one in the cache]
    #[arg(long, env = "LIBTORCH", hide_env_values = true, value_name = "DIR")]
    libtorch: Option<PathBuf>,
    #[command(flatten)]
    python: PythonOption,
}

/// Options for how a registry is reached.
#[derive(Debug, Args)]
struct RegistryOptions {
    /// Connect without TLS; a registry on this machine never needs this option
    #[arg(long)]
    plain_http: bool,
    /// How many seconds the registry may be silent before an attempt is given up; there are five attempts
    #[arg(long, default_value_t = 60, value_parser = parse_positive_number)]
    timeout: u64,
}

/// The option for platforms.
#[derive(Debug, Args)]
struct PlatformOptions {
    /// Platforms to build for, such as linux/amd64,linux/arm64 [default: this machine's]; several make an index
    #[arg(long = "platform", value_delimiter = ',', value_name = "PLATFORM")]
    platforms: Vec<Platform>,
}

/// The option for the Python that downloads wheels.
#[derive(Debug, Args)]
struct PythonOption {
    /// A Python with pip [default: the one of `make setup` if it exists, otherwise python3]
    #[arg(long, env = "SLIPWAY_PYTHON", hide_env_values = true, value_name = "PROGRAM")]
    python: Option<PathBuf>,
}

impl PythonOption {
    fn path(&self) -> Result<PathBuf, Failure> {
        let of_setup = cache::folder()?.join("venv/bin/python");
        Ok(self.python.clone().unwrap_or_else(|| if of_setup.is_file() { of_setup } else { "python3".into() }))
    }
}

impl RegistryOptions {
    fn options(&self) -> Options {
        let silence = Duration::from_secs(self.timeout);
        Options { silence, plain_http: self.plain_http, ..Options::default() }
    }
}

impl SourceOptions {
    fn sources(&self) -> Result<Sources, Failure> {
        let cache = cache::folder()?;
        Ok(Sources {
            target: self.target_dir.clone().unwrap_or_else(|| cache.join("target")),
            libtorch: self.libtorch.clone().unwrap_or_else(|| cache.join("libtorch-2.13.0")),
            python: self.python.path()?,
            cache: Cache::new(cache),
        })
    }
}

impl Image {
    /// Whether what it does is about a project. The packages of any folder's image can be installed, and an index is about a registry alone.
    pub(crate) fn needs_project(&self) -> bool {
        match &self.command {
            ImageCommand::Venv(command) => command.folder.is_none(),
            ImageCommand::Index(_) => false,
            _ => true,
        }
    }

    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        match &self.command {
            ImageCommand::Build(command) => command.run(context),
            ImageCommand::Push(command) => command.run(context),
            ImageCommand::Index(command) => command.run(context),
            ImageCommand::Pin(command) => wait(command.run(context)),
            ImageCommand::Verify(command) => command.run(context),
            ImageCommand::Lock(command) => command.run(context),
            ImageCommand::Venv(command) => command.run(context),
            ImageCommand::List => lock::list(context),
        }
    }
}
