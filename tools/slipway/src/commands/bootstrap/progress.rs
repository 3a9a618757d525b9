//! How bootstrap shows what happens: with spinners on a terminal, otherwise with a line for each thing that is done.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use slipway_cluster::{Component, Event, Step, Summary};

use crate::context::Context;

/// Shows the events of a run.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    context: &'a Context,
    dry_run: bool,
    /// `None` if standard error is not a terminal.
    bars: Option<MultiProgress>,
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    step: Option<ProgressBar>,
    components: BTreeMap<String, ProgressBar>,
    /// When each Application became healthy, as it was last shown.
    healthy_after: BTreeMap<String, Duration>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(context: &'a Context, dry_run: bool) -> Self {
        let watched = !context.is_json() && std::io::stderr().is_terminal();
        Self { context, dry_run, bars: watched.then(MultiProgress::new), shown: Mutex::default() }
    }

    /// Shows an event.
    pub(crate) fn show(&self, event: Event) {
        let Ok(mut shown) = self.shown.lock() else { return };
        match event {
            Event::Began(step) => shown.step = self.bar(title(step)),
            Event::Applied(_, what, outcome) => {
                use slipway_cluster::Outcome;
                if self.dry_run && outcome != Outcome::Unchanged {
                    let mark = if outcome == Outcome::Created { "+" } else { "~" };
                    self.say(&format!("  {mark} {what}"));
                } else if let Some(bar) = &shown.step {
                    bar.set_message(what);
                }
            }
            Event::Waiting(_, waiting) => {
                if let Some(bar) = &shown.step {
                    bar.set_message(format!("waiting for {}", waiting.join(", ")));
                }
            }
            Event::Done(step, took, summary) => {
                if let Some(bar) = shown.step.take() {
                    bar.finish_and_clear();
                }
                for bar in std::mem::take(&mut shown.components).into_values() {
                    bar.finish_and_clear();
                }
                let line = format!("{:<24} {:>6.1} s  {}", title(step), took.as_secs_f64(), sum(summary));
                self.say(&format!("{} {}", self.context.paint("32", "✓"), line.trim_end()));
            }
            Event::Applications(components) => {
                for (component, healthy_after) in components {
                    self.component(&mut shown, &component, healthy_after);
                }
            }
        }
    }

    /// Clears the spinners.
    pub(crate) fn end(&self) {
        if let Some(bars) = &self.bars {
            let _ = bars.clear();
        }
    }

    fn component(&self, shown: &mut Shown, component: &Component, healthy_after: Option<Duration>) {
        match healthy_after {
            Some(after) if shown.healthy_after.get(&component.name) != Some(&after) => {
                shown.healthy_after.insert(component.name.clone(), after);
                if let Some(bar) = shown.components.remove(&component.name) {
                    bar.finish_and_clear();
                }
                let mark = self.context.paint("32", "✓");
                let state = format!("{}, {}", component.sync, component.health);
                self.say(&format!("  {mark} {:<22} {:>6.1} s  {state}", component.name, after.as_secs_f64()));
            }
            Some(_) => {}
            None => {
                if shown.healthy_after.remove(&component.name).is_some() {
                    self.say(&format!("  … {:<22} {}, {} again", component.name, component.sync, component.health));
                }
                if !shown.components.contains_key(&component.name)
                    && let Some(bar) = self.bar(&component.name)
                {
                    shown.components.insert(component.name.clone(), bar);
                }
                if let Some(bar) = shown.components.get(&component.name) {
                    let state = if component.sync.is_empty() {
                        "waiting".to_owned()
                    } else {
                        format!("{}, {}", component.sync, component.health)
                    };
                    let line = component.message.lines().next().unwrap_or_default();
                    bar.set_message(format!("{state} {line}"));
                }
            }
        }
    }

    fn bar(&self, prefix: &str) -> Option<ProgressBar> {
        let bar = self.bars.as_ref()?.add(ProgressBar::new_spinner());
        let style = ProgressStyle::with_template("{spinner} {prefix:<24} {elapsed:>5} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_prefix(prefix.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Some(bar)
    }

    fn say(&self, line: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| self.context.progress(line)),
            None => self.context.progress(line),
        }
    }
}

fn title(step: Step) -> &'static str {
    match step {
        Step::Namespaces => "namespaces",
        Step::Credentials => "credentials",
        Step::ArgoCd => "Argo CD",
        Step::Jobs => "training jobs",
        Step::Root => "root Application",
        Step::Tree => "everything else",
    }
}

fn sum(summary: Summary) -> String {
    let parts = [(summary.created, "created"), (summary.changed, "changed"), (summary.unchanged, "unchanged")];
    let parts: Vec<String> =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")).collect();
    parts.join(", ")
}
