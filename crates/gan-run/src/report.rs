//! `report.html`: the contents of a run folder, collected for [`gan_report::Page`].
//!
//! Missing or damaged files lead to a sentence on the page, never to an error, because a report is most useful when
//! something went wrong. In reading order: this file (settings, numbers, networks), `diagnosis` (descriptions of the
//! numbers), `pictures` (the pictures in the folder).

mod diagnosis;
mod pictures;

use crate::error::{Error, Result};
use crate::evaluate;
use crate::folder::{EVALUATIONS, FEATURES, METRICS, MOST_SETTINGS, RunFolder, SETTINGS};
use crate::planes;
use crate::run_log::RunLog;
use crate::run_summary::RunSummary;
use diagnosis::trend::{finite, level, mean};
use gan_base::messages::counted;
use gan_base::regular_file;
use gan_core::summary::{Row, Summary, grouped};
use gan_metrics::embed::FeatureSpace;
use gan_metrics::{Metric, format_value, renamed};
use gan_report::{Card, Diagnosis, Severity};
use gan_report::{Metrics, NetworkTable, Page};
use gan_train::config::RunConfig;
use gan_train::layering;
use gan_train::{Architecture, Plan};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whether a process is working in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Steps are still being added.
    GoingOn,
    /// The run ended, was stopped, or was killed.
    AtRest,
}

/// Returns the page of the run in the folder `run`. The same folder gives the same page.
///
/// # Errors
/// If there is no run.
pub fn page(run: &Path, state: RunState) -> Result<Page> {
    if !RunFolder::is_run(run) {
        let problem = "holds no run: there is no config.toml written by gan train. Name a run's folder";
        return Err(Error::config(run.display().to_string(), problem));
    }
    let mut log = RunLog::new(run);
    let unreadable = log.grow().err().map(|problem| problem.to_string());
    let report = Report::of(run);
    let diagnoses = report.diagnosis(&log);
    Ok(report.page(&log, unreadable.as_deref(), state, diagnoses))
}

/// The contents of a run's page, for a page that is made again and again while the run's log grows.
pub struct Report {
    run: PathBuf,
    plan: Option<Plan>,
    /// What the page contains whatever the log contains.
    settled: Page,
}

impl Report {
    /// Reads the settings of the run in the folder `run`.
    pub fn of(run: &Path) -> Self {
        let mut settled = Page { title: title(run), ..Page::default() };
        let plan = settings(run, &mut settled);
        settled.names = Metric::all().map(|metric| (metric.key.into(), metric.title.into())).collect();
        settled.names.insert("penalty_d".into(), "Penalties on D’s gradient".into());
        if let Some(plan) = &plan {
            settled.lead = plan.config().description.clone();
            settled.networks = networks(plan);
        }
        Self { run: run.to_path_buf(), plan, settled }
    }

    /// Returns the plan of the run, if this version understands its settings.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// Describes the numbers of the log in words. This takes much longer than [`Report::page`], because it applies the rules of all alarms to
    /// each line.
    pub fn diagnosis(&self, log: &RunLog) -> Vec<Diagnosis> {
        let mut diagnoses = diagnosis::curves(&log.metrics);
        diagnoses.extend(diagnosis::alarms(&self.run, self.plan.as_ref(), &self.summary(log)));
        diagnoses.extend(planes::summary(&self.run.join(FEATURES)).map(|seen| features(&seen)));
        diagnoses.sort_by_key(|diagnosis| diagnosis.severity);
        diagnoses
    }

    /// Returns the page with the numbers of `log` and the pictures that exist now. `unreadable` is the reason why the log cannot be read.
    pub fn page(&self, log: &RunLog, unreadable: Option<&str>, state: RunState, diagnoses: Vec<Diagnosis>) -> Page {
        let mut page = self.settled.clone();
        page.metrics = log.metrics.clone();
        if state == RunState::GoingOn {
            page.notes
                .insert(0, "The run is still going on: this page shows it as it was when the page was made.".into());
        }
        page.notes.extend(missing(&self.run, log, unreadable));
        // Figures of earlier versions get their current names; the cards name their features.
        if let Some(evaluated) = evaluate::read(&self.run.join(EVALUATIONS)).first() {
            let features = FeatureSpace::of_name(&evaluated.card.embedder.name);
            let current = |name: &str| renamed::current(name, features).to_string();
            if page.metrics.names().any(|name| current(name) != name) {
                Arc::make_mut(&mut page.metrics).rename(current);
            }
        }
        (page.sequences, page.pictures) = pictures::found(&self.run, &mut page.notes);
        let progress = Progress::of(&page.metrics, self.plan());
        page.summary = summary(&progress, self.plan());
        page.cards = cards(&progress, &page);
        page.diagnoses = diagnoses;
        best_evaluation(&self.summary(log), &mut page);
        page
    }

    fn summary(&self, log: &RunLog) -> RunSummary {
        let best = self.plan().and_then(|plan| plan.config().evaluate.best);
        RunSummary::of_log(&self.run, best, log.alarms.clone(), log.steps())
    }
}

/// Adds the best evaluation with its card.
fn best_evaluation(run_summary: &RunSummary, page: &mut Page) {
    let Some(best) = &run_summary.best else { return };
    let step = grouped(best.step as usize);
    let floor = best.beside_floor();
    page.summary
        .push((format!("Best {}", best.metric.title), format!("{} at step {step}{floor}", format_value(best.value))));
    page.summary.extend(best.card.provenance().into_iter().map(|(name, value)| (format!("– {name}"), value)));
    let note = format!("at step {step}{floor}");
    let label = format!("Best {}", best.metric.title);
    let card = Card { label, value: format_value(best.value), note, severity: Severity::Plain };
    page.cards.insert(page.cards.len().min(1), card);
}

/// Real features that move while only G learns would be a bug in the training itself.
fn features(seen: &planes::Summary) -> Diagnosis {
    let severity = if seen.real_moved_by_g > 0.0 { Severity::Bad } else { Severity::Plain };
    Diagnosis { severity, text: format!("D’s features: {seen}.") }
}

/// Writes the page to `out` atomically.
///
/// # Errors
/// Those of [`page`], and if `out` cannot be written.
pub fn write(run: &Path, state: RunState, out: &Path) -> Result<()> {
    Ok(page(run, state)?.save(out)?)
}

/// Returns the folder's name, however its path is written.
fn title(run: &Path) -> String {
    let whole = run.canonicalize().unwrap_or_else(|_| run.to_path_buf());
    whole.file_name().map_or_else(|| run.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Adds the settings as text, and returns them as a plan if this version understands them.
fn settings(run: &Path, page: &mut Page) -> Option<Plan> {
    let path = run.join(SETTINGS);
    page.settings_toml = regular_file::read_to_string(&path, MOST_SETTINGS).unwrap_or_default();
    let plan = layering::from_file(&path).and_then(layering::read).and_then(RunConfig::check);
    plan.inspect_err(|problem| {
        page.notes.push(format!(
            "This version cannot use the run’s settings, so networks and length are not shown. config.toml: {problem}"
        ));
    })
    .ok()
}

/// Returns what is missing in the log.
fn missing(run: &Path, log: &RunLog, unreadable: Option<&str>) -> Option<String> {
    let absent = fs::metadata(run.join(METRICS)).err().map(|problem| problem.to_string());
    if let Some(problem) = unreadable.map(String::from).or(absent) {
        return Some(format!("There are no numbers: metrics.jsonl cannot be read ({problem})."));
    }
    if let Some((line, problem)) = log.damaged.first() {
        let count = log.damaged.len();
        let which = if count == 1 { "one line is".into() } else { format!("{count} lines are") };
        return Some(format!("metrics.jsonl: {which} damaged and left out, the first is line {line}: {problem}."));
    }
    let is_empty = log.metrics.names().next().is_none();
    is_empty.then(|| "No step has been logged yet.".into())
}

/// Progress of a run.
struct Progress {
    /// The last logged step.
    steps: u64,
    /// Number of steps of the run, if the settings specify steps.
    of: Option<u64>,
    /// Epochs completed before the last step.
    epoch: Option<u64>,
    /// Images per second, the median of the run.
    speed: Option<f64>,
    /// Seconds spent in steps.
    seconds: Option<f64>,
}

impl Progress {
    fn of(metrics: &Metrics, plan: Option<&Plan>) -> Self {
        let last = |name: &str| metrics.series(name).last().copied();
        let mut speeds = finite(metrics.series("images_per_s"));
        speeds.retain(|point| point.1 > 0.0);
        Self {
            steps: metrics.names().filter_map(|name| last(name).map(|point| point.0 as u64)).max().unwrap_or(0),
            of: plan.and_then(|plan| plan.config().train.steps),
            epoch: last("epoch").map(|point| point.1 as u64),
            speed: Some(level(&speeds)).filter(|median| !median.is_nan()),
            seconds: plan.and_then(|plan| seconds(&speeds, plan)),
        }
    }

    /// Returns `400 of 400`.
    fn steps(&self) -> String {
        let done = grouped(self.steps as usize);
        self.of.map_or(done.clone(), |of| format!("{done} of {}", grouped(of as usize)))
    }
}

/// Returns the total time from the logged speeds. If the networks alternate by epochs, steps of G see no images and have no speed.
fn seconds(speeds: &[(f64, f64)], plan: &Plan) -> Option<f64> {
    let train = &plan.config().train;
    if train.alternate == gan_train::config::Alternate::Epochs || speeds.is_empty() {
        return None;
    }
    let images = train.batch as f64 * train.d_steps as f64;
    let before = std::iter::once(0.0).chain(speeds.iter().map(|point| point.0));
    Some(before.zip(speeds).map(|(before, (step, speed))| (step - before) * images / speed).sum())
}

fn summary(progress: &Progress, plan: Option<&Plan>) -> Vec<(String, String)> {
    let mut rows = vec![("Steps".to_string(), progress.steps())];
    let mut row = |name: &str, value: String| rows.push((name.into(), value));
    if let Some(plan) = plan {
        let config = plan.config();
        let epochs = config.train.epochs.map(|of| format!(" of {of}")).unwrap_or_default();
        if let Some(epoch) = progress.epoch {
            row("Epochs finished", format!("{epoch}{epochs}"));
        }
        row("Preset", config.preset.clone());
        row("Data", format!("{}, samples {}", config.data.name(), shape(&plan.sample())));
        row("Batch", config.train.batch.to_string());
        row("Latent space", format!("{}, {}", counted(config.latent.dim, "number"), word(&config.latent.distribution)));
        row("Loss", word(&config.loss.kind));
        row("Precision", word(&config.train.precision));
        row("Seed", config.train.seed.to_string());
    }
    if let Some(speed) = progress.speed {
        row("Speed (median)", format!("{} images/s", grouped(speed.round() as usize)));
    }
    if let Some(seconds) = progress.seconds {
        row("Time in steps", format!("about {}", duration(seconds)));
    }
    rows
}

/// Returns the tables of G and D. A plan's layers fit together, so nothing can be missing.
fn networks(plan: &Plan) -> Vec<NetworkTable> {
    let table = |(name, network): (&str, &Architecture)| {
        let summary = Summary::new(name, &network.input, &network.layers).ok()?;
        let row = |row: &Row| {
            let multiply_adds = if row.multiply_adds == 0 { String::new() } else { grouped(row.multiply_adds) };
            let parameters = grouped(row.trained + row.fixed);
            [row.name.clone(), row.written(), shape(&row.output), parameters, multiply_adds]
        };
        let totals = summary.written_totals().into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        let rows = summary.rows.iter().map(row).collect();
        Some(NetworkTable { name: name.into(), input: shape(&network.input), rows, totals })
    };
    [("generator", &plan.generator), ("discriminator", &plan.discriminator)].into_iter().filter_map(table).collect()
}

/// Returns the name of a setting in a file.
fn word(setting: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(setting).unwrap_or_default();
    value.as_str().map_or_else(|| value.to_string(), String::from)
}

/// Formats a shape as papers do: `[1, 28, 28]` -> `1 × 28 × 28`.
fn shape(sides: &[usize]) -> String {
    sides.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ")
}

/// Formats a duration: `4.2 s`, `3 min 20 s`, `2 h 05 min`.
fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        0..60 => format!("{seconds:.1} s"),
        whole @ 60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        whole => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// Returns the cards: the steps, D's state at the end, the losses, and everything else that was measured.
fn cards(progress: &Progress, page: &Page) -> Vec<Card> {
    if progress.steps == 0 {
        return Vec::new();
    }
    let of = progress.of.map(|of| grouped(of as usize));
    let (note, severity) = match of {
        Some(_) if progress.of <= Some(progress.steps) => ("all requested steps".into(), Severity::Good),
        Some(of) => (format!("of {of} requested"), Severity::Plain),
        None => (String::new(), Severity::Plain),
    };
    let steps = Card { label: "Steps".into(), value: grouped(progress.steps as usize), note, severity };
    let last = |label: &str, field: &str| last_tenth(&page.metrics, label, field);
    let usual = [
        last("Accuracy of D", "accuracy_d"),
        last("D(x)", "d_real"),
        last("D(G(z)) before D’s step", "d_fake_before"),
        last("Loss of D", "loss_d"),
        last("Loss of G", "loss_g"),
    ];
    std::iter::once(steps).chain(page.measured_cards()).chain(usual.into_iter().flatten()).collect()
}

/// Returns the mean of the last tenth of a curve.
fn last_tenth(metrics: &Metrics, label: &str, field: &str) -> Option<Card> {
    let points = finite(metrics.series(field));
    let last = &points[points.len() - points.len().div_ceil(10)..];
    let since = last.first()?.0;
    let mean = mean(last);
    let note = format!("mean since step {}", grouped(since as usize));
    Some(Card { label: label.into(), value: format!("{mean:.3}"), note, severity: Severity::Plain })
}

/// Observer that writes the page when a run ends or stops.
pub(crate) struct ReportObserver {
    /// Folder of the run.
    pub folder: RunFolder,
}

impl crate::Observer for ReportObserver {
    fn finished(&mut self, _: crate::Outcome, trainer: &gan_train::Trainer) -> Result<()> {
        if trainer.step() == 0 {
            Ok(())
        } else {
            write(self.folder.path(), RunState::AtRest, &self.folder.join("report.html"))
        }
    }
}

#[cfg(test)]
mod tests;
