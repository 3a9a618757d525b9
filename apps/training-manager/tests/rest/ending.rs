//! The end of the service.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::manager::{LONG, Manager};

#[tokio::test]
async fn idle_connections_are_closed_and_new_ones_refused() {
    let manager = Manager::with_trials().await;
    let address = manager.address().to_owned();
    let mut idle = TcpStream::connect(&address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        assert_ne!(idle.read_buf(&mut answer).await.unwrap(), 0);
    }
    let mut silent = TcpStream::connect(&address).await.unwrap();
    manager.stop().await;
    for connection in [&mut idle, &mut silent] {
        let closed = tokio::time::timeout(LONG, connection.read(&mut [0; 8])).await.unwrap();
        assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    }
    TcpStream::connect(&address).await.unwrap_err();
}
