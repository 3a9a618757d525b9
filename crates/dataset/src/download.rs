//! Objects into files, in bounded memory.

use std::fmt;

use slipway_causes::root;

use crate::bucket::Bucket;
use crate::budget::Attempts;
use crate::cache::Part;
use crate::refusal::status;
use crate::{Error, Result};

/// What is known about an object's size before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Exactly(u64),
    AtMost(u64),
}

impl Size {
    fn limit(self) -> u64 {
        match self {
            Self::Exactly(size) | Self::AtMost(size) => size,
        }
    }

    /// Whether an object of `size` bytes can be the right one.
    fn fits(self, size: u64) -> bool {
        match self {
            Self::Exactly(exactly) => size == exactly,
            Self::AtMost(most) => size <= most,
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(size) => write!(f, "the {size} bytes"),
            Self::AtMost(size) => write!(f, "at most {size} bytes"),
        }
    }
}

/// How a download ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Downloaded {
    Whole,
    /// The object does not exist.
    Missing,
    /// The object has a size that its content cannot have, such as `10 bytes`; it was not read further.
    WrongSize(String),
}

impl Bucket {
    /// Reads an object into a file. A body that breaks off is continued where it broke off.
    pub(crate) async fn download(&self, key: &str, size: Size, part: &mut Part) -> Result<Downloaded> {
        let mut attempts = self.budget().attempts();
        loop {
            match self.continue_download(key, size, part, &mut attempts).await {
                Ok(downloaded) => return Ok(downloaded),
                Err(error) => attempts.pause(error).await?,
            }
        }
    }

    async fn continue_download(
        &self,
        key: &str,
        size: Size,
        part: &mut Part,
        attempts: &mut Attempts,
    ) -> Result<Downloaded> {
        let mut request = self.client().get_object().bucket(self.name()).key(key);
        if part.size() > 0 {
            request = request.range(format!("bytes={}-", part.size()));
        }
        let mut object = match request.send().await {
            Ok(object) => object,
            Err(error) => match status(&error) {
                Some(404) => return Ok(Downloaded::Missing),
                // Range Not Satisfiable: another object is there now
                Some(416) => {
                    part.restart().await?;
                    return Err(self.broken("the object changed while it was read"));
                }
                _ => return Err(self.error("read", self.uri(key), &error)),
            },
        };
        if object.content_range().is_none() && part.size() > 0 {
            // a store without ranges sends everything again
            part.restart().await?;
        }
        let total = object.content_length().and_then(|rest| u64::try_from(rest).ok()).map(|rest| part.size() + rest);
        if let Some(total) = total
            && !size.fits(total)
        {
            return Ok(Downloaded::WrongSize(format!("{total} bytes")));
        }
        while let Some(bytes) = object.body.next().await {
            let bytes = bytes.map_err(|error| self.broken(&root(&error)))?;
            if part.size() + bytes.len() as u64 > size.limit() {
                return Ok(Downloaded::WrongSize(format!("more than {} bytes", size.limit())));
            }
            part.append(&bytes).await?;
            attempts.progressed();
        }
        match total {
            Some(total) if part.size() < total => Err(self.broken("the answer ended early")),
            None if !size.fits(part.size()) => Err(self.broken("the answer ended early")),
            _ => Ok(Downloaded::Whole),
        }
    }

    fn broken(&self, reason: &str) -> Error {
        Error::Unreachable { endpoint: self.endpoint().to_owned(), reason: reason.to_owned() }
    }
}
