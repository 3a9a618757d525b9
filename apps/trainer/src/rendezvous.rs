//! Finding the worker with rank 0, whose pod may come later than this one, and its name later still.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use crate::environment::Membership;
use crate::failure::{Failure, Result};

/// The first pause between two looks.
const FIRST: Duration = Duration::from_millis(100);
/// The longest; what a cluster's DNS once said not to exist, it repeats for some seconds.
const LONGEST: Duration = Duration::from_secs(2);
/// To connect once: an address that a pod had before may swallow every packet.
const CONNECT: Duration = Duration::from_secs(3);

/// Where the workers meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meeting {
    /// The address of rank 0.
    pub(crate) master: SocketAddr,
    /// This worker's address, as the others can reach it.
    pub(crate) own: IpAddr,
}

/// Waits until rank 0's name leads to it: for rank 0, to this machine; for the others, to somewhere that listens.
///
/// A wrong answer must not be settled for: a name that still leads to a pod that is gone, or a worker that announces its
/// loopback address, would keep all of them waiting.
pub(crate) fn find(membership: &Membership, timeout: Duration) -> Result<Meeting> {
    search(membership, timeout, |host, port| (host, port).to_socket_addrs().map(Iterator::collect))
}

fn search(
    membership: &Membership,
    timeout: Duration,
    resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>>,
) -> Result<Meeting> {
    let Membership { rank, master_host: host, master_port: port, .. } = membership;
    let end = Instant::now() + timeout;
    let mut pause = FIRST;
    let mut told = None;
    loop {
        let found = match resolve(host, *port) {
            Ok(addresses) if *rank == 0 => here(host, &addresses),
            Ok(addresses) => reachable(host, &addresses),
            Err(error) => Err(format!("{host} does not resolve: {error}")),
        };
        let reason = match found {
            Ok(meeting) => return Ok(meeting),
            Err(reason) => reason,
        };
        if Instant::now() + pause >= end {
            return Err(Failure::Peer(format!(
                "the worker with rank 0 was not found within {} s: {reason}; see whether its pod runs and what it logs",
                timeout.as_secs_f64()
            )));
        }
        if told.as_ref() != Some(&reason) {
            tracing::info!(event = "waiting_for_rank_0", reason);
            told = Some(reason);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST);
    }
}

/// For rank 0 itself: an address of this machine.
fn here(host: &str, addresses: &[SocketAddr]) -> Result<Meeting, String> {
    // only an own address can be bound
    let own = addresses.iter().find(|address| UdpSocket::bind((address.ip(), 0)).is_ok());
    own.map(|address| Meeting { master: *address, own: address.ip() })
        .ok_or_else(|| format!("{host} leads to {addresses:?}, not to this worker"))
}

/// For the others: an address where rank 0 listens, and this end of a connection to it.
fn reachable(host: &str, addresses: &[SocketAddr]) -> Result<Meeting, String> {
    let mut reason = format!("{host} has no address");
    for address in addresses {
        match TcpStream::connect_timeout(address, CONNECT).and_then(|stream| stream.local_addr()) {
            Ok(own) => return Ok(Meeting { master: *address, own: own.ip() }),
            Err(error) => reason = format!("nobody answers at {host} ({address}): {error}"),
        }
    }
    Err(reason)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::TcpListener;

    use super::*;

    const SOON: Duration = Duration::from_millis(1500);

    fn membership(rank: usize) -> Membership {
        Membership { rank, world_size: 2, master_host: "job-node-0-0.job".to_owned(), master_port: 29500 }
    }

    fn unknown() -> io::Error {
        io::Error::other("failed to lookup address information: Name or service not known")
    }

    #[test]
    fn a_name_that_comes_late_is_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let looks = Cell::new(0);
        let found = search(&membership(1), Duration::from_secs(20), |host, port| {
            assert_eq!((host, port), ("job-node-0-0.job", 29500));
            looks.set(looks.get() + 1);
            if looks.get() < 4 { Err(unknown()) } else { Ok(vec![address]) }
        });
        assert_eq!((found.unwrap(), looks.get()), (Meeting { master: address, own: address.ip() }, 4));
    }

    #[test]
    fn a_pod_that_is_gone_is_not_settled_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let new = listener.local_addr().unwrap();
        // nobody listens there any more
        let old = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let looks = Cell::new(0);
        let found = search(&membership(1), Duration::from_secs(20), |_, _| {
            looks.set(looks.get() + 1);
            Ok(vec![if looks.get() < 3 { old } else { new }])
        });
        assert_eq!(found.unwrap().master, new);
    }

    #[test]
    fn rank_0_waits_until_its_name_leads_to_itself() {
        let (old, own): (SocketAddr, SocketAddr) =
            ("192.0.2.1:29500".parse().unwrap(), "127.0.0.1:29500".parse().unwrap());
        let looks = Cell::new(0);
        let found = search(&membership(0), Duration::from_secs(20), |_, _| {
            looks.set(looks.get() + 1);
            Ok(if looks.get() < 3 { vec![old] } else { vec![old, own] })
        });
        assert_eq!(found.unwrap(), Meeting { master: own, own: own.ip() });
    }

    #[test]
    fn the_wait_ends_and_says_for_what() {
        let begun = Instant::now();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for (rank, answer, says) in [
            (1, None, "does not resolve"),
            (1, Some(vec![]), "has no address"),
            (1, Some(vec![closed]), "nobody answers"),
            (0, Some(vec!["192.0.2.1:1".parse().unwrap()]), "not to this worker"),
        ] {
            let error = search(&membership(rank), SOON, |_, _| answer.clone().ok_or_else(unknown)).unwrap_err();
            assert!(matches!(error, Failure::Peer(_)) && error.to_string().contains(says), "{error}");
        }
        assert!(begun.elapsed() < 4 * SOON + Duration::from_secs(5));
    }
}
