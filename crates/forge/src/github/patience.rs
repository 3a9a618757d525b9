//! Asking again: after a fault that passes, and once a rate limit allows it.
//!
//! GitHub's rules: <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::time::{Duration, SystemTime};

use backon::{ExponentialBuilder, Retryable, Sleeper};
use http::{HeaderMap, StatusCode};
use octocrab::Error;

/// The most that one request waits for rate limits, all its waits together.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// What GitHub asks for when it does not say how long: at least a minute, and twice as long each time.
const UNKNOWN: Duration = Duration::from_secs(60);
/// GitHub's clock shows whole seconds.
const MARGIN: Duration = Duration::from_secs(1);

/// Whether a request may be sent again when nobody knows whether GitHub acted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The second one changes nothing more.
    Harmless,
    /// The second one could make another.
    MakesAnother,
}

/// Sends a request until it is answered, or until asking again is useless. Faults are retried for about half a minute; rate limits are
/// waited for, [`LONGEST_WAIT`] at most, and each wait is a warning in the log.
pub(crate) async fn persist<T, F>(repeat: Repeat, request: impl FnMut() -> F) -> octocrab::Result<T>
where
    F: Future<Output = octocrab::Result<T>>,
{
    persist_by(tokio::time::sleep, repeat, request).await
}

/// The same, by a clock of the caller's.
pub(crate) async fn persist_by<T, F>(
    sleep: impl Sleeper,
    repeat: Repeat,
    request: impl FnMut() -> F,
) -> octocrab::Result<T>
where
    F: Future<Output = octocrab::Result<T>>,
{
    let faults = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(6)
        .with_jitter();
    let (mut waited, mut unknown) = (Duration::ZERO, UNKNOWN);
    let adjust = |error: &Error, fault: Option<Duration>| match limit(error) {
        Some(limit) => {
            let wait = limit.unwrap_or(unknown);
            if limit.is_none() {
                unknown *= 2;
            }
            waited += wait;
            (waited <= LONGEST_WAIT).then_some(wait)
        }
        None => fault,
    };
    let notify = |error: &Error, wait: Duration| {
        if limit(error).is_some() {
            tracing::warn!("GitHub's rate limit is exhausted; waiting {} s", wait.as_secs());
        } else {
            tracing::info!("GitHub does not answer ({}); trying again in {wait:.1?}", slipway_causes::root(error));
        }
    };
    let again = |error: &Error| limit(error).is_some() || passes(error, repeat);
    request.retry(faults).when(again).adjust(adjust).notify(notify).sleep(sleep).await
}

/// How long a rate limit asks to wait; within, `None` if GitHub does not say how long. `None` if the error is not one of a rate limit.
pub(crate) fn limit(error: &Error) -> Option<Option<Duration>> {
    let Error::GitHub { source, .. } = error else { return None };
    if !matches!(source.status_code, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return None;
    }
    let headers = source.headers.as_ref();
    if let Some(seconds) = headers.and_then(|headers| number(headers, "retry-after")) {
        return Some(Some(Duration::from_secs(seconds.into())));
    }
    let exhausted = headers.and_then(|headers| number(headers, "x-ratelimit-remaining")) == Some(0);
    let reset = headers.and_then(|headers| number(headers, "x-ratelimit-reset"));
    if let (true, Some(reset)) = (exhausted, reset) {
        return Some(Some(until(reset.into(), headers)));
    }
    let message = source.message.to_lowercase();
    let limited = source.status_code == StatusCode::TOO_MANY_REQUESTS
        || exhausted
        || ["rate limit", "abuse detection"].iter().any(|words| message.contains(words));
    limited.then_some(None)
}

/// Whether the request may be sent again.
fn passes(error: &Error, repeat: Repeat) -> bool {
    is_fault(error) && slipway_causes::tls(error).is_none() && (repeat == Repeat::Harmless || never_sent(error))
}

/// Whether GitHub is down, or the connection broke: the same request may be answered a moment later, and GitHub may have acted on it.
pub(crate) fn is_fault(error: &Error) -> bool {
    match error {
        Error::GitHub { source, .. } => matches!(source.status_code.as_u16(), 500 | 502 | 503 | 504),
        Error::Service { .. } | Error::Reqwest { .. } | Error::Hyper { .. } => true,
        _ => false,
    }
}

/// Whether there was no connection to send anything on.
fn never_sent(error: &Error) -> bool {
    slipway_causes::find::<reqwest::Error>(error).is_some_and(reqwest::Error::is_connect)
}

/// The time until a second since 1970 by GitHub's own clock, which may differ from this machine's.
fn until(reset: u64, headers: Option<&HeaderMap>) -> Duration {
    let date = headers.and_then(|headers| headers.get(http::header::DATE)?.to_str().ok());
    let now = date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or_else(SystemTime::now);
    let reset = SystemTime::UNIX_EPOCH + Duration::from_secs(reset);
    reset.duration_since(now).unwrap_or_default() + MARGIN
}

/// A header's number. 32 bits hold every time until 2106, and no sum of them overflows.
fn number(headers: &HeaderMap, name: &str) -> Option<u32> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
