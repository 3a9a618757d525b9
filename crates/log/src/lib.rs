//! What the programs log, and what they never do.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that panics has failed"))]

use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::Filter;

/// The most that is logged of a library, whatever is asked for: beyond it, messages hold secrets.
const MOST: [(&str, LevelFilter); 2] = [
    // traces the environment's values, such as an endpoint with a password
    ("aws_runtime", LevelFilter::DEBUG),
    // its debug messages hold the tokens that a registry gives
    ("oci_client", LevelFilter::INFO),
];

/// What is logged: the directives `asked`, or the default ones if there are none or they are not valid. Never what can hold a secret.
pub fn filter<S: Subscriber>(asked: Option<&str>, default: &str) -> impl Filter<S> + use<S> {
    let asked = asked.and_then(|directives| EnvFilter::try_new(directives).ok());
    // A directive cannot be the limit: one with a longer target would win, and it would turn on what nobody asked for.
    asked.unwrap_or_else(|| EnvFilter::new(default)).and(filter_fn(may_be_logged))
}

fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let is_of = |library: &str| {
        metadata.target().strip_prefix(library).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    MOST.iter().all(|(library, most)| !is_of(library) || *metadata.level() <= *most)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::{Context, SubscriberExt};
    use tracing_subscriber::{Layer, Registry};

    use super::*;

    /// Keeps `TARGET LEVEL` of each event.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let (target, level) = (event.metadata().target(), event.metadata().level());
            self.0.lock().unwrap().push(format!("{target} {level}"));
        }
    }

    fn logged(asked: Option<&str>) -> Vec<String> {
        let kept = Kept::default();
        let subscriber = Registry::default().with(kept.clone().with_filter(filter(asked, "warn")));
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "oci_client::client", "a token");
            tracing::trace!(target: "oci_client", "a token");
            tracing::info!(target: "oci_client::client", "a blob");
            tracing::trace!(target: "aws_runtime::env_config", "a password");
            tracing::debug!(target: "aws_runtime::env_config", "a file");
            tracing::trace!(target: "oci_client_of_others", "anything");
            tracing::error!(target: "slipway", "it failed");
        });
        let kept = kept.0.lock().unwrap();
        kept.clone()
    }

    const INFO: &str = "oci_client::client INFO";
    const DEBUG: &str = "aws_runtime::env_config DEBUG";
    const OTHER: &str = "oci_client_of_others TRACE";
    const ERROR: &str = "slipway ERROR";

    #[test]
    fn no_directive_turns_on_what_holds_secrets() {
        assert_eq!(logged(Some("trace")), [INFO, DEBUG, OTHER, ERROR]);
        assert_eq!(logged(Some("oci_client::client=debug")), [INFO]);
        assert_eq!(logged(Some("oci_client=trace,aws_runtime::env_config=trace")), [INFO, DEBUG, OTHER]);
    }

    #[test]
    fn nothing_is_logged_that_was_not_asked_for() {
        assert_eq!(logged(Some("error")), [ERROR]);
        assert_eq!(logged(Some("off")), [""; 0]);
    }

    #[test]
    fn without_valid_directives_the_default_ones_hold() {
        assert_eq!(logged(None), [ERROR]);
        assert_eq!(logged(Some("slipway=loud")), [ERROR]);
    }
}
