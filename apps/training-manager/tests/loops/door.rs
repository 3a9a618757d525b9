//! A door in front of a server: while it is shut, connections are refused, and those that were open have broken.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub(crate) struct Door {
    address: SocketAddr,
    wanted: watch::Sender<bool>,
    is_open: watch::Receiver<bool>,
    task: JoinHandle<()>,
    /// Keeps the port while nobody listens there.
    _holder: TcpSocket,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Door {
    /// An open one in front of the server at this URL.
    pub(crate) async fn before(url: &str) -> Self {
        let server: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
        let holder = socket();
        holder.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = holder.local_addr().unwrap();
        let (wanted, asked) = watch::channel(true);
        let (says, is_open) = watch::channel(false);
        let task = tokio::spawn(keep(address, server, asked, says));
        let mut door = Self { address, wanted, is_open, task, _holder: holder };
        door.settle().await;
        door
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) async fn shut(&mut self) {
        self.wanted.send_replace(false);
        self.settle().await;
    }

    pub(crate) async fn open(&mut self) {
        self.wanted.send_replace(true);
        self.settle().await;
    }

    async fn settle(&mut self) {
        let wanted = *self.wanted.borrow();
        self.is_open.wait_for(|is_open| *is_open == wanted).await.unwrap();
    }
}

/// Several of these may have the same port.
fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_reuseport(true).unwrap();
    socket
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = socket();
    socket.bind(address).unwrap();
    socket.listen(1024).unwrap()
}

async fn keep(address: SocketAddr, server: SocketAddr, mut asked: watch::Receiver<bool>, says: watch::Sender<bool>) {
    while asked.wait_for(|open| *open).await.is_ok() {
        let (listener, mut connections) = (listen(address), JoinSet::new());
        says.send_replace(true);
        loop {
            tokio::select! {
                Ok((mut inside, _)) = listener.accept() => drop(connections.spawn(async move {
                    if let Ok(mut outside) = TcpStream::connect(server).await {
                        let _ = inside.set_nodelay(true).and_then(|()| outside.set_nodelay(true));
                        let _ = copy_bidirectional(&mut inside, &mut outside).await;
                    }
                })),
                _ = asked.wait_for(|open| !open) => break,
            }
        }
        drop(listener);
        connections.shutdown().await;
        says.send_replace(false);
    }
}
