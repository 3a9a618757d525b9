//! Which token goes where, and that nobody sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use slipway_git::{Error, HttpRemote, Token};

use crate::server::{Way, basic};
use crate::{MAIN, Served};

const SECRET: &str = "ghs_hunter2";

fn with_token(remote: HttpRemote, token: &'static str) -> HttpRemote {
    remote.with_token(move || async move { Ok(Token::new(token)) })
}

#[tokio::test]
async fn a_token_is_asked_for_with_each_request() {
    let served = Served::new().await;
    served.server.inner().token = Some(SECRET.to_owned());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let remote = served.remote().with_token(move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok(Token::new(SECRET)) }
    });
    assert_eq!(remote.fetch(&served.mirror, &[MAIN]).await.unwrap(), [Some(served.origin.head.clone())]);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_wrong_token_is_said_and_not_shown() {
    let served = Served::new().await;
    served.server.inner().token = Some("another".to_owned());
    for remote in [served.remote(), with_token(served.remote(), SECRET)] {
        let error = remote.fetch(&served.mirror, &[MAIN]).await.unwrap_err();
        assert!(matches!(error, Error::Refused { status: 401, .. }) && error.is_unavailable(), "{error}");
        let shown = format!("{error} {error:?} {remote:?} {:?}", Token::new(SECRET));
        assert!(shown.contains("invalid, or has expired") && !shown.contains("hunter2"), "{shown}");
    }
    served.server.inner().token = None;
    served.server.set(Way::Status(403));
    let error = with_token(served.remote(), SECRET).fetch(&served.mirror, &[MAIN]).await.unwrap_err();
    assert!(error.to_string().contains("contents: read"), "{error}");
}

#[tokio::test]
async fn why_there_is_no_token_is_said() {
    let served = Served::new().await;
    let remote = served.remote().with_token(|| async { Err("the app was removed".to_owned()) });
    let error = remote.fetch(&served.mirror, &[MAIN]).await.unwrap_err();
    assert!(matches!(error, Error::NoToken { .. }) && error.to_string().contains("the app was removed"), "{error}");
    assert!(served.server.asked().is_empty());
}

#[tokio::test]
async fn a_server_that_repeats_the_token_does_not_bring_it_into_a_message() {
    let served = Served::new().await;
    let remote = with_token(served.remote(), SECRET);
    for said in [format!("you said {SECRET}\u{7}"), format!("you said Basic {}", basic(SECRET))] {
        let line = format!("ERR {said}");
        served.server.set(Way::Says(format!("{:04x}{line}0000", line.len() + 4).into_bytes()));
        let error = remote.fetch(&served.mirror, &[MAIN]).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("you said") && shown.contains("***"), "{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains(&basic(SECRET)) && !shown.contains('\u{7}'), "{shown}");
    }
}
