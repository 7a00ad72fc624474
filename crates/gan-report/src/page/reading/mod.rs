//! A run's curves in words: what someone with practice would say about them, each with the numbers behind it.
//!
//! Rules of thumb, not proofs, and never about how good the samples are, which no curve of a GAN shows. Where the rules
//! come from: Goodfellow, *NIPS 2016 Tutorial*, arXiv 1701.00160, sections 3.2.3 and 5 (a D that wins, oscillation); Radford
//! et al., arXiv 1511.06434; the advice that has gathered around training GANs since. In reading order: `trend` (windows,
//! medians, periods), `faults` (gaps, values that are no numbers, gradients), `balance` (who is winning), `course` (swings,
//! standstill, speed).

mod balance;
mod course;
mod faults;
mod trend;

use super::sections::{grouped, to_digits};
use super::{Reading, Tone};
use crate::Metrics;

/// Fewer logged steps than this say nothing about a course.
const FEWEST: usize = 30;

/// The sentences, the most serious first. Never empty: the last says what curves cannot tell.
pub fn reading(metrics: &Metrics) -> Vec<Reading> {
    let count = metrics.names().map(|name| metrics.series(name).len()).max().unwrap_or(0);
    let mut all = faults::all(metrics);
    if count < FEWEST {
        let text =
            format!("{count} logged steps are too few to read anything from the curves; that begins at {FEWEST}.");
        all.push(Reading { tone: Tone::Plain, text });
    } else {
        all.extend(balance::all(metrics));
        all.extend(course::all(metrics));
    }
    all.sort_by_key(|reading| reading.tone);
    let text =
        "Curves do not show how good or how varied the samples are, and losses of different runs cannot be compared: \
                look at the pictures."
            .into();
    all.push(Reading { tone: Tone::Plain, text });
    all
}

fn said(tone: Tone, text: String) -> Option<Reading> {
    Some(Reading { tone, text })
}

/// A value to three digits: more would pretend to more than a noisy curve tells.
fn short(value: f64) -> String {
    to_digits(value, 3)
}

/// A step with commas.
fn step(at: f64) -> String {
    grouped(at.max(0.0) as u64)
}

/// What users call a field.
fn called(field: &str) -> String {
    match field {
        "loss_d" => "D’s loss".into(),
        "loss_g" => "G’s loss".into(),
        "grad_norm_d" => "D’s gradient norm".into(),
        "grad_norm_g" => "G’s gradient norm".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests;
