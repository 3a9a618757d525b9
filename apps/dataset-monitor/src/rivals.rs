//! Versions that were trained on other data than the one in service: they are compared with it on the same test data, and the one that is better is proposed.
//!
//! The training manager proposes a version that is better on the data that the one in service was tested on, too. After a retraining there is no such
//! version, and who can ask both and read what neither was trained on is the monitor.

use std::collections::BTreeSet;
use std::time::Duration;

use slipway_evidence::{Duel, Incumbent, Rival, Served, duel, incumbents, threshold};
use slipway_experiment::{Dataset, Monitor};
use slipway_forge::Opened;
use slipway_mlflow::ModelVersion;
use slipway_proposal::{Opening, Promotion};
use slipway_service::{Followed, backoff, first_stays, must_lead};
use tokio::time::Instant;

use crate::declared::Declared;
use crate::error::{Error, Result};
use crate::remembered::{Judged, RememberedRivals};
use crate::watch::{PAUSE, Watcher};

/// How often the registry is asked whether there is another version.
const OFTEN: Duration = Duration::from_secs(10);
/// The longest pause after failures.
const LONGEST: Duration = Duration::from_secs(600);

impl Watcher {
    /// Looks for versions that may replace the one in service, judges them, and remembers when they are due again.
    pub(crate) async fn visit_rivals(&self, declared: &Declared, dataset: &Dataset, memory: &mut RememberedRivals) {
        // its layout would make that of the future that watches deeper than the compiler looks
        let done = Box::pin(self.judge(declared, dataset, memory)).await;
        memory.commit.clone_from(&declared.commit);
        let pause = match done {
            Ok(()) => {
                memory.failures = 0;
                memory.warned.clear();
                OFTEN
            }
            Err(error) => {
                self.metrics.failures.with_label_values(&["rivals"]).inc();
                memory.warned.warn("no version can be compared", &format!("{}: {error}", dataset.name));
                let pause = backoff(PAUSE, memory.failures, LONGEST);
                memory.failures = memory.failures.saturating_add(1);
                pause
            }
        };
        memory.due = Some(Instant::now() + pause);
    }

    async fn judge(&self, declared: &Declared, dataset: &Dataset, memory: &mut RememberedRivals) -> Result<()> {
        let Some(server) = self.server.as_deref() else { return Ok(()) };
        if self.followed.is_read_only() {
            return Ok(());
        }
        let mut failed = None;
        let known = memory.incumbents.take().filter(|_| memory.commit == declared.commit);
        let in_service = match known {
            Some(known) => known,
            None => {
                let mut found = Vec::new();
                for one in incumbents(&declared.tree, &self.environment, dataset, &self.mlflow).await? {
                    match one {
                        Ok(incumbent) => found.push(incumbent),
                        Err(error) => {
                            failed.get_or_insert(Error::from(error));
                        }
                    }
                }
                found
            }
        };
        let are_all = failed.is_none();
        for incumbent in &in_service {
            // the others have their turn all the same
            if let Err(error) = self.judge_one(incumbent, dataset, server, &mut memory.judged).await {
                failed.get_or_insert(error);
            }
        }
        memory.incumbents = are_all.then_some(in_service);
        failed.map_or(Ok(()), Err)
    }

    async fn judge_one(
        &self,
        incumbent: &Incumbent,
        dataset: &Dataset,
        server: &str,
        judged: &mut BTreeSet<Judged>,
    ) -> Result<()> {
        let Some(rival) = incumbent.rival(&dataset.name, &self.mlflow).await? else { return Ok(()) };
        let margin = threshold(dataset.spec.monitor.as_ref().unwrap_or(&Monitor::undeclared()));
        let Rival { champion, challenger, trained_on: [before, after], .. } = &rival;
        let about = (champion.name.clone(), champion.number(), challenger.number(), margin.to_bits());
        if judged.contains(&about) {
            return Ok(());
        }
        // one that was opened is an answer, whatever became of it
        if self.promotion_of(challenger).await?.is_none() {
            let served = |version: &ModelVersion| Served::new(server, &version.name, version.number());
            let (one, other) = (served(champion)?, served(challenger)?);
            let cache = self.evidence_cache(dataset);
            let places = (&self.store, cache.as_path());
            let found = duel(&dataset.name, (before, &one), (after, &other), places, margin).await?;
            let (model, old, new, _) = &about;
            tracing::info!(event = "judged", "{model}: version {new} beside version {old} in service: {}", found.why());
            if found.is_better() && !self.promote(&rival, &found).await? {
                // git has another version in service by now, which the next commit says
                return Ok(());
            }
        }
        self.take_back(&rival).await?;
        judged.insert(about);
        Ok(())
    }

    /// Closes what a monitor proposed of other versions of the same training, while the promotion of the best one is open: trials end one after the other, and
    /// whoever merged an older one last would put a worse version into service.
    async fn take_back(&self, rival: &Rival) -> Result<()> {
        let Rival { challenger, others, .. } = rival;
        let Some(own) = self.promotion_of(challenger).await?.filter(Opened::is_open) else { return Ok(()) };
        let forge = &self.followed.remote.forge;
        for one in forge.list_open().await? {
            let is_of = |number: &u64| Promotion::is_one(&one, &challenger.name, *number, &self.environment);
            // a person's is a person's
            let is_of_a_monitor = one.author == own.author && Duel::is_told(&one.body);
            if is_of_a_monitor && others.iter().any(is_of) {
                must_lead(&self.leadership)?;
                forge.close(one.number).await?;
                tracing::info!(event = "promotion", "closed #{}: #{} is better", one.number, own.number);
            }
        }
        Ok(())
    }

    /// The first pull request that was to put a version into service, in any state.
    async fn promotion_of(&self, version: &ModelVersion) -> Result<Option<Opened>> {
        let opened = self.followed.remote.forge.opened_since(Promotion::earliest(version)).await?;
        let is_it = |one: &Opened| Promotion::is_one(one, &version.name, version.number(), &self.environment);
        Ok(opened.into_iter().filter(is_it).min_by_key(|one| one.number))
    }

    /// Opens the promotion. `false` if the newest commit has another version in service than the one it was compared with.
    async fn promote(&self, rival: &Rival, duel: &Duel) -> Result<bool> {
        let Followed { git, remote, .. } = &self.followed;
        let Rival { champion, challenger, .. } = rival;
        let promotion = Promotion::prepare(git, remote, &self.environment, challenger).await?;
        if promotion.replaces() != Some(champion.number()) {
            return Ok(false);
        }
        let preface = duel.table([champion.number(), challenger.number()]);
        must_lead(&self.leadership)?;
        let opening = Opening { preface, is_reported: true, ..Opening::default() };
        let opened = promotion.open(git, remote, None, opening).await?;
        self.metrics.promotions.inc();
        tracing::info!(
            event = "promotion",
            "opened #{} to put version {} of {} into service",
            opened.number,
            challenger.version,
            challenger.name
        );
        let first = self.promotion_of(challenger).await?;
        first_stays::<Error>(&remote.forge, &self.leadership, first, opened).await?;
        Ok(true)
    }
}
