//! A GitHub App: its key, its installation, and tokens that are renewed.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use wiremock::matchers::{bearer_token, body_json, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::log::Log;
use super::pull;
use crate::{Credentials, GitHub};

pub(super) static KEY: LazyLock<String> = LazyLock::new(|| {
    let der: Pkcs8V1Der = KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
    let lines: Vec<u8> = BASE64_STANDARD.encode(der.as_ref()).into_bytes();
    let lines: Vec<_> = lines.chunks(64).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
});

/// The app's name in its address.
pub(super) const SLUG: &str = "octo-trains";

/// A time as GitHub writes it, some minutes from now.
fn in_minutes(minutes: u64) -> String {
    let seconds = SystemTime::now() + Duration::from_secs(60 * minutes);
    let date = httpdate::fmt_http_date(seconds);
    // Wed, 25 Nov 2026 14:13:18 GMT
    let parts: Vec<_> = date.split(' ').collect();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|month| *month == parts[2]).unwrap() + 1;
    format!("{}-{month:02}-{}T{}Z", parts[3], parts[1], parts[4])
}

fn installation() -> Value {
    let account: Value = json!({"login": "octo", "id": 1, "node_id": "", "avatar_url": "https://x/", "gravatar_id": "", "url": "https://x/",
        "html_url": "https://x/", "followers_url": "https://x/", "following_url": "https://x/", "gists_url": "https://x/",
        "starred_url": "https://x/", "subscriptions_url": "https://x/", "organizations_url": "https://x/", "repos_url": "https://x/",
        "events_url": "https://x/", "received_events_url": "https://x/", "type": "Organization", "site_admin": false});
    json!({"id": 99, "account": account, "app_id": 12, "app_slug": SLUG, "target_id": 1, "target_type": "Organization",
        "permissions": {}, "events": []})
}

/// What a request's signature says.
fn claims(request: &Request) -> Value {
    let signed = request.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

/// An answer by a clock that is so many seconds ahead of this machine's: a refusal of a signature that is not of its time.
fn by_clock(ahead: i64, request: &Request, answer: ResponseTemplate) -> ResponseTemplate {
    let here = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let now = here.checked_add_signed(ahead).unwrap();
    let claims = claims(request);
    let [made, ends] = ["iat", "exp"].map(|name| claims[name].as_u64().unwrap());
    if made <= now + 60 && ends > now && ends <= now + 600 {
        return answer;
    }
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(now));
    let message = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
    ResponseTemplate::new(401).insert_header("date", date.as_str()).set_body_json(json!({ "message": message }))
}

/// A server on which the app is installed. It hands out `ghs_secret`, which is valid for some minutes, as often as it is asked, and lists
/// pull requests so often.
pub(super) async fn server(minutes: u64, tokens: u64, lists: u64) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/repos/octo/cat/installation"))
        .respond_with(ResponseTemplate::new(200).set_body_json(installation()))
        .expect(1)
        .mount(&server)
        .await;
    let token = json!({"token": "ghs_secret", "expires_at": in_minutes(minutes), "permissions": {}});
    Mock::given(method("POST"))
        .and(path("/app/installations/99/access_tokens"))
        .and(body_json(json!({"repositories": ["cat"]})))
        .respond_with(ResponseTemplate::new(201).set_body_json(token))
        .expect(tokens)
        .mount(&server)
        .await;
    listed(&server, lists).await;
    server
}

/// Pull requests are listed so often, for whoever has `ghs_secret`.
async fn listed(server: &MockServer, times: u64) {
    Mock::given(method("GET"))
        .and(path("/repos/octo/cat/pulls"))
        .and(bearer_token("ghs_secret"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([pull(7, "slipway/a")])))
        .expect(times)
        .mount(server)
        .await;
}

async fn ask_three_times(server: &MockServer, pem: &str) {
    let github = GitHub::new(&server.uri(), "octo", "cat", Credentials::app(12, pem).unwrap());
    for _ in 0..3 {
        // a clone shares the installation and its token
        assert_eq!(github.clone().open_for("slipway/a").await.unwrap().unwrap().number, 7);
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_for_one_repository() {
    let log = Log::start();
    let server = server(60, 1, 3).await;
    // as one line, which is how some stores of secrets hand it out
    ask_three_times(&server, &KEY.replace('\n', "\\n")).await;

    let requests = server.received_requests().await.unwrap();
    let signed = requests[0].headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    let claims = claims(&requests[0]);
    assert_eq!(claims["iss"], 12);
    // GitHub takes ten minutes at most
    assert!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap() <= 600);

    let key = KEY.lines().nth(1).unwrap();
    for secret in ["ghs_secret", key, &signed] {
        assert!(!log.text().contains(secret));
    }
}

#[tokio::test]
async fn a_token_that_is_about_to_expire_is_renewed() {
    let server = server(0, 3, 3).await;
    ask_three_times(&server, &KEY).await;
}

#[tokio::test]
async fn an_app_on_a_machine_with_a_wrong_clock_signs_by_that_of_github() {
    for ahead in [-3600, 3600] {
        let log = Log::start();
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .and(path("/repos/octo/cat/installation"))
            .respond_with(move |request: &Request| {
                by_clock(ahead, request, ResponseTemplate::new(200).set_body_json(installation()))
            })
            .mount(&server)
            .await;
        let token = json!({"token": "ghs_secret", "expires_at": in_minutes(60), "permissions": {}});
        Mock::given(method("POST"))
            .and(path("/app/installations/99/access_tokens"))
            .and(body_json(json!({"repositories": ["cat"]})))
            .respond_with(move |request: &Request| {
                by_clock(ahead, request, ResponseTemplate::new(201).set_body_json(&token))
            })
            .mount(&server)
            .await;
        listed(&server, 3).await;
        ask_three_times(&server, &KEY).await;
        // one refusal, from which the time is known: then the installation, a token, and what is asked for
        assert_eq!(server.received_requests().await.unwrap().len(), 1 + 2 + 3, "{ahead}");
        let said = if ahead > 0 { "s behind GitHub's" } else { "s ahead of GitHub's" };
        assert!(log.text().contains(said) && !log.text().contains("ghs_secret"), "{}", log.text());
    }
}

#[tokio::test]
async fn a_signature_that_is_refused_by_a_clock_like_ours_is_not_made_again() {
    let server = MockServer::start().await;
    let refusal = json!({"message": "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"});
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(401).set_body_json(refusal)).mount(&server).await;
    let github = GitHub::new(&server.uri(), "octo", "cat", Credentials::app(12, &KEY).unwrap());
    let error = github.open_for("slipway/a").await.unwrap_err().to_string();
    assert!(error.contains("clock is wrong") && !error.contains("gh auth login"), "{error}");
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[test]
fn a_key_is_never_shown() {
    let app = Credentials::app(12, &KEY).unwrap();
    let github = GitHub::new("https://api.github.com", "octo", "cat", app.clone());
    assert_eq!(format!("{app:?}"), "App(12)");
    assert_eq!(format!("{github:?}"), "GitHub(octo/cat at https://api.github.com, App(12))");
    let error = Credentials::app(12, KEY.lines().nth(1).unwrap()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(KEY.lines().nth(1).unwrap()));
}
