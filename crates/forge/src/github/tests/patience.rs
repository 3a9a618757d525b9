//! What is asked again, and when. No test sleeps: the clock is a list of what would have been slept.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use octocrab::map_github_error;

use super::log::Log;
use crate::Error;
use crate::github::patience::{Repeat, persist_by};
use crate::github::refusal::explain;

const OK: (u16, &[(&str, &str)], &str) = (200, &[], "{}");
const API: &str = "https://api.github.com";

/// What GitHub answers: status, headers and body.
type Answer<'a> = (u16, &'a [(&'a str, &'a str)], &'a str);

/// Asks until something is final. Gives the seconds that were waited, how often it asked, and the error if it gave up.
async fn ask(repeat: Repeat, answers: &[Answer<'_>]) -> (Vec<u64>, usize, Option<Error>) {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let sleep = {
        let waits = Arc::clone(&waits);
        move |wait: Duration| {
            waits.lock().unwrap().push(wait.as_secs());
            std::future::ready(())
        }
    };
    let asked = Mutex::new(0);
    let request = || async {
        let n = {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            *asked - 1
        };
        // the last answer is given again and again
        let (status, headers, body) = answers[n.min(answers.len() - 1)];
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes())).map_err(|never: Infallible| match never {});
        map_github_error(answer.body(body.boxed()).unwrap()).await
    };
    let done = persist_by(sleep, repeat, request).await;
    let error = done.err().map(|error| explain(API, &error));
    let asked = *asked.lock().unwrap();
    let waits = waits.lock().unwrap().clone();
    (waits, asked, error)
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn a_secondary_rate_limit_is_waited_for_as_long_as_it_says() {
    for status in [403, 429] {
        let limited: Answer =
            (status, &[("retry-after", "42")], r#"{"message": "You have exceeded a secondary rate limit"}"#);
        let log = Log::start();
        let (waits, asked, error) = ask(Repeat::MakesAnother, &[limited, OK]).await;
        assert_eq!((waits, asked, error.is_none()), (vec![42], 2, true));
        assert!(log.text().contains("WARN") && log.text().contains("GitHub's rate limit is exhausted; waiting 42 s"));
    }
}

#[tokio::test]
async fn a_primary_rate_limit_is_waited_for_until_it_resets() {
    // by GitHub's clock, which is years behind this one
    let headers = [
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1577836920"),
        ("date", "Wed, 01 Jan 2020 00:00:00 GMT"),
    ];
    let limited: Answer = (403, &headers, r#"{"message": "API rate limit exceeded for user ID 1."}"#);
    assert_eq!(ask(Repeat::MakesAnother, &[limited, OK]).await.0, [121]);
    // without a date by this machine's
    let reset = (now() + 60).to_string();
    let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset.as_str())];
    let waits = ask(Repeat::Harmless, &[(429, &headers, "{}"), OK]).await.0;
    assert!(matches!(waits[..], [59..=61]), "{waits:?}");
    // one that has reset already
    let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")];
    assert_eq!(ask(Repeat::Harmless, &[(403, &headers, "{}"), OK]).await.0, [1]);
}

#[tokio::test]
async fn a_limit_without_a_time_is_waited_for_longer_each_time() {
    let limited: Answer = (403, &[], r#"{"message": "You have exceeded a secondary rate limit."}"#);
    let (waits, asked, error) = ask(Repeat::MakesAnother, &[limited]).await;
    assert_eq!((waits, asked), (vec![60, 120, 240, 480], 5));
    assert!(matches!(error, Some(Error::RateLimited { .. })), "{error:?}");
    assert_eq!(ask(Repeat::MakesAnother, &[(429, &[], ""), OK]).await.0, [60]);
    // nor do numbers from nowhere stop it
    for number in ["18446744073709551615", "-1", "soon"] {
        let headers = [("retry-after", number), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", number)];
        assert_eq!(ask(Repeat::MakesAnother, &[(403, &headers, "{}"), OK]).await.0, [60], "{number}");
    }
    let (waits, _, error) = ask(Repeat::Harmless, &[(429, &[("retry-after", "4294967295")], "")]).await;
    assert!(waits.is_empty() && matches!(error, Some(Error::RateLimited { .. })), "{error:?}");
}

#[tokio::test]
async fn a_limit_of_an_hour_is_an_error_that_says_when_it_resets() {
    let reset = (now() + 3_000).to_string();
    let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset.as_str())];
    let (waits, asked, error) =
        ask(Repeat::Harmless, &[(403, &headers, r#"{"message": "API rate limit exceeded"}"#)]).await;
    assert_eq!((waits.len(), asked), (0, 1));
    let error = error.unwrap().to_string();
    assert!(error.contains("it resets in 5") && error.contains(" UTC") && error.contains("another token"), "{error}");
    // waits add up
    let limited: Answer = (429, &[("retry-after", "600")], "{}");
    assert_eq!(ask(Repeat::Harmless, &[limited]).await.0, [600]);
}

#[tokio::test]
async fn a_fault_is_asked_again_where_that_is_harmless() {
    for status in [500, 502, 503, 504] {
        let (waits, asked, error) = ask(Repeat::Harmless, &[(status, &[], "<html>"), (status, &[], ""), OK]).await;
        assert_eq!((waits.len(), asked, error.is_none()), (2, 3, true), "{status}");
        let (waits, asked, error) = ask(Repeat::MakesAnother, &[(status, &[], "no"), OK]).await;
        assert_eq!((waits.len(), asked), (0, 1), "{status}");
        assert!(error.unwrap().to_string().contains("try again later"));
    }
    // not for ever, and not at once
    let (waits, asked, _) = ask(Repeat::Harmless, &[(502, &[], "")]).await;
    assert_eq!((waits.len(), asked), (6, 7));
    assert!((15..=80).contains(&waits.iter().sum::<u64>()), "{waits:?}");
}

#[tokio::test]
async fn a_refusal_is_final() {
    for status in [400, 401, 403, 404, 409, 422] {
        let headers = [("x-ratelimit-remaining", "4999"), ("x-ratelimit-reset", "1577836920")];
        let (waits, asked, error) = ask(Repeat::Harmless, &[(status, &headers, r#"{"message": "no"}"#), OK]).await;
        assert_eq!((waits.len(), asked, error.is_some()), (0, 1, true), "{status}");
    }
}
