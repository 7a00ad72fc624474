//! Who is winning: D's accuracy, what it says to real and generated samples, and the way of the losses.

use super::trend::{Way, buckets, finite, level, mean, tail, way};
use super::{Reading, Tone, said, short, step};
use crate::Metrics;

/// D's accuracy from which on G's signal is in doubt.
const ALMOST_ALWAYS: f64 = 0.95;

pub(super) fn all(metrics: &Metrics) -> Vec<Reading> {
    let winning = losing_ground(metrics);
    let accuracy = too_accurate(metrics);
    let nothing_left = loss_near_nothing(metrics);
    let even = if accuracy.is_none() { balanced(metrics) } else { None };
    let quiet = winning.is_none() && accuracy.is_none() && nothing_left.is_none() && even.is_none();
    let ahead = if quiet { lead(metrics) } else { None };
    [winning, accuracy, nothing_left, even, ahead].into_iter().flatten().collect()
}

/// Whether `metrics` holds probabilities under `field`; a critic's scores go by the same names.
fn probabilities(metrics: &Metrics, field: &str) -> Option<Vec<(f64, f64)>> {
    let points = finite(metrics.series(field));
    let bounded = points.iter().all(|point| (0.0..=1.0).contains(&point.1));
    (bounded && points.len() >= super::FEWEST).then_some(points)
}

/// D is right almost always, without a break until the end, for a tenth of the run at least.
fn too_accurate(metrics: &Metrics) -> Option<Reading> {
    let points = probabilities(metrics, "accuracy_d")?;
    let parts = buckets(&points, 50);
    let held = parts.iter().rev().take_while(|part| part.1 >= ALMOST_ALWAYS).count();
    let since = parts.get(parts.len() - held)?.0;
    if held * 10 < parts.len() {
        return None;
    }
    let stretch: Vec<_> = points.iter().copied().filter(|point| point.0 >= since).collect();
    let last = points.last().map_or(since, |point| point.0);
    let mut text = format!(
        "D judges {:.1} % of the samples correctly over the last {} steps (since step {}): G gets little to go by.",
        100.0 * mean(&stretch),
        step(last - since),
        step(since)
    );
    let says = probabilities(metrics, "d_fake_after").map(|fake| level(tail(&fake, 0.1)));
    let hopeless = says.is_some_and(|says| says < 0.02);
    if let Some(says) = says {
        text += &format!(" D(G(z)) after D’s step is {} by now.", short(says));
    }
    text += " A lower rate for D, smoothed labels or dropout in D give G a chance; if the pictures still improve, leave it.";
    said(if hopeless && held * 2 > parts.len() { Tone::Bad } else { Tone::Warn }, text)
}

/// Both answers of D close to a half.
fn balanced(metrics: &Metrics) -> Option<Reading> {
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
    near.then(text).and_then(|text| said(Tone::Good, text))
}

/// G's loss climbs while D's sinks, over the second half.
fn losing_ground(metrics: &Metrics) -> Option<Reading> {
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
        Tone::Warn,
        format!(
            "D is winning: from step {from} to {to} G’s loss rose from {g_from} to {g_to} while D’s fell from {d_from} to {d_to}."
        ),
    )
}

/// A cross-entropy of D that is next to nothing. Losses that go below 0 are another kind, for which 0 means nothing.
fn loss_near_nothing(metrics: &Metrics) -> Option<Reading> {
    let points = finite(metrics.series("loss_d"));
    probabilities(metrics, "d_real")?;
    let now = level(tail(&points, 0.25));
    let small = points.iter().all(|point| point.1 >= 0.0) && now < 0.05;
    let since = step(tail(&points, 0.25).first()?.0);
    let text = || {
        format!(
            "D’s loss is next to nothing: {} in the median since step {since}. It has nothing left to learn from G’s samples, and G little to learn from it.",
            short(now)
        )
    };
    small.then(text).and_then(|text| said(Tone::Bad, text))
}

/// Where nothing stands out: how far D is ahead.
fn lead(metrics: &Metrics) -> Option<Reading> {
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
        Tone::Plain,
        format!("Since step {since} D(x) is {} and D(G(z)) {} in the mean: {how}.", short(on_real), short(on_fake)),
    )
}
