//! A thousand random schedules of crashes, ends, pauses, lost requests and answers, and an API server that is away: there are never two
//! leaders.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fastrand::Rng;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::api::{Line, Server, Weather};
use crate::lease::{Election, Leadership, Timing};

const SCHEDULES: u64 = 1000;
const CANDIDATES: usize = 3;
const STEPS: usize = 60;

/// A switch that stops a process, as a debugger or a busy machine does.
#[derive(Clone, Default)]
struct Pause(Arc<(AtomicBool, Mutex<Option<Waker>>)>);

impl Pause {
    fn is_on(&self) -> bool {
        self.0.0.load(Ordering::SeqCst)
    }

    fn set(&self, on: bool) {
        self.0.0.store(on, Ordering::SeqCst);
        if !on && let Some(waker) = self.0.1.lock().unwrap().take() {
            waker.wake();
        }
    }
}

/// A process that does nothing while it is paused.
struct Process<F> {
    pause: Pause,
    inner: Pin<Box<F>>,
}

impl<F: Future<Output = ()>> Future for Process<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.pause.is_on() {
            *self.pause.0.1.lock().unwrap() = Some(context.waker().clone());
            return Poll::Pending;
        }
        self.inner.as_mut().poll(context)
    }
}

/// A candidate with its process; `None` while it is down.
#[derive(Default)]
struct Candidate {
    up: Option<Up>,
    line: Line,
}

struct Up {
    leadership: Leadership,
    pause: Pause,
    stop: oneshot::Sender<()>,
    process: JoinHandle<()>,
    listener: JoinHandle<()>,
}

/// All processes that may lead, for whoever looks whether there are two leaders.
#[derive(Clone, Default)]
struct Leaders(Arc<Mutex<Vec<(String, Leadership, Pause)>>>);

impl Leaders {
    /// Fails if two lead at this instant. One that is paused does nothing. Returns how many lead.
    fn check(&self, seed: u64) -> usize {
        let all = self.0.lock().unwrap();
        let leaders: Vec<&str> = all
            .iter()
            .filter(|(_, leadership, pause)| leadership.is_leader() && !pause.is_on())
            .map(|(name, ..)| name.as_str())
            .collect();
        assert!(leaders.len() <= 1, "schedule {seed}: {leaders:?}");
        leaders.len()
    }
}

struct Schedule {
    seed: u64,
    random: Rng,
    server: Server,
    candidates: Vec<Candidate>,
    leaders: Leaders,
    begun: usize,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let candidates = std::iter::repeat_with(Candidate::default).take(CANDIDATES).collect();
        let (server, leaders) = <_>::default();
        Self { seed, random: Rng::with_seed(seed), server, candidates, leaders, begun: 0 }
    }

    /// Starts a process, whose clock runs a tenth too fast or too slow, and shows any time.
    fn start(&mut self, index: usize) {
        const WALLS: [fn() -> Timestamp; 3] = [Timestamp::now, || Timestamp::UNIX_EPOCH, || Timestamp::MAX];

        let speed = self.random.u32(90..=110);
        let Timing { lease, renew, retry } = Timing::default();
        let [lease, renew, retry] = [lease, renew, retry].map(|time| time * speed / 100);
        self.begun += 1;
        let name = format!("{index}-{}", self.begun);
        let election = self.server.candidate(&name, &self.candidates[index].line);
        let election = Election { wall: WALLS[self.random.usize(..WALLS.len())], ..election };
        let (leadership, stop, run) = election.with_timing(Timing { lease, renew, retry }).prepare();
        let pause = Pause::default();
        let process = tokio::spawn(Process { pause: pause.clone(), inner: Box::pin(run) });
        self.leaders.0.lock().unwrap().push((name, leadership.clone(), pause.clone()));
        // there are two at once when one begins, or renews what had expired, while another one leads
        let (leaders, seed, mut renewals) = (self.leaders.clone(), self.seed, leadership.until.clone());
        let listener = tokio::spawn(async move {
            while renewals.changed().await.is_ok() {
                leaders.check(seed);
            }
        });
        self.candidates[index].up = Some(Up { leadership, pause, stop, process, listener });
    }

    /// Ends a process without a word.
    async fn crash(&mut self, index: usize) {
        let Some(up) = self.candidates[index].up.take() else { return };
        up.process.abort();
        let ended = up.process.await;
        assert!(ended.is_ok() || ended.is_err_and(|error| error.is_cancelled()));
        // a check that failed there fails here
        up.listener.await.unwrap();
        assert!(!up.leadership.is_leader());
        self.forget(&up.leadership);
    }

    /// Ends a process that gives its Lease back, once it is not paused any more.
    async fn end(&mut self, index: usize) {
        let Some(up) = self.candidates[index].up.take() else { return };
        up.pause.set(false);
        let _ = up.stop.send(());
        up.process.await.unwrap();
        up.listener.await.unwrap();
        self.forget(&up.leadership);
    }

    fn forget(&mut self, gone: &Leadership) {
        self.leaders.0.lock().unwrap().retain(|(_, leadership, _)| !leadership.until.same_channel(&gone.until));
    }

    fn weather(&mut self) -> Weather {
        let loses = [0, 0, 10, 30, 60, 100][self.random.usize(..6)];
        let travels = [5, 5, 500, 4_000, 12_000][self.random.usize(..5)];
        Weather { travels, loses, says_so: self.random.bool(), seed: self.random.u64(..) }
    }

    /// One thing that happens.
    async fn step(&mut self) {
        let index = self.random.usize(..CANDIDATES);
        let is_up = self.candidates[index].up.is_some();
        match self.random.u32(..10) {
            0 if is_up => self.crash(index).await,
            1 if is_up => self.end(index).await,
            2 | 3 => {
                let weather = self.weather();
                self.candidates[index].line.set(weather);
            }
            4 | 5 => {
                if let Some(up) = &self.candidates[index].up {
                    up.pause.set(!up.pause.is_on());
                }
            }
            6 => self.server.refuse([503, 429, 403][self.random.usize(..3)]),
            7 => self.server.refuse(200),
            _ if !is_up => self.start(index),
            _ => {}
        }
        self.leaders.check(self.seed);
        sleep(Duration::from_millis(self.random.u64(..8_000))).await;
        self.leaders.check(self.seed);
    }

    /// Everything works again: soon there is one leader, and it stays.
    async fn recover(&mut self) {
        self.server.refuse(200);
        for index in 0..CANDIDATES {
            self.candidates[index].line.mend();
            match &self.candidates[index].up {
                Some(up) => up.pause.set(false),
                None => self.start(index),
            }
        }
        self.leaders.check(self.seed);
        // what is on its way arrives, and a Lease expires
        sleep(Duration::from_secs(50)).await;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(40) {
            assert_eq!(self.leaders.check(self.seed), 1, "schedule {}", self.seed);
            sleep(Duration::from_secs(1)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn there_are_never_two_leaders_and_soon_one_again() {
    for seed in 0..SCHEDULES {
        let mut schedule = Schedule::new(seed);
        (0..CANDIDATES).for_each(|index| schedule.start(index));
        for _ in 0..STEPS {
            schedule.step().await;
        }
        schedule.recover().await;
        for index in 0..CANDIDATES {
            schedule.end(index).await;
        }
    }
}
