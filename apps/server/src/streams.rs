//! Where the requests of an HTTP/2 connection run.
//!
//! A task of its own for each of them costs more than a quick answer: it is handed from thread to thread, and the head of an answer, its message and its
//! trailers are then often written to the socket one by one. So the request that is alone on its connection runs in the connection's task, and all
//! of its answer is one write. The others, as clients send them that have one connection for many threads, run in tasks of their own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper::rt::Executor;

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The requests of one connection. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<Here>>);

/// The request that runs in the connection's task.
#[derive(Default)]
struct Here {
    /// Whether there is one; it is somewhere else while it is polled.
    occupied: bool,
    stream: Option<Stream>,
}

/// Drops the request that runs in the connection's task when the connection ends. It holds the connection's `Streams`, and so would never be dropped otherwise.
pub(crate) struct End(Streams);

impl Streams {
    /// What ends them with their connection.
    pub(crate) fn end(&self) -> End {
        End(self.clone())
    }

    /// Polls the connection and the request that runs in its task, until neither goes on.
    pub(crate) fn poll_with<C: Future>(&self, mut connection: Pin<&mut C>, cx: &mut Context<'_>) -> Poll<C::Output> {
        loop {
            if let Poll::Ready(done) = connection.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            // what was just answered is to be sent
            if !self.answers(cx) {
                return Poll::Pending;
            }
        }
    }

    /// Polls the request that runs here, and returns whether that was its end.
    fn answers(&self, cx: &mut Context<'_>) -> bool {
        // not locked while it is polled: it may start another task
        let Some(mut stream) = self.here().stream.take() else { return false };
        // A panic ends this request alone, as it does in a task of its own. Dropped, the request tells its client that it has no answer.
        let polled = catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll(cx)));
        let done = polled.unwrap_or(Poll::Ready(())).is_ready();
        let mut here = self.here();
        if done {
            here.occupied = false;
        } else {
            here.stream = Some(stream);
        }
        done
    }

    fn here(&self) -> MutexGuard<'_, Here> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    /// Requests are started while their connection is polled, so the one that is put here is polled right afterwards, and nobody has to be woken. Only what
    /// follows an answer to CONNECT, which no route gives, would be started elsewhere.
    fn execute(&self, stream: F) {
        let mut here = self.here();
        if here.occupied {
            drop(here);
            tokio::spawn(stream);
            return;
        }
        here.occupied = true;
        here.stream = Some(Box::pin(stream));
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let stream = self.0.here().stream.take();
        // what it drops may look here too
        drop(stream);
    }
}
