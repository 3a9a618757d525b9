//! Every source of credentials, in the order in which AWS's own tools look, and the region.

use std::path::Path;

use axum::http::Method;
use axum::response::Response;
use tempfile::TempDir;

use crate::child::run;
use crate::stub::{Seen, Stub, answer};

const LATER: &str = "2099-01-01T00:00:00Z";

/// A store that has everything.
async fn s3() -> Stub {
    Stub::start(|_| answer(200, "")).await
}

/// Asks the store once, with a home folder that holds `files`.
async fn ask(s3: &Stub, files: &[(&str, &str)], environment: &[(&str, &str)]) -> Vec<Seen> {
    let home = home(files);
    let asked = [("HOME", home.path().to_str().unwrap()), ("AWS_ENDPOINT_URL_S3", &s3.url)];
    let outcome = run("contains 1", &[&asked, environment].concat()).await;
    assert_eq!(outcome.text, "ok: true");
    s3.seen()
}

fn home(files: &[(&str, &str)]) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    home
}

/// As the services on a machine's link give them.
fn json(key: &str, expiration: &str) -> Response {
    answer(
        200,
        format!(
            r#"{{"Code": "Success", "AccessKeyId": "{key}", "SecretAccessKey": "secret", "Token": "token-of-{key}",
                 "Expiration": "{expiration}"}}"#
        ),
    )
}

/// As STS gives them.
fn xml(key: &str, expiration: &str) -> Response {
    answer(
        200,
        format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>\
             <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/trainer/x</Arn><AssumedRoleId>A:x</AssumedRoleId></AssumedRoleUser>\
             <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
             <SessionToken>token-of-{key}</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        ),
    )
}

fn assert_signed(request: &Seen, key: &str) {
    assert_eq!(request.signer().0, key);
    assert_eq!(request.header("x-amz-security-token"), format!("token-of-{key}"));
}

/// The environment of a pod whose service account has a role, and STS beside it.
fn web_identity<'a>(token: &'a Path, sts: &'a Stub) -> [(&'a str, &'a str); 3] {
    [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/trainer"),
        ("AWS_ENDPOINT_URL_STS", &sts.url),
    ]
}

#[tokio::test]
async fn from_the_environment() {
    let s3 = s3().await;
    let keys =
        [("AWS_ACCESS_KEY_ID", "env"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_SESSION_TOKEN", "token-of-env")];
    let profile = [(".aws/credentials", "[default]\naws_access_key_id = other\naws_secret_access_key = secret\n")];
    assert_signed(&ask(&s3, &profile, &keys).await[0], "env");
}

#[tokio::test]
async fn from_a_profile_with_its_endpoint_and_region() {
    let s3 = s3().await;
    let config = format!("[profile team]\nregion = eu-north-1\nendpoint_url = {}\n", s3.url);
    let keys = "[team]\naws_access_key_id = team\naws_secret_access_key = secret\naws_session_token = token-of-team\n";
    let home = home(&[(".aws/config", &config), (".aws/credentials", keys)]);
    let environment = [("HOME", home.path().to_str().unwrap()), ("AWS_PROFILE", "team")];
    assert_eq!(run("contains 1", &environment).await.text, "ok: true");
    let seen = s3.seen();
    assert_signed(&seen[0], "team");
    assert_eq!(seen[0].signer().1, "eu-north-1");
    assert!(seen[0].uri.path().starts_with("/datasets/"), "path style at an endpoint: {}", seen[0].uri);
}

#[tokio::test]
async fn from_a_single_sign_on() {
    let portal = Stub::start(|request| {
        assert!(request.is(Method::GET, "/federation/credentials"), "{request:?}");
        assert_eq!(request.header("x-amz-sso_bearer_token"), "signed-in");
        let expiration = 4_070_908_800_000_u64;
        answer(
            200,
            format!(
                r#"{{"roleCredentials": {{"accessKeyId": "sso", "secretAccessKey": "secret", "sessionToken": "token-of-sso",
                     "expiration": {expiration}}}}}"#
            ),
        )
    })
    .await;
    let config = "[default]\nsso_session = dev\nsso_account_id = 123456789012\nsso_role_name = data\nregion = eu-west-1\n\
                  [sso-session dev]\nsso_region = eu-west-1\nsso_start_url = https://sign-in.example/start\n";
    let token = format!(
        r#"{{"accessToken": "signed-in", "expiresAt": "{LATER}", "region": "eu-west-1", "startUrl": "https://sign-in.example/start"}}"#
    );
    // SHA-1 of `dev`
    let cached = ".aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json";
    let s3 = s3().await;
    let seen = ask(
        &s3,
        &[(".aws/config", config), (cached, &token)],
        &[("AWS_ENDPOINT_URL_SSO", &portal.url), ("AWS_EC2_METADATA_DISABLED", "true")],
    )
    .await;
    assert_signed(&seen[0], "sso");
}

#[tokio::test]
async fn from_a_web_identity() {
    let sts = Stub::start(|request| {
        let body = String::from_utf8_lossy(&request.body);
        assert!(body.contains("Action=AssumeRoleWithWebIdentity") && body.contains("WebIdentityToken=jwt"), "{body}");
        xml("web", LATER)
    })
    .await;
    let home = home(&[("token", "jwt")]);
    let s3 = s3().await;
    let seen = ask(&s3, &[], &web_identity(&home.path().join("token"), &sts)).await;
    assert_signed(&seen[0], "web");
}

#[tokio::test]
async fn from_pod_identity() {
    let agent = Stub::start(|request| {
        assert!(request.is(Method::GET, "/v1/credentials"), "{request:?}");
        assert_eq!(request.header("authorization"), "pod-token");
        json("pod", LATER)
    })
    .await;
    let home = home(&[("token", "pod-token")]);
    let (url, token) = (format!("{}/v1/credentials", agent.url), home.path().join("token"));
    let environment = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap()),
    ];
    let s3 = s3().await;
    assert_signed(&ask(&s3, &[], &environment).await[0], "pod");
}

#[tokio::test]
async fn from_instance_metadata() {
    let metadata = Stub::start(|request| match (request.method.as_str(), request.uri.path()) {
        ("PUT", "/latest/api/token") => {
            let mut token = answer(200, "metadata-token");
            token.headers_mut().insert("x-aws-ec2-metadata-token-ttl-seconds", "21600".parse().unwrap());
            token
        }
        (_, path) => {
            assert_eq!(request.header("x-aws-ec2-metadata-token"), "metadata-token");
            match path {
                "/latest/meta-data/iam/security-credentials/" => answer(200, "trainer"),
                "/latest/meta-data/iam/security-credentials/trainer" => json("instance", LATER),
                "/latest/meta-data/placement/region" => answer(200, "ap-south-1"),
                _ => answer(404, ""),
            }
        }
    })
    .await;
    let s3 = s3().await;
    let seen = ask(&s3, &[], &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url)]).await;
    assert_signed(&seen[0], "instance");
    assert_eq!(seen[0].signer().1, "us-east-1", "the store that the environment names is nobody's region");
    // without an endpoint in the environment it is AWS, most likely, and the instance is near its data
    let config = format!("[default]\nendpoint_url = {}\n", s3.url);
    let home = home(&[(".aws/config", &config)]);
    let environment =
        [("HOME", home.path().to_str().unwrap()), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url.as_str())];
    assert_eq!(run("contains 1", &environment).await.text, "ok: true");
    assert_eq!(s3.seen()[1].signer(), ("instance", "ap-south-1"));
}

#[tokio::test]
async fn the_region_is_the_first_that_is_named() {
    let keys = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let profile = [(".aws/config", "[default]\nregion = eu-west-3\n")];
    let (first, second) = (("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "eu-west-2"));
    for (expected, named) in [
        ("eu-west-1", vec![first, second]),
        ("eu-west-2", vec![second]),
        ("eu-west-2", vec![("AWS_REGION", ""), second]),
        ("eu-west-3", vec![]),
    ] {
        let s3 = s3().await;
        let seen = ask(&s3, &profile, &[&keys[..], &named].concat()).await;
        assert_eq!(seen[0].signer().1, expected, "{named:?}");
    }
}

#[tokio::test]
async fn credentials_that_expire_are_renewed() {
    // about to expire: each is good for one request
    let sts = Stub::start(|request| xml(&format!("key-{}", request.before), "2001-01-01T00:00:00Z")).await;
    let (s3, home) = (s3().await, home(&[("token", "jwt")]));
    let asked = [("HOME", home.path().to_str().unwrap()), ("AWS_ENDPOINT_URL_S3", &s3.url)];
    let token = home.path().join("token");
    let outcome = run("contains 3", &[&asked[..], &web_identity(&token, &sts)].concat()).await;
    assert_eq!(outcome.text, "ok: true");
    for (n, request) in s3.seen().iter().enumerate() {
        assert_signed(request, &format!("key-{n}"));
    }
    assert_eq!(s3.seen().len(), 3);
}

#[tokio::test]
async fn without_credentials_every_source_is_named_soon() {
    let s3 = s3().await;
    for metadata in [("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9")]
    {
        let home = home(&[]);
        let environment = [("HOME", home.path().to_str().unwrap()), ("AWS_ENDPOINT_URL_S3", &s3.url), metadata];
        let outcome = run("contains 1", &environment).await;
        assert!(outcome.text.starts_with("error: unavailable=false the object store is not configured"), "{outcome:?}");
        for source in
            ["AWS_PROFILE", "Environment", "Profile", "WebIdentityToken", "EcsContainer", "Ec2InstanceMetadata"]
        {
            assert!(outcome.text.contains(source), "{source}: {outcome:?}");
        }
        assert!(outcome.time.as_secs() < 8, "{outcome:?}");
    }
    assert!(s3.seen().is_empty());
}

#[tokio::test]
async fn half_a_pair_of_keys_is_a_mistake() {
    for (set, missing) in
        [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")]
    {
        let outcome = run("contains 1", &[(set, "key"), (missing, "")]).await;
        assert!(outcome.text.contains(&format!("{missing} is not set, but {set} is")), "{outcome:?}");
        assert!(outcome.text.starts_with("error: unavailable=false"), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_source_that_fails_is_named_and_may_recover() {
    let sts = Stub::start(|_| answer(503, "")).await;
    let (s3, home) = (s3().await, home(&[("token", "jwt")]));
    let asked = [("HOME", home.path().to_str().unwrap()), ("AWS_ENDPOINT_URL_S3", &s3.url)];
    let token = home.path().join("token");
    let outcome = run("contains 1", &[&asked[..], &web_identity(&token, &sts)].concat()).await;
    assert!(outcome.text.starts_with("error: unavailable=true cannot get credentials"), "{outcome:?}");
    assert!(outcome.time.as_secs() < 30, "{outcome:?}");
}
