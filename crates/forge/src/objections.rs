//! What speaks against a merge: reviews, checks, and the rules of the base branch.

/// The most names in a line; more are counted.
const NAMED: usize = 4;

/// What speaks against a merge, as far as a forge knows it. All of it are texts of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objections {
    /// Logins of those whose latest review asks for changes.
    pub changes_requested: Vec<String>,
    /// Approvals that the rules of the base branch require and that are missing.
    pub approvals: Option<Approvals>,
    /// Conversations that the rules require to be resolved and that are not.
    pub conversations: usize,
    /// Whether the rules require that its branch has all of the base branch, and it has not.
    pub is_behind: bool,
    /// The names of checks of the newest commit that have failed.
    pub failed_checks: Vec<String>,
    /// The names of its checks that have not ended, and of those that the rules require and that have not begun.
    pub pending_checks: Vec<String>,
    /// What the forge does not tell, with its reason.
    pub unknown: Vec<String>,
}

/// The approvals of a pull request that needs more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Approvals {
    /// How many the rules require; 0 if that is not known.
    pub required: usize,
    /// How many there are. If it is as many as are required, it is not those that are required, such as a code owner's.
    pub given: usize,
}

impl Objections {
    /// What is missing: each as one line of text, the names of a kind in one line.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        if let Some(logins) = few(&self.changes_requested) {
            let request = if self.changes_requested.len() == 1 { "requests" } else { "request" };
            texts.push(format!("{logins} {request} changes"));
        }
        texts.extend(self.approvals.map(Approvals::text));
        match self.conversations {
            0 => {}
            1 => texts.push("a conversation is not resolved".to_owned()),
            open => texts.push(format!("{open} conversations are not resolved")),
        }
        if self.is_behind {
            texts.push("its branch must be brought up to date with the base branch".to_owned());
        }
        for (names, one, several) in [
            (&self.failed_checks, "has failed", "have failed"),
            (&self.pending_checks, "has not ended", "have not ended"),
        ] {
            match (names.len(), few(names)) {
                (1, Some(name)) => texts.push(format!("the check {name} {one}")),
                (_, Some(names)) => texts.push(format!("the checks {names} {several}")),
                (_, None) => {}
            }
        }
        texts
    }
}

impl Approvals {
    fn text(self) -> String {
        match (self.required.saturating_sub(self.given), self.required, self.given) {
            (0, ..) => "an approval that the branch's rules require, such as a code owner's".to_owned(),
            (1, 1, _) => "an approval, which the branch's rules require".to_owned(),
            (missing, required, given) => {
                let (more, are) =
                    (if missing == 1 { "approval" } else { "approvals" }, if given == 1 { "is" } else { "are" });
                format!("{missing} {more}: the branch's rules require {required}, and {given} {are} there")
            }
        }
    }
}

/// The first of some names, and how many there are besides; `None` without any.
fn few(names: &[String]) -> Option<String> {
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    (!names.is_empty()).then(|| format!("{}{more}", shown.join(", ")))
}
