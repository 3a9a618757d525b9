//! Where the launchers of one job meet: so that programs start when every worker is there, and rank 0 knows how each of them ended.
//!
//! Rank 0 listens on the port after the one that the programs use. Every other launcher holds one connection to it, and both sides send
//! lines: `hello <job> <rank> <workers>`, answered by `met <time>` once all are there, with the time at which rank 0 began; `checkpoint <id>`
//! from rank 0, with the one that it has found (`-` for none), which may take it long; `done` from a worker whose program ended well,
//! answered by `noted`; `failed` from one whose program did not; `lost <rank>` to all others when a worker failed or its connection broke.
//! A connection that breaks without `done` is a lost worker: whatever is not known to have ended well has not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slipway_dataset::Digest;
use slipway_job::{Environment, Failure, Membership, Result, rendezvous};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;

/// What stands where no checkpoint was found.
const NONE: &str = "-";
/// The longest line, in bytes.
const LONGEST_LINE: u64 = 512;
/// How long a connection may take to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// The pause after a connection that rank 0 of an earlier attempt closed.
const PAUSE: Duration = Duration::from_millis(200);
/// How long sending a last word may take.
const LAST_WORD: Duration = Duration::from_secs(2);

/// This worker's part of the meeting. It lasts until it is dropped.
#[derive(Debug)]
pub(crate) enum Meeting {
    /// The only worker.
    Alone,
    /// Rank 0.
    Leader(Leader),
    /// Any other.
    Follower(Follower),
}

impl Meeting {
    /// Waits until all workers are there. All of them learn when rank 0 has `begun`, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`Failure::Peer`] if one is missing when the time is up.
    pub(crate) async fn hold(environment: &Environment, job: &str, begun: i64) -> Result<Self> {
        let membership = &environment.membership;
        if membership.world_size == 1 {
            return Ok(Self::Alone);
        }
        let port = membership.master_port.checked_add(1).ok_or_else(|| {
            Failure::Input(
                "PET_MASTER_PORT is 65535, and the port after it is needed too: use a smaller one".to_owned(),
            )
        })?;
        let membership = Membership { master_port: port, ..membership.clone() };
        let end = Instant::now() + environment.rendezvous_timeout;
        Ok(if membership.rank == 0 {
            Self::Leader(Leader::hold(membership, job, begun, end).await?)
        } else {
            Self::Follower(Follower::join(membership, job, end).await?)
        })
    }

    /// Another worker that has ended without having done its part, if any.
    pub(crate) fn lost(&self) -> Option<usize> {
        match self {
            Self::Alone => None,
            Self::Leader(leader) => leader.state.borrow().lost,
            Self::Follower(follower) => *follower.lost.borrow(),
        }
    }

    /// On every rank but 0: where rank 0 listens for as long as it lives, and when it began.
    pub(crate) fn rank_0(&self) -> Option<(SocketAddr, i64)> {
        match self {
            Self::Alone | Self::Leader(_) => None,
            Self::Follower(follower) => Some(follower.rank_0),
        }
    }

    /// On rank 0: tells the others which checkpoint it has found.
    pub(crate) async fn tell(&self, checkpoint: Option<Digest>) {
        if let Self::Leader(leader) = self {
            let word = checkpoint.map_or_else(|| NONE.to_owned(), |checkpoint| checkpoint.to_string());
            leader.say_all(&format!("checkpoint {word}\n")).await;
        }
    }

    /// On every rank but 0: the checkpoint that rank 0 has found. Waits for as long as rank 0 looks for one.
    ///
    /// # Errors
    /// [`Failure::Peer`] if rank 0 is lost.
    pub(crate) async fn checkpoint(&self) -> Result<Option<Digest>> {
        let Self::Follower(follower) = self else { return Ok(None) };
        let mut said = follower.checkpoint.clone();
        let said = said.wait_for(Option::is_some).await.map(|word| word.clone());
        match said.map_err(|_| lost_worker(0))?.as_deref() {
            None | Some(NONE) => Ok(None),
            Some(word) => word.parse::<Digest>().map(Some).map_err(|_| {
                Failure::Unexpected(format!("rank 0 says that it has found the checkpoint {word:?}, which is none"))
            }),
        }
    }

    /// After this worker's program ended well: on rank 0, waits until all others have; on the others, until rank 0 knows.
    ///
    /// # Errors
    /// [`Failure::Peer`] if one of them is lost.
    pub(crate) async fn conclude(&mut self) -> Result<()> {
        match self {
            Self::Alone => Ok(()),
            Self::Leader(leader) => leader.all_done().await,
            Self::Follower(follower) => follower.done().await,
        }
    }

    /// Tells the others that this worker's program failed, so that they know who was first.
    pub(crate) async fn fail(&mut self) {
        let said = async {
            match self {
                Self::Alone => {}
                Self::Leader(leader) => leader.announce(0).await,
                Self::Follower(follower) => {
                    let _ = follower.to.write_all(b"failed\n").await;
                }
            }
        };
        let _ = tokio::time::timeout(LAST_WORD, said).await;
    }
}

/// What rank 0 knows.
#[derive(Clone, Debug, Default)]
struct State {
    /// How many others have ended well.
    done: usize,
    /// The first one that has not.
    lost: Option<usize>,
}

type Writers = Arc<Mutex<BTreeMap<usize, OwnedWriteHalf>>>;

#[derive(Debug)]
pub(crate) struct Leader {
    others: usize,
    writers: Writers,
    state: watch::Sender<State>,
    /// One task that listens, and one for each of the others; dropped, they end, and so do the connections.
    listening: JoinSet<()>,
}

impl Leader {
    async fn hold(membership: Membership, job: &str, begun: i64, end: Instant) -> Result<Self> {
        let (port, workers) = (membership.master_port, membership.world_size);
        let address = find(membership, end).await?;
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Failure::Unexpected(format!(
                "cannot listen on port {port}, the one after PET_MASTER_PORT {}: {}",
                port - 1,
                reason(&error)
            ))
        })?;
        let (arrived, mut arrivals) = mpsc::channel(64);
        let job = job.to_owned();
        // It listens for as long as rank 0 lives. Whoever comes after all have met belongs to no attempt, and is not answered.
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            while let Ok((stream, from)) = listener.accept().await {
                let (job, arrived) = (job.clone(), arrived.clone());
                tokio::spawn(async move {
                    if let Some(arrival) = introduction(stream, from, &job, workers).await {
                        let _ = arrived.send(arrival).await;
                    }
                });
            }
        });
        let state = watch::Sender::new(State::default());
        let mut leader = Self { others: workers - 1, writers: Writers::default(), state, listening };
        let mut readers = BTreeMap::new();
        while readers.len() < leader.others {
            let arrival = tokio::time::timeout_at(end.into(), arrivals.recv()).await;
            let Ok(Some((rank, from, to))) = arrival else {
                let missing: Vec<_> =
                    (1..workers).filter(|rank| !readers.contains_key(rank)).map(|rank| rank.to_string()).collect();
                return Err(Failure::Peer(format!(
                    "of {workers} workers, those with these ranks did not come in time: {}; check whether their pods run, and their logs",
                    missing.join(", ")
                )));
            };
            // one that comes again lost its first connection
            leader.writers.lock().await.insert(rank, to);
            readers.insert(rank, from);
        }
        for (rank, from) in readers {
            leader.say(rank, &format!("met {begun}\n")).await;
            leader.listening.spawn(listen(rank, from, Arc::clone(&leader.writers), leader.state.clone()));
        }
        Ok(leader)
    }

    async fn say(&self, rank: usize, line: &str) {
        say(&self.writers, rank, line).await;
    }

    async fn say_all(&self, line: &str) {
        for to in self.writers.lock().await.values_mut() {
            let _ = to.write_all(line.as_bytes()).await;
        }
    }

    async fn announce(&self, lost: usize) {
        announce(&self.writers, lost).await;
    }

    async fn all_done(&mut self) -> Result<()> {
        let others = self.others;
        let mut state = self.state.subscribe();
        let found = state.wait_for(|state| state.lost.is_some() || state.done == others).await;
        match found.map(|state| state.lost) {
            Ok(None) => Ok(()),
            Ok(Some(rank)) => Err(lost_worker(rank)),
            Err(error) => Err(Failure::Unexpected(format!("the meeting of the workers: {error}"))),
        }
    }
}

fn lost_worker(rank: usize) -> Failure {
    Failure::Peer(format!(
        "the worker with rank {rank} did not end well, or was lost: its own log and exit code say why"
    ))
}

/// Notes what one worker says, until its connection ends.
async fn listen(rank: usize, mut from: BufReader<OwnedReadHalf>, writers: Writers, state: watch::Sender<State>) {
    let mut done = false;
    while let Some(line) = next_line(&mut from).await {
        if line != "done" || done {
            break;
        }
        done = true;
        // first the answer: rank 0 may be gone as soon as all are counted
        say(&writers, rank, "noted\n").await;
        state.send_modify(|state| state.done += 1);
    }
    if !done {
        state.send_modify(|state| {
            state.lost.get_or_insert(rank);
        });
        announce(&writers, rank).await;
    }
}

async fn say(writers: &Writers, rank: usize, line: &str) {
    if let Some(to) = writers.lock().await.get_mut(&rank) {
        let _ = to.write_all(line.as_bytes()).await;
    }
}

async fn announce(writers: &Writers, lost: usize) {
    for (rank, to) in writers.lock().await.iter_mut() {
        if *rank != lost {
            let _ = to.write_all(format!("lost {lost}\n").as_bytes()).await;
        }
    }
}

/// Reads who a connection is from; `None` if it is from nobody of this job.
async fn introduction(
    stream: TcpStream,
    from: SocketAddr,
    job: &str,
    workers: usize,
) -> Option<(usize, BufReader<OwnedReadHalf>, OwnedWriteHalf)> {
    keep_alive(&stream);
    let (reader, writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    // a connection that says nothing only looked whether somebody listens
    let line = tokio::time::timeout(INTRODUCTION, next_line(&mut reader)).await.ok()??;
    let rank = line.strip_prefix("hello ").and_then(|rest| {
        let (name, rest) = rest.split_once(' ')?;
        let (rank, of) = rest.split_once(' ')?;
        let rank = rank.parse().ok().filter(|rank| (1..workers).contains(rank))?;
        (name == job && of.parse() == Ok(workers)).then_some(rank)
    });
    if rank.is_none() {
        tracing::warn!(event = "stranger", "{from} is not a worker of this job: it said {line:?}");
    }
    Some((rank?, reader, writer))
}

#[derive(Debug)]
pub(crate) struct Follower {
    to: OwnedWriteHalf,
    lost: watch::Receiver<Option<usize>>,
    noted: watch::Receiver<bool>,
    /// Its address, and when it began.
    rank_0: (SocketAddr, i64),
    /// What it says that it has found; `None` as long as it looks.
    checkpoint: watch::Receiver<Option<String>>,
    /// The task that listens to rank 0; dropped, it ends, and so does the connection.
    _listening: JoinSet<()>,
}

impl Follower {
    async fn join(membership: Membership, job: &str, end: Instant) -> Result<Self> {
        let hello = format!("hello {job} {} {}\n", membership.rank, membership.world_size);
        loop {
            let address = find(membership.clone(), end).await?;
            if let Some((from, to, begun)) =
                tokio::time::timeout_at(end.into(), met(address, &hello)).await.unwrap_or_default()
            {
                let (lost, lost_there) = watch::channel(None);
                let (noted, noted_there) = watch::channel(false);
                let (found, checkpoint) = watch::channel(None);
                let mut listening = JoinSet::new();
                listening.spawn(follow(from, lost, noted, found));
                let rank_0 = (address, begun);
                return Ok(Self {
                    to,
                    lost: lost_there,
                    noted: noted_there,
                    rank_0,
                    checkpoint,
                    _listening: listening,
                });
            }
            if Instant::now() + PAUSE >= end {
                return Err(Failure::Peer(
                    "the workers did not all come in time; the log of the worker with rank 0 says which are missing"
                        .to_owned(),
                ));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn done(&mut self) -> Result<()> {
        // a broken connection shows when the answer is read
        let _ = self.to.write_all(b"done\n").await;
        match self.noted.wait_for(|noted| *noted).await {
            Ok(_) => Ok(()),
            Err(_) => Err(lost_worker(0)),
        }
    }
}

/// Introduces this worker to rank 0, which says when it began; `None` if the connection ends before all have met.
async fn met(address: SocketAddr, hello: &str) -> Option<(BufReader<OwnedReadHalf>, OwnedWriteHalf, i64)> {
    let stream = TcpStream::connect(address).await.ok()?;
    keep_alive(&stream);
    let (reader, mut writer) = stream.into_split();
    writer.write_all(hello.as_bytes()).await.ok()?;
    let mut reader = BufReader::new(reader);
    let line = next_line(&mut reader).await?;
    let begun = line.strip_prefix("met ")?.parse().ok()?;
    Some((reader, writer, begun))
}

/// Notes what rank 0 says, until its connection ends.
async fn follow(
    mut from: BufReader<OwnedReadHalf>,
    lost: watch::Sender<Option<usize>>,
    noted: watch::Sender<bool>,
    found: watch::Sender<Option<String>>,
) {
    while let Some(line) = next_line(&mut from).await {
        if line == "noted" {
            noted.send_replace(true);
        } else if let Some(checkpoint) = line.strip_prefix("checkpoint ") {
            found.send_replace(Some(checkpoint.to_owned()));
        } else if let Some(rank) = line.strip_prefix("lost ").and_then(|rank| rank.parse().ok()) {
            lost.send_modify(|lost| {
                lost.get_or_insert(rank);
            });
        }
    }
    lost.send_modify(|lost| {
        lost.get_or_insert(0);
    });
}

/// The address of rank 0, once its name leads to it and, on the others, somebody listens there.
async fn find(membership: Membership, end: Instant) -> Result<SocketAddr> {
    let timeout = end.saturating_duration_since(Instant::now());
    let found = tokio::task::spawn_blocking(move || rendezvous::find(&membership, timeout)).await;
    Ok(found.map_err(|error| Failure::Unexpected(format!("looking for the worker with rank 0: {error}")))??.master)
}

/// The next line, without its end; `None` at the end of the connection, or if it is not one of these lines.
async fn next_line(from: &mut BufReader<OwnedReadHalf>) -> Option<String> {
    let mut line = Vec::new();
    from.take(LONGEST_LINE).read_until(b'\n', &mut line).await.ok()?;
    (line.pop()? == b'\n').then(|| String::from_utf8(line).ok())?
}

/// Lets the system find out that the other machine is gone, which nothing else would tell; within a minute.
fn keep_alive(stream: &TcpStream) {
    use rustix::net::sockopt::{
        set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_nodelay,
    };

    let _ = set_socket_keepalive(stream, true)
        .and_then(|()| set_tcp_keepidle(stream, Duration::from_secs(20)))
        .and_then(|()| set_tcp_keepintvl(stream, Duration::from_secs(10)))
        .and_then(|()| set_tcp_keepcnt(stream, 4))
        .and_then(|()| set_tcp_nodelay(stream, true));
}

/// The system's message in the words that other programs use, so that whoever looks for them finds them.
fn reason(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::AddrInUse { "address already in use".to_owned() } else { error.to_string() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    fn environment(rank: usize, world_size: usize, port: u16, seconds: u64) -> Environment {
        Environment {
            membership: Membership { rank, world_size, master_host: "127.0.0.1".to_owned(), master_port: port },
            threads: 1,
            rendezvous_timeout: Duration::from_secs(seconds),
            progress_interval: Duration::from_secs(5),
            checkpoint_interval: Duration::from_secs(30),
        }
    }

    /// A port whose next one is free, too.
    fn port() -> u16 {
        loop {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if port < 65_535 && std::net::TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
                return port;
            }
        }
    }

    async fn met(workers: usize) -> Vec<Meeting> {
        let port = port();
        let joining = (0..workers)
            .map(|rank| async move { Meeting::hold(&environment(rank, workers, port, 20), "job", rank as i64).await });
        let joined: Vec<_> = joining.map(|joining| tokio::spawn(Box::pin(joining))).collect();
        let mut meetings = Vec::new();
        for joined in joined {
            meetings.push(joined.await.unwrap().unwrap());
        }
        meetings
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn all_are_done() {
        let mut meetings = met(3).await;
        let mut leader = meetings.remove(0);
        leader.tell(Some(Digest::of("checkpoint"))).await;
        let waiting = tokio::spawn(async move { leader.conclude().await });
        for mut follower in meetings {
            assert!(!waiting.is_finished());
            assert_eq!(follower.rank_0().map(|(_, begun)| begun), Some(0), "rank 0's time");
            assert_eq!(follower.checkpoint().await.unwrap(), Some(Digest::of("checkpoint")));
            follower.conclude().await.unwrap();
            // its process ends now
        }
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_failed_first_is_known_to_all() {
        for failed in 0..3 {
            let mut meetings = met(3).await;
            meetings[failed].fail().await;
            drop(meetings.remove(failed));
            for meeting in &mut meetings {
                let begun = Instant::now();
                while meeting.lost().is_none() && begun.elapsed() < Duration::from_secs(10) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                assert_eq!(meeting.lost(), Some(failed));
            }
            if failed != 0 {
                let failure = meetings[0].conclude().await.unwrap_err();
                assert!(failure.code() == 8 && failure.to_string().contains(&format!("rank {failed}")), "{failure}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_breaks_off_has_not_ended_well() {
        // a follower whose pod is gone
        let mut meetings = met(2).await;
        drop(meetings.pop());
        assert_eq!(meetings[0].conclude().await.unwrap_err().code(), 8);
        // a leader that is gone before it has heard
        let mut meetings = met(2).await;
        drop(meetings.remove(0));
        assert_eq!(meetings[0].checkpoint().await.unwrap_err().code(), 8);
        assert_eq!(meetings[0].conclude().await.unwrap_err().code(), 8);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rank_0_may_find_nothing() {
        let meetings = met(2).await;
        meetings[0].tell(None).await;
        assert_eq!(meetings[1].checkpoint().await.unwrap(), None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_worker_that_does_not_come_is_named_and_strangers_do_not_count() {
        let port = port();
        let leader = tokio::spawn(async move { Meeting::hold(&environment(0, 3, port, 3), "job", 0).await.map(drop) });
        let follower =
            tokio::spawn(async move { Meeting::hold(&environment(1, 3, port, 3), "job", 0).await.map(drop) });
        for said in
            ["hello other 2 3\n", "hello job 3 3\n", "hello job 2 4\n", "hello job 0 3\n", "GET / HTTP/1.1\r\n\r\n", ""]
        {
            let mut stream = loop {
                if let Ok(stream) = TcpStream::connect(("127.0.0.1", port + 1)).await {
                    break stream;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            stream.write_all(said.as_bytes()).await.unwrap();
        }
        let failure = leader.await.unwrap().unwrap_err();
        assert!(failure.code() == 8 && failure.to_string().contains("in time: 2;"), "{failure}");
        assert_eq!(follower.await.unwrap().unwrap_err().code(), 8);
    }
}
