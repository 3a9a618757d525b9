//! Issues: one for each thing that they are about. What an issue is about is its first line, an HTML comment, which GitHub does not show;
//! anybody could write one, so it counts only together with the author.

use serde::Deserialize;
use serde_json::json;

use super::bounded::{bounded, bounded_title};
use super::patience::{Repeat, is_fault, persist};
use super::pull::{Account, same};
use super::{GitHub, PAGE, refusal};
use crate::{Issue, NewIssue, Result};

/// The most pages of a hundred that are looked through.
const MOST_PAGES: u32 = 50;

/// An issue as GitHub describes it. Pull requests are issues, too.
#[derive(Deserialize)]
struct Described {
    number: u64,
    html_url: String,
    body: Option<String>,
    user: Option<Account>,
}

impl GitHub {
    pub(crate) async fn open_issue(&self, issue: &NewIssue) -> Result<Issue> {
        let mark = mark(&issue.about);
        if let Some(found) = self.issue_about(&mark).await? {
            return Ok(found);
        }
        let client = self.client().await?;
        let body = json!({
            "title": bounded_title(&issue.title),
            "body": bounded(&format!("{mark}\n{}", issue.body)),
            "labels": issue.labels,
        });
        let route = self.route("issues");
        match persist(Repeat::MakesAnother, || client.post::<_, Described>(&route, Some(&body))).await {
            Ok(made) => Ok(Issue { number: made.number, url: made.html_url, is_new: true }),
            Err(error) => {
                // one whose answer was lost may be there
                let found = if is_fault(&error) { self.issue_about(&mark).await? } else { None };
                found.ok_or_else(|| refusal::explain(&self.api, &error))
            }
        }
    }

    /// The newest issue of our own with a mark, among the newest issues and pull requests of the repository.
    async fn issue_about(&self, mark: &str) -> Result<Option<Issue>> {
        let author = self.author().await?;
        let is_it = |issue: &Described| {
            let by_us = issue.user.as_ref().is_some_and(|user| same(&user.login, &author));
            by_us && issue.body.as_deref().is_some_and(|body| body.lines().next().map(str::trim_end) == Some(mark))
        };
        let client = self.client().await?;
        let route = self.route("issues");
        for page in 1..=MOST_PAGES {
            let query =
                json!({ "state": "all", "sort": "created", "direction": "desc", "per_page": PAGE, "page": page });
            let issues: octocrab::Page<Described> =
                self.ask(Repeat::Harmless, || client.get(&route, Some(&query))).await?;
            let is_last = issues.items.len() < usize::from(PAGE);
            let found = issues.items.into_iter().find(&is_it);
            if let Some(issue) = found {
                return Ok(Some(Issue { number: issue.number, url: issue.html_url, is_new: false }));
            }
            if is_last {
                break;
            }
        }
        Ok(None)
    }
}

/// The first line of an issue: no text can leave the comment.
fn mark(about: &str) -> String {
    let about: String =
        about.chars().map(|c| if c.is_ascii_alphanumeric() || " -_.".contains(c) { c } else { '_' }).collect();
    format!("<!-- slipway:issue {} -->", about.replace("--", "-_"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::matchers::{body_partial_json, method, path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::mark;
    use crate::{Credentials, GitHub, NewIssue};

    async fn github(issues: serde_json::Value) -> (MockServer, GitHub) {
        let server = MockServer::start().await;
        let answers = |body: serde_json::Value| ResponseTemplate::new(200).set_body_json(body);
        Mock::given(method("GET"))
            .and(path("/user"))
            .respond_with(answers(json!({"login": "octo"})))
            .mount(&server)
            .await;
        Mock::given(method("GET"))
            .and(path("/repos/octo/cat/issues"))
            .and(query_param("state", "all"))
            .respond_with(answers(issues))
            .mount(&server)
            .await;
        let github = GitHub::new(&server.uri(), "octo", "cat", Credentials::token("ghp_x"));
        (server, github)
    }

    fn issue() -> NewIssue {
        NewIssue {
            about: "drift digits a1".to_owned(),
            title: "It changed".to_owned(),
            body: "x".to_owned(),
            ..NewIssue::default()
        }
    }

    #[tokio::test]
    async fn an_issue_is_opened_once() {
        let (server, github) = github(json!([])).await;
        Mock::given(method("POST"))
            .and(path("/repos/octo/cat/issues"))
            .and(body_partial_json(json!({"title": "It changed", "body": "<!-- slipway:issue drift digits a1 -->\nx"})))
            .respond_with(ResponseTemplate::new(201).set_body_json(json!({"number": 7, "html_url": "https://x/7"})))
            .expect(1)
            .mount(&server)
            .await;
        let opened = github.open_issue(&issue()).await.unwrap();
        assert!(opened.is_new && opened.number == 7, "{opened:?}");
    }

    #[tokio::test]
    async fn one_that_is_there_is_found_also_if_it_is_closed_and_not_if_another_wrote_it() {
        let body = "<!-- slipway:issue drift digits a1 -->\r\nedited by a person";
        let of = |number: u64, login: &str| json!({"number": number, "html_url": "https://x", "body": body, "user": {"login": login}});
        let (_server, github) = github(json!([of(3, "mallory"), of(4, "octo")])).await;
        let found = github.open_issue(&issue()).await.unwrap();
        assert!(!found.is_new && found.number == 4, "{found:?}");
    }

    #[test]
    fn what_it_is_about_stays_in_the_comment() {
        assert_eq!(mark("a --> <b>\n--"), "<!-- slipway:issue a -__ _b__-_ -->");
    }
}
