//! Why a command failed, and the exit code that tells a script.

use std::fmt;
use std::process::ExitCode;

use slipway_project::count;
use slipway_source::Finding;

/// A failure by kind. The message says what, where and what to do next.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A failure that nobody foresaw: 1.
    Unexpected(String),
    /// Files of the repository have mistakes; all of them are listed: 3.
    Invalid(Vec<Finding>),
    /// Wrong input that is not in a line of a file: 3.
    Input(String),
    /// Everything is valid, but rendered files are not what the experiments render to: 4.
    OutOfDate(Vec<Finding>),
    /// This machine lacks something: 5.
    Environment(String),
    /// A service or a repository elsewhere does not answer, or refuses: 6.
    Service(String),
    /// A job failed, or a model did not pass its gate: 7.
    Job(String),
    /// The command has already printed what failed; only the exit code is left.
    Reported(u8),
}

impl Failure {
    /// The documented exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Unexpected(_) => 1,
            Self::Invalid(_) | Self::Input(_) => 3,
            Self::OutOfDate(_) => 4,
            Self::Environment(_) => 5,
            Self::Service(_) => 6,
            Self::Job(_) => 7,
            Self::Reported(code) => *code,
        }
    }

    /// The mistakes with their positions; empty for every other kind.
    pub(crate) fn findings(&self) -> &[Finding] {
        match self {
            Self::Invalid(findings) | Self::OutOfDate(findings) => findings,
            _ => &[],
        }
    }
}

impl Failure {
    /// The same with the step in front of the message. Findings name their files instead.
    #[must_use]
    pub(crate) fn during(self, step: &str) -> Self {
        let named = |message: String| format!("{step}: {message}");
        match self {
            Self::Unexpected(message) => Self::Unexpected(named(message)),
            Self::Input(message) => Self::Input(named(message)),
            Self::Environment(message) => Self::Environment(named(message)),
            Self::Service(message) => Self::Service(named(message)),
            Self::Job(message) => Self::Job(named(message)),
            other => other,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected(message)
            | Self::Input(message)
            | Self::Environment(message)
            | Self::Service(message)
            | Self::Job(message) => f.write_str(message),
            Self::Invalid(findings) => write!(f, "{} found", count(findings.len(), "problem")),
            Self::OutOfDate(_) => f.write_str("the rendered TrainJobs are not up to date: run `slipway render`"),
            Self::Reported(_) => Ok(()),
        }
    }
}

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        Self::from(failure.code())
    }
}

impl From<slipway_embedded::Error> for Failure {
    fn from(error: slipway_embedded::Error) -> Self {
        use slipway_embedded::Error;

        let message = error.to_string();
        match error {
            Error::Git(error) => error.into(),
            Error::NotOurs(_) | Error::OtherVersion { .. } | Error::Locked { .. } | Error::NoCommit(_) => {
                Self::Input(message)
            }
            Error::NoProgram { .. }
            | Error::Spawn { .. }
            | Error::Port { .. }
            | Error::File { .. }
            | Error::HiddenHolder(_)
            | Error::Signal { .. } => Self::Environment(message),
            Error::Ended { .. } | Error::NotReady { .. } | Error::S3 { .. } => Self::Service(message),
            _ => Self::Unexpected(message),
        }
    }
}

impl From<slipway_git::Error> for Failure {
    fn from(error: slipway_git::Error) -> Self {
        let message = error.to_string();
        if error.is_unavailable() {
            Self::Service(message)
        } else if error.is_of_this_machine() {
            Self::Environment(message)
        } else {
            Self::Input(message)
        }
    }
}

impl From<slipway_forge::Error> for Failure {
    fn from(error: slipway_forge::Error) -> Self {
        use slipway_forge::Error;

        match error {
            Error::Git(error) => error.into(),
            Error::Tls { .. } => Self::Service(error.to_string()),
            Error::NoToken { .. } | Error::AppKey(_) => Self::Environment(error.to_string()),
            error if error.is_unavailable() => Self::Service(error.to_string()),
            Error::Malformed { .. } => Self::Unexpected(error.to_string()),
            error => Self::Input(error.to_string()),
        }
    }
}

impl From<slipway_dataset::Error> for Failure {
    fn from(error: slipway_dataset::Error) -> Self {
        use slipway_dataset::Error;

        let message = error.to_string();
        match error {
            error if error.is_unavailable() => Self::Service(message),
            Error::Refused { .. } | Error::Tls { .. } => Self::Service(message),
            Error::Credentials { .. } | Error::File { .. } => Self::Environment(message),
            _ => Self::Input(message),
        }
    }
}

impl From<slipway_cluster::Error> for Failure {
    fn from(error: slipway_cluster::Error) -> Self {
        use slipway_cluster::Error;

        let message = error.to_string();
        match error {
            Error::NoConfiguration(_) | Error::Login { .. } => Self::Environment(message),
            Error::Taken(_) | Error::Disagreement { .. } | Error::UnknownKind { .. } => Self::Input(message),
            Error::Random(_) => Self::Unexpected(message),
            _ => Self::Service(message),
        }
    }
}

impl From<slipway_mlflow::Error> for Failure {
    fn from(error: slipway_mlflow::Error) -> Self {
        use slipway_mlflow::Error;

        let message = error.to_string();
        match error {
            error if error.is_not_found() => Self::Input(message),
            Error::Address { .. } | Error::Settings(_) | Error::Invalid { .. } => Self::Input(message),
            Error::File { .. } => Self::Environment(message),
            _ => Self::Service(message),
        }
    }
}

impl From<slipway_project::Error> for Failure {
    fn from(error: slipway_project::Error) -> Self {
        use slipway_project::Error;

        match error {
            Error::Invalid(findings) => Self::Invalid(findings),
            Error::Git(error) => error.into(),
            error @ Error::File { .. } => Self::Input(error.to_string()),
        }
    }
}

impl From<slipway_deployment::Error> for Failure {
    fn from(error: slipway_deployment::Error) -> Self {
        use slipway_deployment::Error;

        match error {
            Error::Invalid(findings) => Self::Invalid(findings),
            Error::Before(error) => before_the_change((*error).into()),
            Error::Project(error) => error.into(),
            Error::Git(error) => error.into(),
            error @ (Error::Program { .. } | Error::File { .. } | Error::NoHelm) => {
                Self::Environment(error.to_string())
            }
            error @ Error::Fetch(_) => Self::Service(error.to_string()),
            error @ (Error::NoApplication { .. } | Error::Upstream(_)) => Self::Input(error.to_string()),
        }
    }
}

/// The files of a work tree look the same before and after, so findings say it themselves.
fn before_the_change(failure: Failure) -> Failure {
    const WHEN: &str = "before the change";
    match failure {
        Failure::Invalid(mut findings) => {
            for finding in &mut findings {
                finding.message = format!("{WHEN}: {}", finding.message);
            }
            Failure::Invalid(findings)
        }
        other => other.during(WHEN),
    }
}

impl From<slipway_proposal::Error> for Failure {
    fn from(error: slipway_proposal::Error) -> Self {
        use slipway_proposal::Error;

        match error {
            Error::Invalid(findings) => Self::Invalid(findings),
            Error::Project(error) => error.into(),
            Error::Git(error) => error.into(),
            Error::Forge(error) => error.into(),
            error @ Error::NoBestVersion(_) => Self::Job(error.to_string()),
            error => Self::Input(error.to_string()),
        }
    }
}

impl From<slipway_report::Error> for Failure {
    fn from(error: slipway_report::Error) -> Self {
        use slipway_report::Error;

        match error {
            Error::NoRevision(_) => Self::Input(error.to_string()),
            Error::Git(error) => error.into(),
            Error::Project(error) => error.into(),
            Error::Deployment(error) => error.into(),
        }
    }
}

impl From<slipway_outcome::Error> for Failure {
    fn from(error: slipway_outcome::Error) -> Self {
        use slipway_outcome::Error;

        match error {
            Error::Report(error) => error.into(),
            Error::Project(error) => error.into(),
            Error::Proposal(error) => error.into(),
            Error::Git(error) => error.into(),
            Error::Forge(error) => error.into(),
            Error::Mlflow(error) => error.into(),
            error @ Error::OtherEnvironment { .. } => Self::Input(error.to_string()),
            error @ Error::Tag { .. } => Self::Unexpected(error.to_string()),
        }
    }
}

impl From<slipway_image::Error> for Failure {
    fn from(error: slipway_image::Error) -> Self {
        use slipway_image::Error;

        let message = error.to_string();
        match error {
            Error::Declaration(findings) => Self::Invalid(findings),
            Error::Git(error) => error.into(),
            error if error.is_unavailable() => Self::Service(message),
            error if error.is_environment() => Self::Environment(message),
            _ => Self::Input(message),
        }
    }
}

impl From<slipway_registry::Error> for Failure {
    fn from(error: slipway_registry::Error) -> Self {
        let message = error.to_string();
        match error {
            error if error.is_unavailable() => Self::Service(message),
            error if error.is_environment() => Self::Environment(message),
            _ => Self::Input(message),
        }
    }
}
