//! Diagnosis of a run's numbers: the alarms by the rules of `[alarms]`, and an expert's description of the curves, each with its numbers.
//!
//! Only [`gan_alarms::RULES`], the rules that watch a run, find faults: the page cannot claim that D has won if no alarm would. The other
//! sentences describe the curves. They never describe the quality of the samples, which no curve of a GAN shows. Sources: Goodfellow, *NIPS
//! 2016 Tutorial*, arXiv 1701.00160, sections 3.2.3 and 5; Radford et al., arXiv 1511.06434; and common advice on training GANs.

pub(super) mod trend;

use self::trend::{Way, buckets, finite, level, mean, median, spread, tail, way};
use crate::folder::METRICS;
use crate::log::lines;
use crate::run_summary::{Best, RunSummary};
use gan_alarms::{Alarm, RunContext, Watch};
use gan_core::summary::grouped;
use gan_report::{Diagnosis, Metrics, Severity, to_digits};
use gan_train::config::Policy;
use gan_train::{Length, Plan};
use std::path::Path;

/// Minimum number of logged steps for a description of a curve.
const FEWEST: usize = 30;

/// Describes the curves. Never empty: the last sentence is about what curves cannot show.
pub(super) fn curves(metrics: &Metrics) -> Vec<Diagnosis> {
    let count = metrics.names().map(|name| metrics.series(name).len()).max().unwrap_or(0);
    let mut all = vec![gap(metrics), gradient(metrics, "grad_norm_d", "D"), gradient(metrics, "grad_norm_g", "G")];
    if count < FEWEST {
        all.push(plain(format!(
            "{count} logged steps are too few to read anything from the curves; that begins at {FEWEST}."
        )));
    } else {
        all.extend([parting(metrics), balance(metrics), level_since(metrics), speed(metrics)]);
    }
    all.push(plain(
        "Curves do not show how good or how varied the samples are, and losses of different runs cannot be compared: look at the pictures.",
    ));
    all.into_iter().flatten().collect()
}

fn diagnosis(severity: Severity, text: impl Into<String>) -> Option<Diagnosis> {
    Some(Diagnosis { severity, text: text.into() })
}

fn plain(text: impl Into<String>) -> Option<Diagnosis> {
    diagnosis(Severity::Plain, text)
}

/// Formats a value with three digits, because a noisy curve does not justify more.
fn short(value: f64) -> String {
    to_digits(value, 3)
}

/// Formats the step of the first of some points.
fn since(points: &[(f64, f64)]) -> String {
    points.first().map_or_else(String::new, |point| step(point.0))
}

/// Formats a step with commas.
fn step(at: f64) -> String {
    grouped(at.max(0.0) as usize)
}

/// Describes the alarms of the run in the folder `run`; those that the rules find need its plan.
pub(super) fn alarms(run: &Path, plan: Option<&Plan>, summary: &RunSummary) -> Vec<Diagnosis> {
    let raised = summary.alarms.iter().map(|raised| {
        let done = if raised.done == Policy::Rollback { " The run was taken back to its best state." } else { "" };
        Diagnosis { severity: Severity::Bad, text: in_words(&raised.alarm, done) }
    });
    let found = plan.map(|plan| found(run, plan, summary)).unwrap_or_default();
    let is_new =
        |alarm: &Alarm| !summary.alarms.iter().any(|old| old.alarm.rule == alarm.rule && old.alarm.at == alarm.at);
    let others = found.into_iter().filter(is_new).map(|alarm| {
        let is_off = plan.is_some_and(|plan| plan.config().alarms.policy(alarm.rule) == Policy::Off);
        let note = if is_off { " The settings turn this alarm off." } else { "" };
        Diagnosis { severity: if is_off { Severity::Warn } else { Severity::Bad }, text: in_words(&alarm, note) }
    });
    raised.chain(others).collect()
}

fn in_words(alarm: &Alarm, note: &str) -> String {
    let Alarm { rule, at, evidence, advice } = alarm;
    let at = grouped(*at as usize);
    format!("Alarm at step {at}, {}: {evidence}.{note} What helps: {advice}.", rule.title)
}

/// Returns what the rules find in metrics.jsonl.
fn found(run: &Path, plan: &Plan, summary: &RunSummary) -> Vec<Alarm> {
    let total = match plan.length() {
        Length::Steps(steps) => steps,
        // The number of steps in an epoch depends on the data, which may not be available.
        Length::Epochs(_) => summary.steps,
    };
    let best = summary.best.as_ref();
    let mut watch = Watch::new(RunContext {
        total,
        best: best.map(|best| (best.metric.key.to_string(), best.metric.better)),
        floor: best.and_then(Best::floor),
        loss: plan.config().loss.kind.properties(),
    });
    lines(&run.join(METRICS)).flat_map(|line| watch.see(&line)).collect()
}

/// Reports missing lines. A network that was not updated has no numbers, so all fields are considered together.
fn gap(metrics: &Metrics) -> Option<Diagnosis> {
    let longest = metrics.names().max_by_key(|name| metrics.series(name).len())?;
    let points = metrics.series(longest);
    let usual = median(points.windows(2).map(|pair| pair[1].0 - pair[0].0));
    let widest = points.windows(2).max_by(|a, b| (a[1].0 - a[0].0).total_cmp(&(b[1].0 - b[0].0)))?;
    let [from, to] = [widest[0].0, widest[1].0];
    if to - from <= 10.0 * usual || points.len() < FEWEST {
        return None;
    }
    let text = format!("No numbers were logged between steps {} and {}: that part is unknown.", step(from), step(to));
    diagnosis(Severity::Warn, text)
}

/// Compares a network's gradient norms at the end with the whole run, as a ratio of medians, or else reports single outlying steps.
fn gradient(metrics: &Metrics, field: &str, network: &str) -> Option<Diagnosis> {
    let points = finite(metrics.series(field));
    if points.len() < FEWEST {
        return None;
    }
    let end = tail(&points, 0.1);
    let usual = level(&points);
    let now = level(end);
    let [size, typical] = [now, usual].map(short);
    let what = format!("{network}’s gradient norm");
    let since = since(end);
    if now > 10.0 * usual {
        let severity = if now > 100.0 * usual { Severity::Bad } else { Severity::Warn };
        let text = format!("{what} grows: {size} since step {since}, its median over the run is {typical}.");
        return diagnosis(
            severity,
            text + " Gradients that explode end in values that are not finite; a lower rate helps.",
        );
    }
    if now < 0.05 * usual {
        let severity = if now < 0.005 * usual { Severity::Bad } else { Severity::Warn };
        let text = format!("{what} vanishes: {size} since step {since}, its median over the run is {typical}.");
        return diagnosis(severity, text + " That network has all but stopped learning.");
    }
    let early = level(&points[..points.len() / 4]);
    if way(&points) == Way::Up && now > 3.0 * early {
        let early = short(early);
        return plain(format!(
            "{what} rises steadily: {early} in the first quarter of the run, {size} since step {since}."
        ));
    }
    // Gradients are usually large in the first tenth.
    let (at, highest) = tail(&points, 0.9).iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
    if highest <= 30.0 * usual {
        return None;
    }
    let ratio = (highest / usual).round();
    plain(format!(
        "{what} jumps to {} at step {}, {ratio} times its median {typical}. One such step can throw a run back; compare the losses there.",
        short(highest),
        step(at)
    ))
}

/// Reports that G's loss rises while D's falls, over the second half.
fn parting(metrics: &Metrics) -> Option<Diagnosis> {
    let [d, g] = ["loss_d", "loss_g"].map(|field| finite(metrics.series(field)));
    if d.len().min(g.len()) < FEWEST {
        return None;
    }
    let [d, g] = [tail(&d, 0.5), tail(&g, 0.5)];
    if way(d) != Way::Down || way(g) != Way::Up {
        return None;
    }
    let ends = |points: &[(f64, f64)]| {
        let parts = buckets(points, 8);
        [parts.first(), parts.last()].map(|part| short(part.map_or(f64::NAN, |p| p.1)))
    };
    let [d_from, d_to] = ends(d);
    let [g_from, g_to] = ends(g);
    let [from, to] = [g[0].0, g[g.len() - 1].0].map(step);
    plain(format!(
        "From step {from} to {to} G’s loss rose from {g_from} to {g_to} while D’s fell from {d_from} to {d_to}."
    ))
}

/// Describes D's outputs for real and generated samples: both near a half, or how far D is ahead.
fn balance(metrics: &Metrics) -> Option<Diagnosis> {
    let real = probabilities(metrics, "d_real")?;
    let fake = probabilities(metrics, "d_fake_before")?;
    let [on_real, on_fake] = [&real, &fake].map(|points| mean(tail(points, 0.25)));
    let [d_real, d_fake] = [on_real, on_fake].map(short);
    let since = since(tail(&real, 0.25));
    if (on_real - 0.5).abs() < 0.1 && (on_fake - 0.5).abs() < 0.1 {
        let text = format!(
            "D(x) {d_real} and D(G(z)) {d_fake} are both near 0.5 since step {since}: the players are in balance."
        );
        return diagnosis(
            Severity::Good,
            text + " Either the samples are good or D is too weak to tell; the curves cannot say which.",
        );
    }
    let how = match on_real - on_fake {
        gap if gap > 0.6 => "D tells them apart well, as is usual early in a run",
        gap if gap > 0.3 => "D is clearly ahead, as in most runs",
        gap if gap > 0.15 => "D is ahead, and not by much",
        gap if gap > -0.15 => "D hardly tells them apart",
        _ => "D takes generated samples for real ones more often than real ones: it is behind",
    };
    plain(format!("Since step {since} D(x) is {d_real} and D(G(z)) {d_fake} in the mean: {how}."))
}

/// Returns the values of `field` if they are probabilities; a critic's scores have the same names.
fn probabilities(metrics: &Metrics, field: &str) -> Option<Vec<(f64, f64)>> {
    let points = finite(metrics.series(field));
    let is_bounded = points.iter().all(|point| (0.0..=1.0).contains(&point.1));
    (is_bounded && points.len() >= FEWEST).then_some(points)
}

/// Reports since when both losses have kept their final level.
fn level_since(metrics: &Metrics) -> Option<Diagnosis> {
    let [d, g] = ["loss_d", "loss_g"].map(|field| still_from(&finite(metrics.series(field))));
    let [d, g] = [d?, g?];
    let from = d.0.max(g.0);
    let start = metrics.series("loss_d").first().map_or(0.0, |point| point.0);
    let since = if from <= start { "from the start".into() } else { format!("since about step {}", step(from)) };
    let [d, g] = [d, g].map(|level| short(level.1));
    plain(format!(
        "Both losses have been level {since}, D’s at {d}, G’s at {g}. That is an equilibrium of the game, no sign that learning is over: samples often go on improving."
    ))
}

/// Returns (first step, level) of the last interval in which the curve's parts stay close to their final level: within the noise between
/// neighboring parts, or a twentieth. It is at least a quarter of the run.
fn still_from(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let parts = buckets(points, 40);
    if parts.len() < 20 {
        return None;
    }
    let end = tail(&parts, 0.25);
    let now = level(end);
    let room = (2.5 * spread(end)).max(0.05 * now.abs());
    let held = parts.iter().rev().take_while(|part| (part.1 - now).abs() <= room).count();
    let first = parts.get(parts.len() - held)?.0;
    // If the end itself varies, nothing is level.
    (spread(end) <= 0.15 * now.abs() && held * 4 >= parts.len()).then_some((first, now))
}

/// Compares the speed of the last quarter with that of the quarter after the start.
fn speed(metrics: &Metrics) -> Option<Diagnosis> {
    let all = finite(metrics.series("images_per_s"));
    let points: Vec<_> = all.into_iter().filter(|point| point.1 > 0.0).collect();
    if points.len() < 2 * FEWEST {
        return None;
    }
    let end = tail(&points, 0.25);
    let before = level(&points[points.len() / 20..points.len() * 3 / 10]);
    let now = level(end);
    let [was, is] = [before, now].map(short);
    let since = since(end);
    match now / before {
        ratio if ratio < 0.75 => diagnosis(
            Severity::Warn,
            format!(
                "Training became slower: {is} images a second since step {since}, {was} before. Something else may be using the machine."
            ),
        ),
        ratio if ratio > 1.4 => plain(format!(
            "Training became faster: {is} images a second since step {since}, {was} before. Something else may have used the machine at first."
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
