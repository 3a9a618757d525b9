//! The threads that run models, and the queue before them.
//!
//! A request that finds an idle worker runs at once and alone. Requests that wait while every worker is busy are taken together, as one
//! batch for one model. No request ever waits for a batch to fill. While the first in the queue has waited for long, nobody joins it: who may be
//! answered too late is told so at once. Models that are quick need neither thread nor queue: see `quick`.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::loaded::Loaded;
use crate::metrics::Metrics;
use crate::quick;
use crate::tensor::Array;

/// If the first in the queue has waited for so long, half of the time that a request has, whoever joins it may well be answered too late.
const LATE: Duration = Duration::from_secs(15);

/// Why a request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The queue is full, or takes too long.
    #[error("the server is busy: {0} requests are waiting")]
    Busy(usize),
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Ending,
    /// The model failed.
    #[error("the model failed: {0}")]
    Model(String),
}

/// The outputs of a model, as its interface says, and behind them what was wanted on request.
pub(crate) type Answer = Result<Vec<Array>, NoAnswer>;

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) model: Arc<Loaded>,
    pub(crate) inputs: Vec<Array>,
    pub(crate) rows: usize,
    /// Whether the features are wanted, and the model has any.
    pub(crate) features: bool,
    pub(crate) answer: oneshot::Sender<Answer>,
    pub(crate) since: Instant,
}

impl Request {
    /// Whether both can be one batch: the same model, and the same shapes but for the number of rows.
    fn fits(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.model, &other.model)
            && self.inputs.iter().zip(&other.inputs).all(|(a, b)| a.shape.get(1..) == b.shape.get(1..))
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Request>,
    /// Workers that wait for a request.
    idle: usize,
    closed: bool,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    capacity: usize,
    metrics: Metrics,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while the lock is held.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads. When dropped, they finish the waiting requests and end.
#[derive(Debug)]
pub struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads with a queue of at most `capacity` requests.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(count: usize, capacity: usize, metrics: Metrics) -> std::io::Result<Self> {
        // For the threads that only load and warm up.
        tch::set_num_threads(1);
        let shared = Arc::new(Shared { queue: Mutex::default(), arrived: Condvar::new(), capacity, metrics });
        let mut threads = Vec::with_capacity(count);
        for index in 0..count {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("model-{index}"));
            threads.push(thread.spawn(move || work(&shared, index))?);
        }
        Ok(Self { shared, threads })
    }

    /// The same threads, which end after their last call without anybody who waits for that. For a model that may never return.
    #[must_use]
    pub(crate) fn that_nobody_waits_for(mut self) -> Self {
        self.threads.clear();
        self
    }

    /// How many requests wait for this model if it is quick, and for the workers otherwise, if they are so many that one more would be refused.
    pub(crate) fn crowd(&self, model: &Loaded) -> Option<usize> {
        if let Some(quick) = &model.quick {
            return quick.is_crowded(self.shared.capacity);
        }
        let waiting = self.shared.queue().waiting.len();
        (waiting >= self.shared.capacity).then_some(waiting)
    }

    /// The model's answer to inputs that are as its interface says, `rows` along the first dimension. With `features`, those are the last output if the model
    /// gives them on request.
    ///
    /// # Errors
    /// [`NoAnswer`] when the queue is full or takes too long, the server is shutting down or the model fails.
    pub async fn ask(&self, model: Arc<Loaded>, inputs: Vec<Array>, rows: usize, features: bool) -> Answer {
        let features = features && model.interface.on_request.is_some();
        if model.quick.as_ref().is_some_and(|quick| quick.takes(rows)) {
            return quick::ask(model, inputs, rows, features, self.shared.capacity, &self.shared.metrics).await;
        }
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = self.shared.queue();
            let waiting = queue.waiting.len();
            if queue.closed {
                return Err(NoAnswer::Ending);
            }
            // one whose client has gone is skipped, however long it has been there
            let first = queue.waiting.iter().find(|request| !request.answer.is_closed());
            let is_late = first.is_some_and(|first| first.since.elapsed() >= LATE);
            if waiting >= self.shared.capacity || is_late {
                return Err(NoAnswer::Busy(waiting));
            }
            queue.waiting.push_back(Request { model, inputs, rows, features, answer, since: Instant::now() });
            self.shared.metrics.waiting.inc();
        }
        self.shared.arrived.notify_one();
        answered.await.unwrap_or_else(|_| Err(NoAnswer::Model("its thread has ended".to_owned())))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.arrived.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(shared: &Shared, index: usize) {
    // One core for each worker: more threads inside one call would only take cores from the other workers. OpenMP keeps this number
    // for each thread.
    tch::set_num_threads(1);
    while let Some(batch) = next(shared) {
        run(&shared.metrics, batch, &|model, inputs, features| model.run(index, inputs, features));
    }
}

/// The next batch; `None` once the queue is closed and empty.
fn next(shared: &Shared) -> Option<Vec<Request>> {
    let mut queue = shared.queue();
    loop {
        if let Some(first) = queue.waiting.pop_front() {
            let mut batch = vec![first];
            // While another worker is idle, it is about to take the waiting requests.
            if queue.idle == 0 {
                let most = batch[0].model.batch();
                let mut rows = batch[0].rows;
                let mut at = 0;
                while at < queue.waiting.len() && rows < most {
                    let other = &queue.waiting[at];
                    if rows + other.rows <= most && batch[0].fits(other) {
                        rows += other.rows;
                        batch.extend(queue.waiting.remove(at));
                    } else {
                        at += 1;
                    }
                }
            }
            shared.metrics.waiting.sub(i64::try_from(batch.len()).unwrap_or(i64::MAX));
            return Some(batch);
        }
        if queue.closed {
            return None;
        }
        queue.idle += 1;
        queue = shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        queue.idle -= 1;
    }
}

/// How a model answers inputs, with its features or without.
type Call<'a> = dyn Fn(&Loaded, &[Array], bool) -> Result<Vec<Array>, String> + 'a;

/// Runs a batch by this call of its model, and gives each request its part.
pub(crate) fn run(metrics: &Metrics, mut batch: Vec<Request>, call: &Call<'_>) {
    // A request whose client is gone needs no answer.
    batch.retain(|request| !request.answer.is_closed());
    let Some(first) = batch.first() else { return };
    let model = Arc::clone(&first.model);
    let rows: usize = batch.iter().map(|request| request.rows).sum();
    let begun = Instant::now();
    for request in &batch {
        metrics.waited.observe((begun - request.since).as_secs_f64());
    }
    metrics.batch.observe(rows as f64);
    let joined;
    let inputs: &[Array] = if let [alone] = batch.as_slice() {
        &alone.inputs
    } else {
        joined = join(&batch);
        &joined
    };
    let features = batch.iter().any(|request| request.features);
    let ready = Instant::now();
    // A panic of libtorch's binding must not take the server with it.
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| call(&model, inputs, features)));
    let took = ready.elapsed();
    metrics.inference.observe(took.as_secs_f64());
    let waited: Vec<Duration> = batch.iter().map(|request| begun - request.since).collect();
    let done = done.unwrap_or_else(|_| Err("it panicked; the log says where".to_owned()));
    match done {
        Ok(outputs) => {
            let mut answers = Vec::with_capacity(batch.len());
            if batch.len() == 1 {
                answers.push(outputs);
            } else {
                let mut from = 0;
                for request in &batch {
                    // features are for whoever wants them, although another one in the batch does
                    let count = if request.features { outputs.len() } else { model.interface.outputs.len() };
                    let part = outputs.iter().take(count).map(|output| output.of_rows(from, request.rows));
                    answers.push(part.collect());
                    from += request.rows;
                }
            }
            let apart = ready.elapsed() - took;
            model.statistics.executed(rows, waited.into_iter(), [ready - begun, took, apart]);
            for (request, answer) in batch.into_iter().zip(answers) {
                let _ = request.answer.send(Ok(answer));
            }
        }
        // One request may be at fault, such as by an index that the model does not have. The others do not fail with it.
        Err(_) if batch.len() > 1 => batch.into_iter().for_each(|request| run(metrics, vec![request], call)),
        Err(error) => {
            tracing::error!(event = "model_failed", model = model.name, version = model.version, "{error}");
            for request in batch {
                let _ = request.answer.send(Err(NoAnswer::Model(error.clone())));
            }
        }
    }
}

/// Each input of all requests as one. Requests of a batch fit together, so nothing is lost.
fn join(batch: &[Request]) -> Vec<Array> {
    let inputs = batch.first().map_or(0, |first| first.inputs.len());
    (0..inputs).filter_map(|at| Array::joined(batch.iter().filter_map(|request| request.inputs.get(at)))).collect()
}

#[cfg(test)]
#[expect(clippy::await_holding_lock, reason = "a held model is a busy worker; nothing here awaits the lock")]
mod tests {
    use super::*;
    use crate::tensor::Elements;

    fn picture(of: u32, images: usize) -> Vec<f32> {
        (0..images as u32 * 784).map(|i| ((i * 31 + of * 7) % 101) as f32 / 101.0).collect()
    }

    fn workers(count: usize, capacity: usize) -> (Arc<Workers>, Metrics) {
        let metrics = Metrics::new().unwrap();
        (Arc::new(Workers::start(count, capacity, metrics.clone()).unwrap()), metrics)
    }

    /// Pictures as the model takes them.
    fn input(of: u32, images: usize) -> Vec<Array> {
        let elements = Elements::Fp32(picture(of, images));
        vec![Array { shape: vec![images as i64, 1, 28, 28], elements }]
    }

    fn probabilities(answer: &[Array]) -> &[f32] {
        let Elements::Fp32(numbers) = &answer[0].elements else { panic!("{answer:?}") };
        numbers
    }

    type Asked = tokio::task::JoinHandle<Answer>;

    /// Asks and returns once the request waits or is being answered, as `reached` says.
    async fn ask(
        workers: &Arc<Workers>,
        model: &Arc<Loaded>,
        of: u32,
        images: usize,
        reached: impl Fn() -> bool,
    ) -> Asked {
        let (workers, model) = (Arc::clone(workers), Arc::clone(model));
        let asked = tokio::spawn(async move { workers.ask(model, input(of, images), images, false).await });
        until(reached).await;
        asked
    }

    async fn until(reached: impl Fn() -> bool) {
        let wait = async {
            while !reached() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
    }

    fn close(a: &[f32], b: &[f32]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
    }

    #[tokio::test]
    async fn a_lone_request_is_answered_as_the_bundle_does() {
        let (model, bundle) = Loaded::fresh(1, 2);
        let (workers, metrics) = workers(2, 8);
        let got = workers.ask(Arc::new(model), input(3, 2), 2, false).await.unwrap();
        assert!(close(probabilities(&got), &bundle.probabilities(&picture(3, 2), 2).unwrap()));
        assert_eq!((got[0].shape.as_slice(), got[1].shape.as_slice()), (&[2, 10][..], &[2][..]));
        assert_eq!((metrics.batch.get_sample_count(), metrics.batch.get_sample_sum()), (1, 2.0));
    }

    #[tokio::test]
    async fn what_waits_while_the_worker_is_busy_is_one_batch_and_each_gets_its_own() {
        let (model, bundle) = Loaded::fresh(1, 1);
        let (other, other_bundle) = Loaded::fresh(2, 1);
        let (model, other) = (Arc::new(model), Arc::new(other));
        let (workers, metrics) = workers(1, 64);
        let waiting = |n: i64| {
            let metrics = metrics.clone();
            move || metrics.waiting.get() == n
        };
        let held = model.hold(0);
        // Counted when the worker has taken it.
        let count = || metrics.batch.get_sample_count();
        let first = ask(&workers, &model, 0, 1, || count() == 1).await;
        let mut asked = Vec::new();
        for (at, images) in [1, 3, 1, 60, 2].into_iter().enumerate() {
            asked.push((ask(&workers, &model, at as u32, images, waiting(at as i64 + 1)).await, at, images));
        }
        let of_other = ask(&workers, &other, 9, 1, waiting(6)).await;
        drop(held);
        assert!(close(
            probabilities(&first.await.unwrap().unwrap()),
            &bundle.probabilities(&picture(0, 1), 1).unwrap()
        ));
        for (asked, at, images) in asked {
            let want = bundle.probabilities(&picture(at as u32, images), images).unwrap();
            assert!(close(probabilities(&asked.await.unwrap().unwrap()), &want), "{at}");
        }
        let want = other_bundle.probabilities(&picture(9, 1), 1).unwrap();
        assert!(close(probabilities(&of_other.await.unwrap().unwrap()), &want));
        // Alone; 1 + 3 + 1 + 2, past the 60 that would be too many; the 60; the other model.
        assert_eq!((count(), metrics.batch.get_sample_sum()), (4, 69.0));
        assert_eq!(metrics.waiting.get(), 0);
    }

    #[tokio::test]
    async fn nobody_joins_a_queue_in_which_others_have_waited_for_long() {
        let (model, _) = Loaded::fresh(1, 1);
        let model = Arc::new(model);
        let (workers, metrics) = workers(1, 8);
        let held = model.hold(0);
        let first = ask(&workers, &model, 0, 1, || metrics.batch.get_sample_count() == 1).await;
        let second = ask(&workers, &model, 1, 1, || metrics.waiting.get() == 1).await;
        // as if it had come earlier
        let long_ago = Instant::now().checked_sub(LATE).unwrap();
        workers.shared.queue().waiting[0].since = long_ago;
        assert_eq!(workers.ask(Arc::clone(&model), input(2, 1), 1, false).await, Err(NoAnswer::Busy(1)));
        // whose client has gone keeps nobody out
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        let third = ask(&workers, &model, 2, 1, || metrics.waiting.get() == 2).await;
        drop(held);
        assert!(first.await.unwrap().is_ok() && third.await.unwrap().is_ok());
        assert!(workers.ask(model, input(2, 1), 1, false).await.is_ok());
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_whose_client_has_gone_is_skipped() {
        let (model, _) = Loaded::fresh(1, 1);
        let model = Arc::new(model);
        let (workers, metrics) = workers(1, 2);
        let held = model.hold(0);
        let first = ask(&workers, &model, 0, 1, || metrics.batch.get_sample_count() == 1).await;
        let gone = ask(&workers, &model, 1, 5, || metrics.waiting.get() == 1).await;
        assert_eq!(workers.crowd(&model), None);
        let second = ask(&workers, &model, 2, 2, || metrics.waiting.get() == 2).await;
        // who asks over HTTP is told so before the request is read
        assert_eq!(workers.crowd(&model), Some(2));
        assert_eq!(workers.ask(Arc::clone(&model), input(3, 1), 1, false).await, Err(NoAnswer::Busy(2)));
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        drop(held);
        assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
        assert_eq!((metrics.batch.get_sample_count(), metrics.batch.get_sample_sum()), (2, 3.0));
    }

    #[tokio::test]
    async fn a_panic_ends_one_request_and_no_worker() {
        // A model without a copy for any worker cannot choose one.
        let (broken, _) = Loaded::fresh(1, 0);
        let (whole, _) = Loaded::fresh(1, 1);
        let (workers, _) = workers(1, 8);
        let error = workers.ask(Arc::new(broken), input(0, 1), 1, false).await.unwrap_err();
        assert!(matches!(error, NoAnswer::Model(_)), "{error}");
        assert!(workers.ask(Arc::new(whole), input(0, 1), 1, false).await.is_ok());
    }
}
