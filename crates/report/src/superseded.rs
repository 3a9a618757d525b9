//! The report on a promotion that a newer one has overtaken.

use slipway_markdown::{code, shortened};

use crate::document::{Document, Subject};
use crate::link::pull_request;
use crate::results::Promotion;

/// A promotion that was not merged before a newer version of the same model came into service.
#[derive(Clone, Debug)]
pub struct Superseded<'a> {
    /// The registered model.
    pub model: &'a str,
    /// The environment.
    pub environment: &'a str,
    /// The version that it would have put into service.
    pub version: u64,
    /// The version that has come into service.
    pub by: u64,
    /// The pull request that put that one there.
    pub promotion: Promotion,
}

/// Why a promotion is closed without a merge, and how to open it again.
#[must_use]
pub fn superseded_report(superseded: &Superseded<'_>) -> Document {
    let Superseded { model, environment, version, by, promotion } = superseded;
    let number = promotion.number;
    let again = code(&format!("slipway promote {model} --version {version} --environment {environment}"));
    let newer = pull_request(number, promotion.url.as_deref());
    let [model, environment] = [model, environment].map(|name| code(&shortened(name, 60)));
    let summary = format!("superseded by #{number}");
    Document {
        subject: Subject::Plan,
        first: format!(
            "### Slipway: {summary}\n\n- {newer} has put version {by} of {model} into service in {environment}, so this promotion of \
             version {version} is closed\n- To put version {version} there all the same: {again} opens it again, on what is there now\n"
        ),
        summary,
        sections: Vec::new(),
        everything: String::new(),
        check: None,
    }
}
