//! What is not answered as it was asked is answered with what is wrong.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::manager::{Answer, LONG, Manager};

/// Sends bytes, and reads what comes until the service closes the connection.
async fn raw(manager: &Manager, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(manager.address()).await.unwrap();
    // the service may refuse before it has read everything
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut answer)).await.unwrap_or_else(|_| {
        panic!("the connection stays open: {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(80)]))
    });
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn whatever_is_wrong_is_said_as_a_problem() {
    let manager = Manager::with_trials().await;
    let long = format!("/api/v1/trials?after={}", "a".repeat(9000));
    for (method, path, status, kind, says) in [
        ("GET", "/", 404, "unknown-path", "/openapi.json"),
        ("GET", "/api/v2/trials", 404, "unknown-path", "/api/v2/trials"),
        ("GET", "/api/v1/trials/", 404, "unknown-path", "nothing is at"),
        ("GET", "/%2e%2e/etc/passwd", 404, "unknown-path", "nothing is at"),
        ("DELETE", "/api/v1/trials/digits-00000001", 405, "wrong-method", "Allow"),
        ("PROPFIND", "/api/v1/trials", 405, "wrong-method", "PROPFIND"),
        ("GET", "/api/v1/trials?limit=many", 400, "malformed-query", "limit"),
        ("GET", "/api/v1/trials?limit=-1", 400, "malformed-query", "limit"),
        ("GET", "/api/v1/trials?limit=1001", 400, "malformed-query", "from 1 to 1000"),
        ("GET", "/api/v1/trials?state=lost", 400, "malformed-query", "lost"),
        ("GET", "/api/v1/trials?stat=failed", 400, "malformed-query", "stat"),
        ("GET", "/api/v1/trials?archived=maybe", 400, "malformed-query", "archived"),
        ("GET", "/api/v1/trials?state=failed&state=failed", 400, "malformed-query", "duplicate"),
        ("GET", "/api/v1/trials?after=x", 400, "malformed-query", "next"),
        ("GET", "/api/v1/summary?x=1", 400, "malformed-query", "x"),
        ("GET", "/api/v1/trials/%ff%fe", 400, "malformed-path", "UTF-8"),
        ("GET", "/api/v1/trials/digits-00000001/workers/-1/log", 400, "malformed-path", "-1"),
        ("GET", "/api/v1/trials/digits-00000001/workers/0/log?tailLines=1000001", 400, "malformed-query", "tailLines"),
        ("GET", &long, 414, "uri-too-long", "8,192"),
    ] {
        let answer = Answer::of(manager.request(method, path)).await;
        assert_eq!(answer.problem(status), kind, "{method} {path}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(says), "{method} {path}: {answer:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_refused_with_a_reason() {
    let manager = Manager::with_trials().await;
    let many: String = (0..100).map(|index| format!("x-{index}: a\r\n")).collect();
    for (bytes, status) in [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), "400 Bad Request"),
        (b"GET / HTTP/3.0\r\n\r\n".to_vec(), "400 Bad Request"),
        (b"GET /\x01 HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(), "400 Bad Request"),
        (b"GET / HTTP/1.1\r\nhost localhost\r\n\r\n".to_vec(), "400 Bad Request"),
        (
            b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_vec(),
            "400 Bad Request",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: localhost\r\n{many}\r\n").into_bytes(),
            "431 Request Header Fields Too Large",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(40_000)).into_bytes(),
            "431 Request Header Fields Too Large",
        ),
        (
            format!("GET /{} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", "a".repeat(20_000))
                .into_bytes(),
            "414 URI Too Long",
        ),
        (b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec(), "400 Bad Request"),
        (b"GET /healthz HTTP/1.0\r\n\r\n".to_vec(), "200 OK"),
    ] {
        let answer = raw(&manager, &bytes).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}: {bytes:?}"));
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}\r\n")) || head.starts_with(&format!("HTTP/1.0 {status}\r\n")),
            "{head}: {bytes:?}"
        );
        if status != "200 OK" {
            assert!(head.contains("content-type: application/problem+json\r\n"), "{answer}");
            let problem: serde_json::Value = serde_json::from_str(body).unwrap();
            assert!(problem["detail"].as_str().unwrap().len() > 10, "{problem}");
        }
    }
}

#[tokio::test]
async fn only_this_machine_and_this_origin_may_ask() {
    let manager = Manager::with_trials().await;
    let body = json!({});
    for (header, value, kind) in [
        ("host", "evil.example", "foreign-host"),
        ("host", "manager.localhost.evil.example", "foreign-host"),
        ("origin", "https://evil.example", "foreign-origin"),
        ("origin", "null", "foreign-origin"),
        ("sec-fetch-site", "cross-site", "foreign-origin"),
    ] {
        for (method, path) in
            [("POST", "/api/v1/experiments/digits/cancel"), ("GET", "/api/v1/events"), ("GET", "/nowhere")]
        {
            let request = manager.request(method, path).bearer_auth("token").json(&body).header(header, value);
            // a client that sends its own host, too, would be refused for that
            let answer = Answer::of(request).await;
            assert_eq!(answer.problem(403), kind, "{method} {path} {header}: {value}");
        }
    }
    // a page that was answered by this very service
    let request =
        manager.request("GET", "/api/v1/trials").header("origin", &manager.url).header("sec-fetch-site", "same-origin");
    let answer = Answer::of(request).await;
    answer.fine();
    for name in ["access-control-allow-origin", "set-cookie"] {
        assert!(!answer.headers.contains_key(name), "{answer:?}");
    }
    // somebody who follows a link
    let link = manager
        .request("GET", "/openapi.json")
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "navigate");
    assert_eq!(Answer::of(link).await.status, 200);
}

#[tokio::test]
async fn what_is_sent_to_be_written_is_checked_before_anything_else() {
    let manager = Manager::with_trials().await;
    let post = |kind: &str, body: String| {
        let request = manager.request("POST", "/api/v1/experiments").bearer_auth("a-token");
        Answer::of(request.header("content-type", kind).body(body))
    };
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a", "application/jsonx", ""]
    {
        assert_eq!(post(kind, "{}".to_owned()).await.problem(415), "unsupported-content-type", "{kind}");
    }
    let json = "application/json; charset=utf-8";
    let broken = post(json, "{\n  \"name\": \"a\",\n  \"source\" 1}".to_owned()).await;
    assert_eq!(broken.problem(400), "malformed-body");
    let finding = broken.json()["findings"][0].clone();
    assert_eq!((&finding["file"], &finding["line"], &finding["column"]), (&json!("body"), &json!(3), &json!(12)));
    let deep = format!("{{\"name\": \"a\", \"source\": {}", "[".repeat(100_000));
    for (body, says) in [
        (deep.as_str(), "string"),
        (&"[".repeat(100_000), "line 1"),
        ("{\"name\": \"a\", \"name\": \"b\", \"source\": \"\"}", "duplicate field `name`"),
        ("{\"name\": \"a\", \"source\": \"\", \"draft\": 1e999}", "line 1"),
        ("{\"name\": 99999999999999999999999999, \"source\": \"\"}", "string"),
        ("{\"name\": \"\\ud800\", \"source\": \"\"}", "line 1"),
        ("{\"name\": \"a\", \"source\": \"\"} {}", "trailing"),
        ("{}", "name"),
        ("[]", "line 1"),
        ("{\"name\": \"a\", \"source\": \"b\", \"force\": true}", "force"),
        ("{\"name\": \"a\", \"source\": 1}", "string"),
        ("\u{feff}{}", "line 1"),
    ] {
        let answer = post(json, body.to_owned()).await;
        assert_eq!(answer.problem(400), "malformed-body", "{body}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(says), "{body}: {answer:?}");
    }
    let request = manager.request("POST", "/api/v1/experiments").bearer_auth("a-token").body("{}");
    let twice = request.header("content-type", json).header("content-type", "text/plain");
    assert_eq!(Answer::of(twice).await.problem(415), "unsupported-content-type");
    let large = format!("{{\"name\": \"a\", \"source\": \"{}\"}}", "a".repeat(256 << 10));
    assert_eq!(post(json, large.clone()).await.problem(413), "too-large");
    // also if its length is not announced
    let request = manager.request("POST", "/api/v1/experiments").bearer_auth("a-token").header("content-type", json);
    let pieces = futures::stream::iter([Ok::<_, std::io::Error>(large.clone()), Ok(large)]);
    assert_eq!(Answer::of(request.body(reqwest::Body::wrap_stream(pieces))).await.problem(413), "too-large");

    let name = |name: &str| post(json, json!({ "name": name, "source": "" }).to_string());
    for hostile in ["../../clusters/local/cluster", "a/b", ".git", "a.yaml", "-a", "A", "a\0", "\u{202e}a", ""] {
        let answer = name(hostile).await;
        assert_eq!(answer.problem(422), "invalid", "{hostile}");
    }
    assert_eq!(name("fine").await.problem(403), "no-writers", "nobody may write here");

    let without = |value: Option<&str>| {
        let request = manager.request("POST", "/api/v1/experiments").header("content-type", json).body("{}");
        Answer::of(match value {
            Some(value) => request.header("authorization", value),
            None => request,
        })
    };
    for value in [None, Some("Basic YTpi"), Some("Bearer"), Some("Bearer a b"), Some("Bearer a\"b")] {
        let answer = without(value).await;
        assert_eq!(answer.problem(401), "unauthorized", "{value:?}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_body() {
    let manager = Manager::with_trials().await;
    let head = "POST /api/v1/experiments HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer a\r\ncontent-type: application/json\r\n";
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\nnot a chunk");
    let answer = raw(&manager, chunked.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("malformed-body"), "{answer}");

    let mut stream = TcpStream::connect(manager.address()).await.unwrap();
    stream.write_all(format!("{head}content-length: 100\r\n\r\n{{").as_bytes()).await.unwrap();
    let begun = tokio::time::Instant::now();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("slow-body"), "{answer}");
    assert!(begun.elapsed() >= Duration::from_secs(9));
    assert_eq!(manager.get("/healthz").await.text, "ok\n");
}
