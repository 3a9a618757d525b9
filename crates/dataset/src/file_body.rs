//! A file as the body of a request.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_sdk_s3::error::BoxError;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes that are read at once.
const BLOCK: usize = 1 << 18;

/// The bytes of a file in blocks, each of which is read into the memory that is sent. One is read while another one is sent.
#[derive(Debug)]
pub(crate) struct FileBody {
    /// Bytes that are still to be given.
    left: u64,
    /// The next block; `None` at the end and after an error.
    next: Option<JoinHandle<std::io::Result<(File, Bytes)>>>,
    /// The block that was given last. When it is sent, its memory is used again.
    given: Bytes,
}

impl FileBody {
    /// A file as large as it is now.
    pub(crate) async fn open(path: &Path) -> std::io::Result<Self> {
        let file = tokio::fs::File::open(path).await?;
        let left = file.metadata().await?.len();
        Ok(Self { left, next: block(file.into_std().await, left, BytesMut::new()), given: Bytes::new() })
    }
}

/// Reads the next block of a file of which so many bytes are left; `None` if there are none.
fn block(mut file: File, left: u64, mut memory: BytesMut) -> Option<JoinHandle<std::io::Result<(File, Bytes)>>> {
    let size = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
    if size == 0 {
        return None;
    }
    Some(spawn_blocking(move || {
        memory.resize(size, 0);
        file.read_exact(&mut memory)?;
        Ok((file, memory.freeze()))
    }))
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let read = ready!(Pin::new(next).poll(context));
        self.next = None;
        let (file, bytes) = match read {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            Err(error) => return Poll::Ready(Some(Err(error.into()))),
        };
        self.left -= bytes.len() as u64;
        let sent = std::mem::replace(&mut self.given, bytes.clone());
        self.next = block(file, self.left, sent.try_into_mut().unwrap_or_default());
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(body: &mut FileBody) -> Option<Result<Bytes, BoxError>> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
        Some(frame.map(|frame| frame.into_data().unwrap()))
    }

    #[tokio::test]
    async fn every_byte_is_given_once_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for size in [0, 1, BLOCK, 5 * BLOCK + 7] {
            let bytes: Vec<u8> = (0..size).map(|at| (at / 3 % 251) as u8).collect();
            std::fs::write(&path, &bytes).unwrap();
            for is_kept in [false, true] {
                let mut body = FileBody::open(&path).await.unwrap();
                // what is still needed is not written over
                let (mut kept, mut all) = (Vec::new(), Vec::new());
                while let Some(block) = next(&mut body).await {
                    let block = block.unwrap();
                    all.extend_from_slice(&block);
                    assert_eq!(body.size_hint().exact(), Some((size - all.len()) as u64));
                    if is_kept {
                        kept.push(block);
                    }
                }
                assert!(body.is_end_stream() && all == bytes);
                assert!(!is_kept || kept.concat() == bytes);
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_becomes_shorter_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![7; 4 * BLOCK]).unwrap();
        let mut body = FileBody::open(&path).await.unwrap();
        next(&mut body).await.unwrap().unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(BLOCK as u64 + 9).unwrap();
        // the second block may have been read before
        let mut given = BLOCK as u64;
        let error = loop {
            match next(&mut body).await.unwrap() {
                Ok(block) => given += block.len() as u64,
                Err(error) => break error,
            }
        };
        assert!(given < 4 * BLOCK as u64 && !body.is_end_stream(), "{error}");
        assert!(next(&mut body).await.is_none());
    }
}
