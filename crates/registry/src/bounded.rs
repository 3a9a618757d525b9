//! A file that a download must not exceed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::fs::File;
use tokio::io::AsyncWrite;

/// Writes to a file, and fails with [`io::ErrorKind::FileTooLarge`] instead of writing more than the expected size.
#[derive(Debug)]
pub(crate) struct Bounded {
    file: File,
    left: u64,
}

impl Bounded {
    pub(crate) fn new(file: File, size: u64) -> Self {
        Self { file, left: size }
    }

    pub(crate) fn into_inner(self) -> File {
        self.file
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.len() as u64 > self.left {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        let written = Pin::new(&mut self.file).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = written {
            self.left -= written as u64;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_shutdown(context)
    }
}
