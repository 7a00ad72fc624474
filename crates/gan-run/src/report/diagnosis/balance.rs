//! Balance of the networks: D's outputs for real and generated samples, and the trends of the losses. The rules of alarms decide whether
//! one has won.

use super::trend::{Way, buckets, finite, mean, tail, way};
use super::{Diagnosis, Severity, said, short, step};
use gan_report::Metrics;

pub(super) fn all(metrics: &Metrics) -> Vec<Diagnosis> {
    [parting(metrics), balanced(metrics).or_else(|| lead(metrics))].into_iter().flatten().collect()
}

/// Returns whether `metrics` holds probabilities under `field`; a critic's scores have the same names.
fn probabilities(metrics: &Metrics, field: &str) -> Option<Vec<(f64, f64)>> {
    let points = finite(metrics.series(field));
    let bounded = points.iter().all(|point| (0.0..=1.0).contains(&point.1));
    (bounded && points.len() >= super::FEWEST).then_some(points)
}

/// Reports that both outputs of D are close to a half.
fn balanced(metrics: &Metrics) -> Option<Diagnosis> {
    let [real, fake] = ["d_real", "d_fake_before"].map(|field| probabilities(metrics, field));
    let (real, fake) = (real?, fake?);
    let (on_real, on_fake) = (mean(tail(&real, 0.25)), mean(tail(&fake, 0.25)));
    let since = step(tail(&real, 0.25)[0].0);
    let near = (on_real - 0.5).abs() < 0.1 && (on_fake - 0.5).abs() < 0.1;
    let text = || {
        format!(
            "D(x) {} and D(G(z)) {} are both near 0.5 since step {since}: the players are in balance. Either the samples are good or D is too weak to tell; the curves cannot say which.",
            short(on_real),
            short(on_fake)
        )
    };
    near.then(text).and_then(|text| said(Severity::Good, text))
}

/// Reports that G's loss rises while D's falls, over the second half.
fn parting(metrics: &Metrics) -> Option<Diagnosis> {
    let [d, g] = ["loss_d", "loss_g"].map(|field| finite(metrics.series(field)));
    if d.len().min(g.len()) < super::FEWEST {
        return None;
    }
    let (d, g) = (tail(&d, 0.5), tail(&g, 0.5));
    if (way(d), way(g)) != (Way::Down, Way::Up) {
        return None;
    }
    let ends = |points: &[(f64, f64)]| {
        let parts = buckets(points, 8);
        [parts.first(), parts.last()].map(|part| short(part.map_or(f64::NAN, |p| p.1)))
    };
    let ([d_from, d_to], [g_from, g_to]) = (ends(d), ends(g));
    let (from, to) = (step(g[0].0), step(g[g.len() - 1].0));
    said(
        Severity::Plain,
        format!(
            "From step {from} to {to} G’s loss rose from {g_from} to {g_to} while D’s fell from {d_from} to {d_to}."
        ),
    )
}

/// Reports how far D is ahead.
fn lead(metrics: &Metrics) -> Option<Diagnosis> {
    let [real, fake] = ["d_real", "d_fake_before"].map(|field| probabilities(metrics, field));
    let (real, fake) = (real?, fake?);
    let (on_real, on_fake) = (mean(tail(&real, 0.25)), mean(tail(&fake, 0.25)));
    let since = step(tail(&real, 0.25)[0].0);
    let how = match on_real - on_fake {
        gap if gap > 0.6 => "D tells them apart well, as is usual early in a run",
        gap if gap > 0.3 => "D is clearly ahead, as in most runs",
        gap if gap > 0.15 => "D is ahead, and not by much",
        gap if gap > -0.15 => "D hardly tells them apart",
        _ => "D takes generated samples for real ones more often than real ones: it is behind",
    };
    said(
        Severity::Plain,
        format!("Since step {since} D(x) is {} and D(G(z)) {} in the mean: {how}.", short(on_real), short(on_fake)),
    )
}
