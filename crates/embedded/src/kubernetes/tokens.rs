//! Who may ask: whoever can read the kubeconfig, and each worker for the progress of its own job.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use slipway_digest::Digest;

use crate::{Result, credentials};

/// The tokens that are known, as digests, so that comparing them says nothing about them.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    owner: Digest,
    /// With the name of the job that each is for.
    workers: Arc<Mutex<BTreeMap<Digest, String>>>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The person who runs the loop, or the manager.
    Owner,
    /// A worker of this job.
    Worker(String),
}

/// A worker's token, known until this is dropped.
#[derive(Debug)]
pub(super) struct WorkerToken {
    pub(super) token: String,
    tokens: Tokens,
}

/// A token that nobody can guess.
pub(super) fn token() -> Result<String> {
    credentials::random(32)
}

impl Tokens {
    pub(super) fn new(owner: &str) -> Self {
        Self { owner: Digest::of(owner), workers: Arc::default() }
    }

    pub(super) fn of_worker(&self, job: &str) -> Result<WorkerToken> {
        let token = token()?;
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.insert(Digest::of(&token), job.to_owned());
        Ok(WorkerToken { token, tokens: self.clone() })
    }

    /// Whose token it is; `None` if nobody knows it.
    pub(super) fn caller(&self, token: &str) -> Option<Caller> {
        let digest = Digest::of(token);
        if digest == self.owner {
            return Some(Caller::Owner);
        }
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.get(&digest).cloned().map(Caller::Worker)
    }
}

impl Drop for WorkerToken {
    fn drop(&mut self) {
        let mut workers = self.tokens.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.remove(&Digest::of(&self.token));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workers_token_is_known_while_its_job_runs() {
        let tokens = Tokens::new("secret");
        assert_eq!(tokens.caller("secret"), Some(Caller::Owner));
        let (one, other) = (tokens.of_worker("a").unwrap(), tokens.of_worker("b").unwrap());
        assert_eq!(tokens.caller(&one.token), Some(Caller::Worker("a".to_owned())));
        assert_eq!(tokens.caller(&other.token), Some(Caller::Worker("b".to_owned())));
        let token = one.token.clone();
        drop(one);
        assert_eq!(tokens.caller(&token), None);
        assert_eq!(tokens.caller(""), None);
    }
}
