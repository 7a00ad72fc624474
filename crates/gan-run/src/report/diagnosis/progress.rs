//! Progress of the run: standstill, changes of speed.

use super::trend::{buckets, finite, level, spread, tail};
use super::{Diagnosis, Severity, said, short, step};
use gan_report::Metrics;

pub(super) fn all(metrics: &Metrics) -> Vec<Diagnosis> {
    [level_since(metrics), speed(metrics)].into_iter().flatten().collect()
}

/// Reports since when both losses have kept their final level.
fn level_since(metrics: &Metrics) -> Option<Diagnosis> {
    let [d, g] = ["loss_d", "loss_g"].map(|field| still_from(&finite(metrics.series(field))));
    let from = d?.0.max(g?.0);
    let (d, g) = (short(d?.1), short(g?.1));
    let since =
        if from <= first_step(metrics) { "from the start".into() } else { format!("since about step {}", step(from)) };
    said(
        Severity::Plain,
        format!(
            "Both losses have been level {since}, D’s at {d}, G’s at {g}. That is an equilibrium of the game, no sign that learning is over: samples often go on improving."
        ),
    )
}

fn first_step(metrics: &Metrics) -> f64 {
    metrics.series("loss_d").first().map_or(0.0, |point| point.0)
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
    if points.len() < 2 * super::FEWEST {
        return None;
    }
    let early = &points[points.len() / 20..points.len() * 3 / 10];
    let (before, now) = (level(early), level(tail(&points, 0.25)));
    let since = step(tail(&points, 0.25)[0].0);
    let (was, is) = (short(before), short(now));
    match now / before {
        ratio if ratio < 0.75 => said(
            Severity::Warn,
            format!(
                "Training became slower: {is} images a second since step {since}, {was} before. Something else may be using the machine."
            ),
        ),
        ratio if ratio > 1.4 => said(
            Severity::Plain,
            format!(
                "Training became faster: {is} images a second since step {since}, {was} before. Something else may have used the machine at first."
            ),
        ),
        _ => None,
    }
}
