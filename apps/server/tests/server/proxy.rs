//! Stands in for kube-proxy in front of a Service: each new connection goes to one of the current endpoints and stays there,
//! whatever happens to the endpoints later.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};

#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    endpoints: Arc<Mutex<Vec<SocketAddr>>>,
    /// Connections by endpoint.
    connections: Arc<Mutex<BTreeMap<SocketAddr, usize>>>,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = Self { address, endpoints: Arc::default(), connections: Arc::default() };
        let this = proxy.clone();
        tokio::spawn(async move {
            let turn = AtomicUsize::new(0);
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let Some(endpoint) = this.next(turn.fetch_add(1, Ordering::Relaxed)) else { continue };
                tokio::spawn(carry(client, endpoint));
            }
        });
        proxy
    }

    fn next(&self, turn: usize) -> Option<SocketAddr> {
        let endpoints = self.endpoints.lock().unwrap();
        let endpoint = *endpoints.get(turn % endpoints.len().max(1))?;
        *self.connections.lock().unwrap().entry(endpoint).or_default() += 1;
        Some(endpoint)
    }

    pub(crate) fn add(&self, endpoint: SocketAddr) {
        self.endpoints.lock().unwrap().push(endpoint);
    }

    pub(crate) fn remove(&self, endpoint: SocketAddr) {
        self.endpoints.lock().unwrap().retain(|other| *other != endpoint);
    }

    /// The number of connections that went to an endpoint.
    pub(crate) fn connections(&self, endpoint: SocketAddr) -> usize {
        self.connections.lock().unwrap().get(&endpoint).copied().unwrap_or_default()
    }
}

/// Copies a connection's bytes in both directions. If the endpoint refuses, the connection ends.
async fn carry(mut client: TcpStream, endpoint: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(endpoint).await {
        let _ = server.set_nodelay(true);
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}
