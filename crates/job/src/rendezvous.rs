//! Finds the worker with rank 0. Its pod may start later than this one, and its name may resolve later still.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use crate::environment::Membership;
use crate::{Failure, Result};

/// The first pause between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause. A cluster's DNS caches for some seconds that a name does not exist.
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// The time limit of one connection attempt: the address of a deleted pod may drop every packet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the workers meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// The address of rank 0.
    pub master: SocketAddr,
    /// This worker's address, as the others can reach it.
    pub own: IpAddr,
}

/// Waits until rank 0's name resolves: on rank 0, to an address of this machine; on the others, to an address that accepts connections.
///
/// Wrong addresses are not accepted: with a name that still resolves to a deleted pod, or a worker that announces its loopback
/// address, all workers would wait in vain.
///
/// # Errors
/// [`Failure::Peer`] when the time is up.
pub fn find(membership: &Membership, timeout: Duration) -> Result<Meeting> {
    search(membership, timeout, |host, port| (host, port).to_socket_addrs().map(Iterator::collect))
}

fn search(
    membership: &Membership,
    timeout: Duration,
    resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>>,
) -> Result<Meeting> {
    let Membership { rank, master_host: host, master_port: port, .. } = membership;
    let end = Instant::now() + timeout;
    let mut pause = FIRST_PAUSE;
    let mut logged = None;
    loop {
        let found = match resolve(host, *port) {
            Ok(addresses) if *rank == 0 => own_address(host, &addresses),
            Ok(addresses) => reachable(host, &addresses),
            Err(error) => Err(format!("{host} does not resolve: {error}")),
        };
        let reason = match found {
            Ok(meeting) => return Ok(meeting),
            Err(reason) => reason,
        };
        if Instant::now() + pause >= end {
            return Err(Failure::Peer(format!(
                "the worker with rank 0 was not found within {} s: {reason}; check whether its pod runs, and its log",
                timeout.as_secs_f64()
            )));
        }
        if logged.as_ref() != Some(&reason) {
            tracing::info!(event = "waiting_for_rank_0", reason);
            logged = Some(reason);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// On rank 0: the first address that belongs to this machine.
fn own_address(host: &str, addresses: &[SocketAddr]) -> Result<Meeting, String> {
    // only an address of this machine can be bound
    let own = addresses.iter().find(|address| UdpSocket::bind((address.ip(), 0)).is_ok());
    own.map(|address| Meeting { master: *address, own: address.ip() })
        .ok_or_else(|| format!("{host} resolves to {addresses:?}, not to this worker"))
}

/// On the others: the first address that accepts a connection, and the local address of that connection.
fn reachable(host: &str, addresses: &[SocketAddr]) -> Result<Meeting, String> {
    let mut reason = format!("{host} has no address");
    for address in addresses {
        match TcpStream::connect_timeout(address, CONNECT_TIMEOUT).and_then(|stream| stream.local_addr()) {
            Ok(own) => return Ok(Meeting { master: *address, own: own.ip() }),
            Err(error) => reason = format!("cannot connect to {host} ({address}): {error}"),
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
    fn the_address_of_a_deleted_pod_is_not_accepted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let new = listener.local_addr().unwrap();
        // nothing listens there any longer
        let old = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let looks = Cell::new(0);
        let found = search(&membership(1), Duration::from_secs(20), |_, _| {
            looks.set(looks.get() + 1);
            Ok(vec![if looks.get() < 3 { old } else { new }])
        });
        assert_eq!(found.unwrap().master, new);
    }

    #[test]
    fn rank_0_waits_until_its_name_resolves_to_itself() {
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
    fn the_timeout_says_what_was_missing() {
        let begun = Instant::now();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for (rank, answer, says) in [
            (1, None, "does not resolve"),
            (1, Some(vec![]), "has no address"),
            (1, Some(vec![closed]), "cannot connect to"),
            (0, Some(vec!["192.0.2.1:1".parse().unwrap()]), "not to this worker"),
        ] {
            let error = search(&membership(rank), SOON, |_, _| answer.clone().ok_or_else(unknown)).unwrap_err();
            assert!(matches!(error, Failure::Peer(_)) && error.to_string().contains(says), "{error}");
        }
        assert!(begun.elapsed() < 4 * SOON + Duration::from_secs(5));
    }
}
