//! Images for a cluster's registry, from which its node takes everything.

use std::path::PathBuf;
use std::process::Stdio;

use super::Cluster;
use super::error::{Error, Tried as _};

impl Cluster {
    /// Puts images, OCI layouts or archives of them, into the cluster's registry, and returns their names. The node forgets
    /// older images of the same names, so that the next pod gets the new one.
    ///
    /// # Errors
    /// A file that is not an image, or a cluster that does not run.
    pub fn load(&self, images: &[PathBuf]) -> Result<Vec<String>, Error> {
        let mut loaded = Vec::new();
        for image in images {
            let names = crate::images::add_to_registry(image, &self.folder.registry())?;
            loaded.extend(names);
        }
        let ctr = [
            "ctr",
            "--address",
            "/run/containerd/containerd.sock",
            "--namespace",
            "k8s.io",
            "images",
            "remove",
            "--sync",
        ];
        let mut remove = self.inside(ctr).ok_or_else(|| Error::NotRunning(self.name.clone()))?;
        let output = remove.args(&loaded).stdin(Stdio::null()).output().tried("running ctr")?;
        if !output.status.success() {
            return Err(Error::Program {
                what: "ctr images remove".to_owned(),
                reason: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        Ok(loaded)
    }
}
