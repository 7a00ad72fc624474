//! What a run's numbers say: the alarms by the rules of `[alarms]`, and what someone with practice would say about the curves, each
//! with the numbers behind it.
//!
//! What is wrong is found by [`gan_alarms::RULES`] alone, the rules that watch a run while it goes on: the page cannot say that D has
//! won where no alarm would. The other sentences describe the curves. They are never about how good the samples are, which no curve of
//! a GAN shows. Where they come from: Goodfellow, *NIPS 2016 Tutorial*, arXiv 1701.00160, sections 3.2.3 and 5; Radford et al., arXiv
//! 1511.06434; the advice that has gathered around training GANs since. In reading order: `rules` (alarms), `faults` (gaps, gradients),
//! `balance` (who is ahead), `progress` (standstill, speed), `trend` (windows, medians).

mod balance;
mod faults;
mod progress;
mod rules;
mod trend;

use gan_core::summary::grouped;
use gan_report::page::{Diagnosis, Severity};
use gan_report::{Metrics, to_digits};

pub(super) use rules::alarms;

/// Fewer logged steps than this say nothing about a curve.
const FEWEST: usize = 30;

/// The curves in words. Never empty: the last says what curves cannot tell.
pub(super) fn curves(metrics: &Metrics) -> Vec<Diagnosis> {
    let count = metrics.names().map(|name| metrics.series(name).len()).max().unwrap_or(0);
    let mut all = faults::all(metrics);
    if count < FEWEST {
        let text =
            format!("{count} logged steps are too few to read anything from the curves; that begins at {FEWEST}.");
        all.push(Diagnosis { severity: Severity::Plain, text });
    } else {
        all.extend(balance::all(metrics));
        all.extend(progress::all(metrics));
    }
    let text =
        "Curves do not show how good or how varied the samples are, and losses of different runs cannot be compared: \
                look at the pictures."
            .into();
    all.push(Diagnosis { severity: Severity::Plain, text });
    all
}

fn said(severity: Severity, text: String) -> Option<Diagnosis> {
    Some(Diagnosis { severity, text })
}

/// A value to three digits: more would pretend to more than a noisy curve tells.
fn short(value: f64) -> String {
    to_digits(value, 3)
}

/// A step with commas.
fn step(at: f64) -> String {
    grouped(at.max(0.0) as usize)
}

/// What users call a field.
fn called(field: &str) -> String {
    match field {
        "grad_norm_d" => "D’s gradient norm".into(),
        "grad_norm_g" => "G’s gradient norm".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests;
