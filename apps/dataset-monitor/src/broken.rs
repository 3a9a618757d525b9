//! Broken data: a build that is refused because of them, or a feed of which most cannot be read. An issue says it, once for a cause.

use slipway_digest::Digest;
use slipway_evidence::Evidence;

use crate::act::{Hands, report, short};
use crate::error::{Error, Result};

/// What is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// What the issue is about.
    pub(crate) about: String,
    /// What is wrong, for a person. It may have names of objects, which are anybody's.
    pub(crate) why: String,
    /// What becomes of it meanwhile.
    help: &'static str,
}

impl Broken {
    /// A build that failed; `None` if the data are not why. The cause is the kind of problem, on top of what was published last: when that has changed, it is
    /// another one.
    pub(crate) fn refused(dataset: &str, head: Option<&Digest>, error: &Error) -> Option<Self> {
        let Error::Pipeline(slipway_pipeline::Error::Source(slipway_sources::Error::Problem(problem))) = error else {
            return None;
        };
        let head = head.map_or_else(|| "none".to_owned(), short);
        let why = format!("{}; {}", problem.message, problem.help);
        let help = "Until then nothing is built, and the head stays what it is.";
        Some(Self { about: format!("broken {dataset} {} {head}", problem.code), why, help })
    }

    /// What lands and cannot be read; `None` if most can. The cause is the feed, until a version is in service that was trained on other data.
    pub(crate) fn feed(evidence: &Evidence) -> Option<Self> {
        let feed = evidence.feed.is_broken().then_some(evidence.feed)?;
        let Evidence { dataset, reference, quality, .. } = evidence;
        let first = quality
            .first
            .first()
            .map_or_else(String::new, |first| format!("; the first item that is set aside is {first}"));
        let why = format!("{} of the newest {} objects that landed cannot be read{first}", feed.aside, feed.landed);
        let help = "They are set aside and change nothing. The quality report names them.";
        Some(Self { about: format!("broken {dataset} feed {}", short(&reference.digest)), why, help })
    }

    /// Opens the issue, unless there was one.
    pub(crate) async fn tell(&self, hands: Hands<'_>, dataset: &str) -> Result<Option<String>> {
        let title = format!("The data of {dataset} are broken");
        let body = format!(
            "{}\n{}\n\nThe monitor's `/api/v1/datasets` has this as `broken` as long as it is so. Nothing else is opened about this cause; close this once it is mended.\n",
            slipway_markdown::fenced("", &self.why),
            self.help
        );
        report(hands, dataset, self.about.clone(), (title, body), &self.why).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;
    use slipway_cluster::Leadership;
    use slipway_forge::{Credentials, Forge, GitHub};
    use slipway_git::Repository;
    use slipway_proposal::Remote;
    use slipway_service::Followed;
    use tokio::sync::watch;
    use tokio::time::Instant;
    use wiremock::matchers::{body_string_contains, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::metrics::Metrics;

    fn refused(code: &'static str, head: Option<&Digest>) -> Broken {
        let problem = slipway_sources::Error::problem("spec", code, "7 of 9 items do not fit", "remove them");
        Broken::refused("digits", head, &Error::Pipeline(problem.into())).unwrap()
    }

    #[test]
    fn a_cause_is_a_kind_of_problem_on_top_of_what_was_published() {
        let (one, other) = (Digest::of("one"), Digest::of("other"));
        let about = |code, head| refused(code, head).about;
        assert_eq!(about("unbalanced", Some(&one)), about("unbalanced", Some(&one)));
        assert_ne!(about("unbalanced", Some(&one)), about("unbalanced", Some(&other)));
        assert_ne!(about("unbalanced", Some(&one)), about("empty-class", Some(&one)));
        assert_eq!(about("unbalanced", None), "broken digits unbalanced none");
        let away = slipway_pipeline::Error::Overtaken("digits".to_owned(), 3);
        assert_eq!(Broken::refused("digits", None, &Error::Pipeline(away)), None);
    }

    #[tokio::test]
    async fn it_is_said_once() {
        let server = MockServer::start().await;
        let answer = |status: u16, body: serde_json::Value| ResponseTemplate::new(status).set_body_json(body);
        let user = Mock::given(method("GET")).and(path("/user"));
        user.respond_with(answer(200, json!({"login": "octo"}))).mount(&server).await;
        let broken = refused("unbalanced", None);
        let listed = || Mock::given(method("GET")).and(path("/repos/octo/cat/issues"));
        // at first there is none
        listed().respond_with(answer(200, json!([]))).up_to_n_times(1).mount(&server).await;
        let body = format!("<!-- slipway:issue {} -->\n…", broken.about);
        let there = json!([{"number": 7, "html_url": "https://x/7", "body": body, "user": {"login": "octo"}}]);
        listed().respond_with(answer(200, there)).mount(&server).await;
        Mock::given(method("POST"))
            .and(path("/repos/octo/cat/issues"))
            .and(body_string_contains("7 of 9 items do not fit"))
            .respond_with(answer(201, json!({"number": 7, "html_url": "https://x/7"})))
            .expect(1)
            .mount(&server)
            .await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("forge.git");
        let git = Repository::init_bare(&path).unwrap();
        let mut remote = Remote::at(&path).unwrap();
        remote.forge = Forge::GitHub(GitHub::new(&server.uri(), "octo", "cat", Credentials::token("ghp_x")));
        let followed = Followed { git, remote: Arc::new(remote), pause: Duration::from_secs(5) };
        let until = Instant::now() + Duration::from_secs(1000);
        let (is_leader, until) = (watch::Sender::new(true), watch::Sender::new(Some(until)));
        let leadership = Leadership::told(is_leader.subscribe(), until.subscribe());
        let metrics = Metrics::new().unwrap();
        let hands = Hands { followed: &followed, leadership: &leadership, metrics: &metrics };
        for _ in 0..2 {
            assert_eq!(broken.tell(hands, "digits").await.unwrap().as_deref(), Some("https://x/7"));
        }
        assert_eq!(metrics.issues.get(), 1);
    }
}
