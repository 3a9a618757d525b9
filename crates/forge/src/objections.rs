//! What speaks against a merge: reviews and checks.

/// What speaks against a merge, as far as a forge knows it. All of it are texts of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objections {
    /// Logins of those whose latest review asks for changes.
    pub changes_requested: Vec<String>,
    /// The names of checks of the newest commit that have failed.
    pub failed_checks: Vec<String>,
    /// What the forge does not tell, with its reason.
    pub unknown: Vec<String>,
}

impl Objections {
    /// Each as one line of text.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let changes = self.changes_requested.iter().map(|login| format!("{login} requests changes"));
        let checks = self.failed_checks.iter().map(|name| format!("the check {name} has failed"));
        changes.chain(checks).chain(self.unknown.iter().cloned()).collect()
    }
}
