//! Faults: missing lines, gradients that explode or vanish.

use super::trend::{Way, finite, level, tail, way};
use super::{Diagnosis, FEWEST, Severity, called, said, short, step};
use gan_report::Metrics;

pub(super) fn all(metrics: &Metrics) -> Vec<Diagnosis> {
    let norms = ["grad_norm_d", "grad_norm_g"].into_iter().filter_map(|field| gradient(metrics, field));
    gap(metrics).into_iter().chain(norms).collect()
}

/// Reports missing lines. A network that was not updated has no numbers, so all fields are considered together.
fn gap(metrics: &Metrics) -> Option<Diagnosis> {
    let longest = metrics.names().max_by_key(|name| metrics.series(name).len())?;
    let points = metrics.series(longest);
    let usual = super::trend::median(points.windows(2).map(|pair| pair[1].0 - pair[0].0));
    let widest = points.windows(2).max_by(|a, b| (a[1].0 - a[0].0).total_cmp(&(b[1].0 - b[0].0)))?;
    let (from, to) = (widest[0].0, widest[1].0);
    let wide = to - from > 10.0 * usual && points.len() >= FEWEST;
    let text =
        || format!("No numbers were logged between steps {} and {}: that part is unknown.", step(from), step(to));
    wide.then(text).and_then(|text| said(Severity::Warn, text))
}

/// Compares the end with the whole run, as a ratio of medians, or else reports single outlying steps.
fn gradient(metrics: &Metrics, field: &str) -> Option<Diagnosis> {
    let points = finite(metrics.series(field));
    if points.len() < FEWEST {
        return None;
    }
    let (usual, now) = (level(&points), level(tail(&points, 0.1)));
    let since = step(tail(&points, 0.1)[0].0);
    let (what, size, typical) = (called(field), short(now), short(usual));
    if now > 10.0 * usual {
        let severity = if now > 100.0 * usual { Severity::Bad } else { Severity::Warn };
        return said(
            severity,
            format!(
                "{what} grows: {size} since step {since}, its median over the run is {typical}. Gradients that explode end in values that are not finite; a lower rate helps."
            ),
        );
    }
    if now < 0.05 * usual {
        let severity = if now < 0.005 * usual { Severity::Bad } else { Severity::Warn };
        return said(
            severity,
            format!(
                "{what} vanishes: {size} since step {since}, its median over the run is {typical}. That network has all but stopped learning."
            ),
        );
    }
    if way(&points) == Way::Up && now > 3.0 * level(&points[..points.len() / 4]) {
        let early = short(level(&points[..points.len() / 4]));
        return said(
            Severity::Plain,
            format!("{what} rises steadily: {early} in the first quarter of the run, {size} since step {since}."),
        );
    }
    spike(&points, usual).and_then(|(at, value)| {
        let ratio = (value / usual).round();
        said(Severity::Plain, format!("{what} jumps to {} at step {}, {ratio} times its median {typical}. One such step can throw a run back; compare the losses there.", short(value), step(at)))
    })
}

/// Returns the highest value after the first tenth, in which gradients are usually large, if it is an outlier.
fn spike(points: &[(f64, f64)], usual: f64) -> Option<(f64, f64)> {
    let highest = tail(points, 0.9).iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (highest.1 > 30.0 * usual).then_some(highest)
}
