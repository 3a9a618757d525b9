//! A challenger that gets the same requests as the champion, on a thread of its own, and whose answers nobody waits for.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::time::Instant;

use super::challenger::Challenger;
use crate::loaded::Loaded;
use crate::tensor::Array;

/// Requests that may wait.
const MOST: usize = 64;
/// What they may take together, in bytes.
const BYTES: usize = 16 << 20;

/// A request that the champion has answered.
#[derive(Debug)]
pub(super) struct Shadowed {
    pub(super) id: Option<String>,
    pub(super) inputs: Vec<Array>,
    pub(super) rows: usize,
    /// What the champion answered.
    pub(super) champion: Vec<Array>,
}

/// The queue before the thread, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Shadow {
    waiting: mpsc::Sender<Waiting>,
    taken: Arc<Taken>,
}

/// What waits.
#[derive(Debug, Default)]
struct Taken {
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

/// A place in the queue, which is free again when this is dropped.
#[derive(Debug)]
struct Part {
    taken: Arc<Taken>,
    bytes: usize,
}

/// A request with its place.
#[derive(Debug)]
struct Waiting(Shadowed, Part);

/// A place for a request that the champion is asked now.
pub(super) struct Place {
    waiting: mpsc::Sender<Waiting>,
    part: Part,
}

impl Shadow {
    /// Starts the thread. The challenger may end before it: then it does nothing more.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start(challenger: &Arc<Challenger>, model: Arc<Loaded>) -> std::io::Result<Self> {
        let (waiting, arriving) = mpsc::channel();
        let challenger = Arc::downgrade(challenger);
        std::thread::Builder::new().name("shadow".to_owned()).spawn(move || work(&arriving, &challenger, &model))?;
        Ok(Self { waiting, taken: Arc::default() })
    }

    /// A place for a request whose inputs take so many bytes. `None` while the challenger is behind.
    pub(super) fn place(&self, bytes: usize) -> Option<Place> {
        let Taken { requests, bytes: all } = &*self.taken;
        let (before, bytes_before) =
            (requests.fetch_add(1, Ordering::Relaxed), all.fetch_add(bytes, Ordering::Relaxed));
        let part = Part { taken: Arc::clone(&self.taken), bytes };
        let fits = before < MOST && bytes_before.saturating_add(bytes) <= BYTES;
        fits.then(|| Place { waiting: self.waiting.clone(), part })
    }
}

impl Place {
    /// The challenger answers this request when it comes to it.
    pub(super) fn fill(self, request: Shadowed) {
        let Self { waiting, part } = self;
        // the thread has ended: the challenger is not declared any more
        let _ = waiting.send(Waiting(request, part));
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.taken.requests.fetch_sub(1, Ordering::Relaxed);
        self.taken.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn work(arriving: &mpsc::Receiver<Waiting>, challenger: &Weak<Challenger>, model: &Arc<Loaded>) {
    yield_to_all_others();
    tch::set_num_threads(1);
    while let Ok(Waiting(request, part)) = arriving.recv() {
        // what still waits when the trial ends is not answered: the memory is needed
        let is_tried =
            |challenger: &Arc<Challenger>| challenger.model().is_some_and(|tried| Arc::ptr_eq(&tried, model));
        let Some(challenger) = challenger.upgrade().filter(is_tried) else { return };
        let begun = Instant::now();
        // a panic of libtorch's binding must not end the thread
        let answer = std::panic::catch_unwind(AssertUnwindSafe(|| model.run(0, &request.inputs, false)));
        let took = begun.elapsed();
        let answer = answer.unwrap_or_else(|_| Err("it panicked; the log says where".to_owned()));
        challenger.shadowed(&request, answer, took);
        drop(part);
    }
}

/// The lowest priority for this thread: it computes with what the champion leaves. Linux has priorities by thread; elsewhere it keeps its own.
fn yield_to_all_others() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 19) {
        tracing::warn!(event = "priority", "a challenger runs with the priority of its champion: {error}");
    }
}
