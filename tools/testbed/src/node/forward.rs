//! Ports of the node on the machine's loopback, for programs that run outside the node.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd as _;

/// Listens on a free port of the loopback of the network namespace `outside`, and forwards every connection to `target` inside.
pub(super) fn serve(outside: &OwnedFd, target: SocketAddr) -> io::Result<SocketAddr> {
    let outside = outside.try_clone()?;
    // a socket stays in the network in which it was created, so one thread enters that network and creates it
    let listener = thread::spawn(move || {
        move_into_link_name_space(outside.as_fd(), Some(LinkNameSpaceType::Network))?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
    });
    let listener = listener.join().map_err(|_| io::Error::other("the thread that listens outside panicked"))??;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || forward(&connection, target));
        }
    });
    Ok(address)
}

/// Copies in both directions until both sides have ended. An error counts as the end of its side.
fn forward(outer: &TcpStream, target: SocketAddr) {
    let Ok(inner) = TcpStream::connect(target) else { return };
    let _ = (outer.set_nodelay(true), inner.set_nodelay(true));
    thread::scope(|scope| {
        scope.spawn(|| copy(outer, &inner));
        copy(&inner, outer);
    });
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = (to.shutdown(Shutdown::Write), from.shutdown(Shutdown::Read));
}
