//! The folders for what is built once and used by every cluster.

use std::path::{Path, PathBuf};

/// The testbed's part of the cache folder, `${XDG_CACHE_HOME:-~/.cache}/slipway/testbed`.
///
/// ```text
/// bin/        programs, each with a file NAME.stamp: what it was built from
/// gocache/    Go's build cache
/// src/        modules that are patched before they are built
/// upstream/   manifests from the modules of the pinned upstream projects, one folder for each project
/// manifests/  NAME.crds.yaml and NAME.yaml, rendered from upstream/ and the testbed's own manifests
/// images/     one OCI image layout with every image; index.json lists them, annotated with their references
/// mirror/     bare git repositories that replace the pinned upstream repositories, HOST/OWNER/NAME.git
/// authority/  ca.crt and ca.key of the authority that signs for the hosts of mirror/; images trust it
/// clusters/   state of clusters, one folder for each name
/// log/        output of builds
/// ```
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The user's cache; `None` if neither `XDG_CACHE_HOME` nor `HOME` is set.
    #[must_use]
    pub fn locate() -> Option<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
        Some(Self::at(&cache.join("slipway/testbed")))
    }

    /// A cache in a given folder.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder of all the others.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Built programs.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// One built program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin().join(name)
    }

    /// Go's build cache.
    #[must_use]
    pub fn gocache(&self) -> PathBuf {
        self.root.join("gocache")
    }

    /// Modules that are patched before they are built.
    #[must_use]
    pub fn src(&self) -> PathBuf {
        self.root.join("src")
    }

    /// Manifests of upstream.
    #[must_use]
    pub fn upstream(&self) -> PathBuf {
        self.root.join("upstream")
    }

    /// Manifests ready to be applied.
    #[must_use]
    pub fn manifests(&self) -> PathBuf {
        self.root.join("manifests")
    }

    /// The OCI image layout.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Bare repositories of the mirror.
    #[must_use]
    pub fn mirror(&self) -> PathBuf {
        self.root.join("mirror")
    }

    /// State of clusters, one folder for each name.
    #[must_use]
    pub fn clusters(&self) -> PathBuf {
        self.root.join("clusters")
    }

    /// The authority that signs for the hosts that the mirror replaces.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.root.join("authority")
    }

    /// Output of builds.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }
}
