//! Compressed bodies and answers.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibDecoder, ZlibEncoder};

use crate::process::{Server, list, picture, read, request};
use crate::registry::Registry;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn serving() -> (Registry, Server) {
    let registry = Registry::start().await;
    let (_, digest) = registry.register("1", 1);
    let server = Server::start(&registry.address(), &list("1", &digest), &[]);
    server.ready().await;
    (registry, server)
}

#[tokio::test]
async fn bodies_are_decompressed_within_the_limit() {
    let (_registry, server) = serving().await;
    let send = |encoding: &str, body: Vec<u8>| {
        let url = format!("{}/v2/models/mnist/infer", server.address);
        let request = server.http.post(url).header("content-encoding", encoding).body(body);
        async move { request.send().await.unwrap() }
    };
    let plain = request(&picture(0, 2));
    let expected = server.post("mnist", plain.clone()).await;
    for (encoding, body) in [("gzip", gzip(&plain)), ("deflate", deflate(&plain)), ("identity", plain.clone())] {
        assert_eq!(read(send(encoding, body).await).await, expected, "{encoding}");
    }
    let bomb = gzip(&vec![b' '; 256 << 20]);
    let half = gzip(&plain)[..500].to_vec();
    for (encoding, body, status, says) in [
        ("gzip", bomb, 413, "longer than 4 MiB"),
        ("gzip", plain.clone(), 400, "cannot be read"),
        ("gzip", half, 400, "cannot be read"),
        ("deflate", gzip(&plain), 400, "cannot be read"),
    ] {
        let (found, body) = read(send(encoding, body).await).await;
        assert!(found == status && body["error"].as_str().unwrap().contains(says), "{encoding}: {found} {body}");
    }
    for encoding in ["br", "gzip, gzip", "\u{e9}"] {
        let response = send(encoding, plain.clone()).await;
        assert_eq!(response.headers()["accept-encoding"], "gzip,deflate", "{encoding}");
        let (status, body) = read(response).await;
        let error = body["error"].as_str().unwrap();
        assert!(status == 415 && error.contains("Content-Encoding") && error.contains("as gzip, as deflate"), "{body}");
    }
}

#[tokio::test]
async fn answers_are_compressed_for_clients_that_ask() {
    let (_registry, server) = serving().await;
    let ask = async |encoding: Option<&str>, images: usize| {
        let url = format!("{}/v2/models/mnist/infer", server.address);
        let mut asked = server.http.post(url).body(request(&picture(0, images)));
        if let Some(encoding) = encoding {
            asked = asked.header("accept-encoding", encoding);
        }
        let response = asked.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let encoding = response.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
        (encoding, response.bytes().await.unwrap())
    };
    let (encoding, plain) = ask(None, 64).await;
    assert!(encoding.is_none() && plain.len() > 4096);
    let (encoding, body) = ask(Some("deflate"), 64).await;
    let mut decoder = ZlibDecoder::new(Vec::new());
    decoder.write_all(&body).unwrap();
    assert_eq!((encoding.as_deref(), decoder.finish().unwrap()), (Some("deflate"), plain.to_vec()));
    assert!(body.len() < plain.len());
    assert_eq!(ask(Some("gzip"), 64).await.0.as_deref(), Some("gzip"));
    // One that fits into a packet stays as it is.
    assert_eq!(ask(Some("gzip"), 1).await.0, None);
}
