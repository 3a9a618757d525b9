//! The git of the server: commits and branches, by its API, and what others do with them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use slipway_digest::Digest;

use super::Answer;
use super::state::State;

/// The commit that every change stands on.
pub(super) const BASE: &str = "0000000000000000000000000000000000000000";

pub(super) const DELETED: &str = "somebody deletes a branch";
pub(super) const MOVED: &str = "somebody pushes to the branch";
pub(super) const REFUSED: &str = "a branch stays where it was, because it has other commits";

/// A commit.
struct Commit {
    parents: Vec<String>,
    tree: String,
}

/// Commits and branches.
pub(super) struct Git {
    commits: BTreeMap<String, Commit>,
    /// The newest commit of each branch.
    pub(super) branches: BTreeMap<String, String>,
    /// What others have pushed to branches that nobody has deleted since: branch and commit.
    others: Vec<(String, String)>,
}

impl Git {
    pub(super) fn new() -> Self {
        let base = Commit { parents: Vec::new(), tree: "base".to_owned() };
        let (branches, others) = <_>::default();
        Self { commits: [(BASE.to_owned(), base)].into(), branches, others }
    }

    /// Whether a branch holds the clients' change and nothing else. Returns `None` if there is no such branch.
    pub(super) fn is_ours(&self, branch: &str) -> Option<bool> {
        let commit = &self.commits[self.branches.get(branch)?];
        Some(commit.parents == [BASE])
    }

    /// The branch from which somebody's commit is gone although nobody has deleted it.
    pub(super) fn lost(&self) -> Option<&str> {
        let is_there = |branch: &str, commit: &str| self.leads_to(&self.branches[branch], commit);
        self.others.iter().find(|(branch, commit)| !is_there(branch, commit)).map(|(branch, _)| branch.as_str())
    }

    /// Whether `older` is `newer`, or one of those before it.
    fn leads_to(&self, newer: &str, older: &str) -> bool {
        let mut left = vec![newer];
        while let Some(commit) = left.pop() {
            if commit == older {
                return true;
            }
            left.extend(self.commits[commit].parents.iter().map(String::as_str));
        }
        false
    }
}

impl State {
    /// What it answers to a path below `git`.
    pub(super) fn git_route(&mut self, method: &str, path: &[&str], body: &Value) -> Answer {
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        match (method, path) {
            ("GET", ["commits", id]) => match self.git.commits.get(*id) {
                Some(commit) => Answer::new(200, described(id, &commit.tree)),
                None => Answer::refusal(404, "Not Found"),
            },
            ("POST", ["trees"]) => {
                // the same content is the same tree
                let tree = &Digest::of(body.to_string()).hex()[..40];
                Answer::new(201, json!({"sha": tree, "url": "https://x/t", "tree": [], "truncated": false}))
            }
            ("POST", ["commits"]) => {
                let parents = body["parents"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned());
                let (parents, tree) = (parents.collect(), text("tree"));
                let id = self.commit(parents, &tree);
                Answer::new(201, described(&id, &tree))
            }
            ("POST", ["refs"]) => {
                let (name, id) = (text("ref"), text("sha"));
                let branch = name.strip_prefix("refs/heads/").unwrap();
                if self.git.branches.contains_key(branch) {
                    return Answer::refusal(422, "Reference already exists");
                }
                self.move_branch(branch, &id);
                Answer::new(201, reference(branch, &id))
            }
            ("PATCH", ["refs", "heads", name @ ..]) => {
                let (branch, id) = (name.join("/"), text("sha"));
                let Some(before) = self.git.branches.get(&branch) else {
                    return Answer::refusal(422, "Reference does not exist");
                };
                if body["force"] != true && !self.git.leads_to(&id, before) {
                    self.happened.insert(REFUSED);
                    return Answer::refusal(422, "Update is not a fast forward");
                }
                self.move_branch(&branch, &id);
                Answer::new(200, reference(&branch, &id))
            }
            _ => panic!("{method} git/{}", path.join("/")),
        }
    }

    /// A new commit; its id is the number of commits before it.
    fn commit(&mut self, parents: Vec<String>, tree: &str) -> String {
        let id = format!("{:040x}", self.git.commits.len());
        self.git.commits.insert(id.clone(), Commit { parents, tree: tree.to_owned() });
        id
    }

    /// Puts a branch to a commit. An open pull request follows its branch.
    fn move_branch(&mut self, branch: &str, id: &str) {
        self.log.push(format!("the branch {branch} moves to {}", &id[30..]));
        self.git.branches.insert(branch.to_owned(), id.to_owned());
        for pull in self.pulls.iter_mut().filter(|pull| pull.is_open() && pull.branch == branch) {
            id.clone_into(&mut pull.head);
        }
    }

    /// Somebody adds a commit to the branch of an open pull request.
    pub(super) fn push(&mut self) {
        let Some(branch) = self.open_branch() else { return };
        let before = self.git.branches[&branch].clone();
        let id = self.commit(vec![before], "theirs");
        self.git.others.push((branch.clone(), id.clone()));
        self.happened.insert(MOVED);
        self.move_branch(&branch, &id);
    }

    /// Somebody deletes a branch, and GitHub closes its pull request.
    pub(super) fn delete_branch(&mut self) {
        let branches: Vec<String> = self.git.branches.keys().cloned().collect();
        if branches.is_empty() {
            return;
        }
        let branch = &branches[self.random.usize(0..branches.len())];
        self.log.push(format!("somebody deletes the branch {branch}"));
        self.git.branches.remove(branch);
        self.git.others.retain(|(other, _)| other != branch);
        self.happened.insert(DELETED);
        self.close_by_hand(|pull| pull.branch == *branch);
    }

    fn open_branch(&self) -> Option<String> {
        self.pulls.iter().find(|pull| pull.is_open()).map(|pull| pull.branch.clone())
    }
}

fn described(id: &str, tree: &str) -> Value {
    let author = json!({"name": "octo", "email": "octo@example.org", "date": "2026-11-25T00:00:00Z"});
    json!({"sha": id, "node_id": "n", "url": "https://x/c", "html_url": "https://x/c", "author": author, "committer": author,
           "message": "Train", "tree": {"sha": tree, "url": "https://x/t"}, "parents": [],
           "verification": {"verified": false, "reason": "unsigned", "signature": null, "payload": null}})
}

fn reference(branch: &str, id: &str) -> Value {
    let object = json!({"type": "commit", "sha": id, "url": "https://x/c"});
    json!({"ref": format!("refs/heads/{branch}"), "node_id": "n", "url": "https://x/r", "object": object})
}
