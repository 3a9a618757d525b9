//! Samples are deleted when they are old.

use crate::{Hour, Reader, Result};

impl Reader {
    /// Deletes every file whose hour is before this one, of all models; gives how many there were. Several may do it at once.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses. What was deleted until then stays deleted.
    pub async fn delete_before(&self, hour: Hour) -> Result<u64> {
        let mut old = Vec::new();
        self.each("", |file| {
            if file.hour < hour {
                old.push(file.key());
            }
        })
        .await?;
        let mut deleted = 0;
        for key in old {
            self.store().delete_own(&key).await?;
            deleted += 1;
        }
        Ok(deleted)
    }
}
