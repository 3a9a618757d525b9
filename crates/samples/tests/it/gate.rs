//! A connection that is cut: what is sent to a closed gate is lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpListener, TcpStream};

/// An address that leads to another one while it is open.
pub(crate) struct Gate {
    address: SocketAddr,
    open: Arc<AtomicBool>,
}

impl Gate {
    pub(crate) async fn closed(url: &str) -> Self {
        let to = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::<AtomicBool>::default();
        let opened = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let (opened, to) = (opened.load(Ordering::Relaxed), to.clone());
                if opened {
                    tokio::spawn(async move {
                        let mut to = TcpStream::connect(to).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                    });
                }
            }
        });
        Self { address, open }
    }

    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
