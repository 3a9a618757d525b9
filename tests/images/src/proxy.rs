//! A TCP proxy that cuts connections after a fixed number of bytes, like a bad network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A running proxy, which ends with the runtime.
pub struct Proxy {
    /// The address that it listens on.
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// Bytes that may still pass, in both directions together, before the connection of the next byte is cut.
    left: AtomicI64,
    /// How many cuts are left; then everything passes.
    cuts: AtomicUsize,
    done: AtomicUsize,
    every: i64,
}

impl Proxy {
    /// Forwards to `target`, and cuts the connection whenever `every` bytes have passed, `cuts` times in all.
    pub async fn start(target: String, every: u64, cuts: usize) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let every = i64::try_from(every)?;
        let state = Arc::new(State {
            left: AtomicI64::new(every),
            cuts: AtomicUsize::new(cuts),
            done: AtomicUsize::new(0),
            every,
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (state, target) = (Arc::clone(&shared), target.clone());
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(target).await {
                        pass(client, server, &state).await;
                    }
                });
            }
        });
        Ok(Self { address, state })
    }

    /// How many connections were cut.
    pub fn cut(&self) -> usize {
        self.state.done.load(Ordering::SeqCst)
    }
}

/// Copies in both directions until one side ends or the connection is cut.
async fn pass(client: TcpStream, server: TcpStream, state: &State) {
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    tokio::select! {
        () = copy(client_read, server_write, state) => {}
        () = copy(server_read, client_write, state) => {}
    }
}

async fn copy(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, state: &State) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let left = state.left.fetch_sub(i64::try_from(read).unwrap_or(i64::MAX), Ordering::SeqCst);
        if left <= 0 && state.cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |cuts| cuts.checked_sub(1)).is_ok()
        {
            state.left.store(state.every, Ordering::SeqCst);
            state.done.fetch_add(1, Ordering::SeqCst);
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
