//! Free ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

use crate::{Error, Result};

/// A port that is held until the program that is to listen there starts.
#[derive(Debug)]
pub(crate) struct Port {
    listener: TcpListener,
    number: u16,
}

impl Port {
    /// Takes the port, or any free one for `None`.
    pub(crate) fn take(port: Option<u16>) -> Result<Self> {
        let port = port.unwrap_or(0);
        let bind = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            let number = listener.local_addr()?.port();
            Ok((listener, number))
        };
        let (listener, number) = bind().map_err(|source| Error::Port { port, source })?;
        Ok(Self { listener, number })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.number)
    }

    /// Gives it up, so that a program can listen there. From now on any other program may take it.
    pub(crate) fn release(self) -> u16 {
        drop(self.listener);
        self.number
    }
}
