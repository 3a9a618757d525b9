//! A ConfigMap as kubelet mounts it: the files are in a folder with a timestamp in its name, `..data` links to it, and each file
//! is a link through `..data`. A change writes a new folder, moves `..data` to it in one step, and removes the old one.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

pub(crate) struct Mount {
    folder: PathBuf,
    writes: u32,
}

impl Mount {
    /// Mounts `models.yaml` in a new folder.
    pub(crate) fn new(folder: &Path, models: &str) -> Self {
        std::fs::create_dir(folder).unwrap();
        let mut mount = Self { folder: folder.to_owned(), writes: 0 };
        mount.write(models);
        symlink("..data/models.yaml", mount.models()).unwrap();
        mount
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.folder.join("models.yaml")
    }

    /// Changes the file as kubelet's atomic writer does.
    pub(crate) fn write(&mut self, models: &str) {
        self.writes += 1;
        let data = self.folder.join("..data");
        let old = std::fs::read_link(&data).ok();
        let new = format!("..2026_11_23_12_00_00.{}", self.writes);
        std::fs::create_dir(self.folder.join(&new)).unwrap();
        std::fs::write(self.folder.join(&new).join("models.yaml"), models).unwrap();
        symlink(&new, self.folder.join("..data_tmp")).unwrap();
        std::fs::rename(self.folder.join("..data_tmp"), data).unwrap();
        if let Some(old) = old {
            std::fs::remove_dir_all(self.folder.join(old)).unwrap();
        }
    }
}
