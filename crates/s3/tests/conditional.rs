//! Conditional writes through AWS's own client.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn serve(folder: &Path) -> (Client, String) {
    std::fs::create_dir_all(folder.join("bucket")).unwrap();
    let service = slipway_s3::service(folder, "key", "secret").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let http = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(http.serve_connection(TokioIo::new(socket), service.clone()).into_owned());
        }
    });
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "given"))
        .endpoint_url(format!("http://{address}"))
        .force_path_style(true);
    (Client::from_conf(config.build()), address.to_string())
}

enum If<'a> {
    Absent,
    Match(&'a str),
}

/// The new entity tag, or the status and the code of the refusal.
async fn put(client: &Client, content: impl Into<String>, condition: If<'_>) -> Result<String, (u16, String)> {
    let put = client.put_object().bucket("bucket").key("heads/k").body(ByteStream::from(content.into().into_bytes()));
    let put = match condition {
        If::Absent => put.if_none_match("*"),
        If::Match(tag) => put.if_match(tag),
    };
    match put.send().await {
        Ok(done) => Ok(done.e_tag.unwrap()),
        Err(error) => {
            let status = error.raw_response().unwrap().status().as_u16();
            Err((status, error.code().unwrap_or_default().to_owned()))
        }
    }
}

async fn get(client: &Client) -> (String, String) {
    let got = client.get_object().bucket("bucket").key("heads/k").send().await.unwrap();
    let tag = got.e_tag.clone().unwrap();
    (String::from_utf8(got.body.collect().await.unwrap().to_vec()).unwrap(), tag)
}

fn refused(status: u16, code: &str) -> Result<String, (u16, String)> {
    Err((status, code.to_owned()))
}

#[tokio::test]
async fn conditions_are_answered_as_aws_does() {
    let folder = tempfile::tempdir().unwrap();
    let (client, _) = serve(folder.path()).await;
    assert_eq!(put(&client, "x", If::Match("\"0123\"")).await, refused(404, "NoSuchKey"));
    let one = put(&client, "one", If::Absent).await.unwrap();
    assert_eq!(put(&client, "other", If::Absent).await, refused(412, "PreconditionFailed"));
    assert_eq!(get(&client).await, ("one".to_owned(), one.clone()));
    let two = put(&client, "two", If::Match(&one)).await.unwrap();
    assert_eq!(put(&client, "three", If::Match(&one)).await, refused(412, "PreconditionFailed"));
    assert_eq!(get(&client).await, ("two".to_owned(), two.clone()));
    // anything that is there
    put(&client, "three", If::Match("*")).await.unwrap();
    let unsupported = client.put_object().bucket("bucket").key("heads/k").if_none_match(&two).send().await.unwrap_err();
    assert_eq!(unsupported.raw_response().unwrap().status().as_u16(), 501);
    assert_eq!(get(&client).await.0, "three");
    // what was deleted does not exist
    client.delete_object().bucket("bucket").key("heads/k").send().await.unwrap();
    assert_eq!(put(&client, "x", If::Match(&two)).await, refused(404, "NoSuchKey"));
    put(&client, "four", If::Absent).await.unwrap();
}

#[tokio::test]
async fn parts_are_completed_under_conditions_too() {
    let folder = tempfile::tempdir().unwrap();
    let (client, _) = serve(folder.path()).await;
    let one = put(&client, "one", If::Absent).await.unwrap();
    for (tag, works) in [("\"0123\"", false), (one.as_str(), true)] {
        let begun = client.create_multipart_upload().bucket("bucket").key("heads/k").send().await.unwrap();
        let upload = begun.upload_id.unwrap();
        let part = client.upload_part().bucket("bucket").key("heads/k").upload_id(&upload).part_number(1);
        let sent = part.body(ByteStream::from_static(b"parts")).send().await.unwrap();
        let part = CompletedPart::builder().part_number(1).set_e_tag(sent.e_tag).build();
        let parts = CompletedMultipartUpload::builder().parts(part).build();
        let complete = client.complete_multipart_upload().bucket("bucket").key("heads/k").upload_id(&upload);
        let completed = complete.multipart_upload(parts).if_match(tag).send().await;
        assert_eq!(completed.is_ok(), works, "{completed:?}");
    }
    assert_eq!(get(&client).await.0, "parts");
}

/// Many who count up: each reads, adds one and writes under the condition that nothing has changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (client, _) = serve(folder.path()).await;
    let created = futures::future::join_all((0..8).map(|_| put(&client, "0", If::Absent))).await;
    assert_eq!(created.iter().filter(|created| created.is_ok()).count(), 1, "{created:?}");
    let count = async |client: Client| {
        let mut done = 0;
        while done < 10 {
            let (number, tag) = get(&client).await;
            let next = (number.parse::<u32>().unwrap() + 1).to_string();
            match put(&client, next, If::Match(&tag)).await {
                Ok(_) => done += 1,
                Err((status, _)) => assert!(matches!(status, 409 | 412), "{status}"),
            }
        }
    };
    let counting: Vec<_> = (0..6).map(|_| tokio::spawn(count(client.clone()))).collect();
    for one in counting {
        one.await.unwrap();
    }
    assert_eq!(get(&client).await.0, "60");
}

#[tokio::test]
async fn a_write_in_the_middle_of_another_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let (client, address) = serve(folder.path()).await;
    let one = put(&client, "one", If::Absent).await.unwrap();
    // an unconditional write of which half has arrived
    let presigned = client.put_object().bucket("bucket").key("heads/k").body(ByteStream::from_static(b"half"));
    let hour = aws_sdk_s3::presigning::PresigningConfig::expires_in(std::time::Duration::from_secs(3600)).unwrap();
    let presigned = presigned.presigned(hour).await.unwrap();
    let path = presigned.uri().split_once(&address).unwrap().1;
    let mut socket = TcpStream::connect(&address).await.unwrap();
    let head = format!("PUT {path} HTTP/1.1\r\nhost: {address}\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    // the server asks for the body once it reads it: by then the key is taken
    let mut answer = [0; 25];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(b"ha").await.unwrap();
    assert_eq!(put(&client, "two", If::Match(&one)).await, refused(409, "ConditionalRequestConflict"));
    assert_eq!(get(&client).await.0, "one");
    socket.write_all(b"lf").await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert_eq!(put(&client, "two", If::Match(&one)).await, refused(412, "PreconditionFailed"));
    assert_eq!(get(&client).await.0, "half");
}

/// What a process leaves that was killed after it had put new content in its place: no tag beside it.
#[tokio::test]
async fn a_tag_belongs_to_its_content_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let (client, _) = serve(folder.path()).await;
    let one = put(&client, "one", If::Absent).await.unwrap();
    let two = put(&client, "two", If::Match(&one)).await.unwrap();
    let tags: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(".internal.json"))
        .collect();
    assert_eq!(tags.len(), 1);
    std::fs::remove_file(&tags[0]).unwrap();
    assert_eq!(get(&client).await, ("two".to_owned(), two.clone()));
    assert_eq!(put(&client, "x", If::Match(&one)).await, refused(412, "PreconditionFailed"));
    put(&client, "three", If::Match(&two)).await.unwrap();
}
