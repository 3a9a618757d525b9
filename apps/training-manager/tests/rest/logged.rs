//! What is logged while something is done.

use std::io::Write;
use std::sync::{Arc, Mutex};

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Does something on a runtime of its own, and returns everything that every library logged there, as lines of JSON.
pub(crate) fn logged(work: impl Future<Output = ()> + Send + 'static) -> String {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // for all threads of this runtime alone
    let dispatch = tracing::Dispatch::new(subscriber);
    let set = move || std::mem::forget(tracing::dispatcher::set_default(&dispatch));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .on_thread_start(set)
        .build()
        .unwrap();
    runtime.block_on(async { tokio::spawn(work).await.unwrap() });
    drop(runtime);
    String::from_utf8(std::mem::take(&mut *written.0.lock().unwrap())).unwrap()
}
