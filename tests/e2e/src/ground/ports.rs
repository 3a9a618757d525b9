//! Ports to listen on.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context as _, Result};

/// The preferred port of an address of this machine, unless something answers there; then any that is free.
pub(super) fn free_port(address: Ipv4Addr, preferred: u16) -> Result<u16> {
    // not by listening there, which takes root below 1024
    if TcpStream::connect((address, preferred)).is_err() {
        return Ok(preferred);
    }
    let listener = TcpListener::bind((address, 0)).with_context(|| format!("listening at {address}"))?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_replaced_by_another() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_ne!(free_port(Ipv4Addr::LOCALHOST, port).unwrap(), port);
        drop(taken);
        assert_eq!(free_port(Ipv4Addr::LOCALHOST, port).unwrap(), port);
    }
}
