//! Diagnosis of a run's numbers: the alarms by the rules of `[alarms]`, and an expert's description of the curves, each with its numbers.
//!
//! Only [`gan_alarms::RULES`], the rules that watch a run, find faults: the page cannot claim that D has won if no alarm would. The other
//! sentences describe the curves. They never describe the quality of the samples, which no curve of a GAN shows. Sources: Goodfellow, *NIPS
//! 2016 Tutorial*, arXiv 1701.00160, sections 3.2.3 and 5; Radford et al., arXiv 1511.06434; and common advice on training GANs. In reading
//! order: `rules` (alarms), `faults` (gaps, gradients), `balance` (which network is ahead), `progress` (standstill, speed), `trend`
//! (windows, medians).

mod balance;
mod faults;
mod progress;
mod rules;
mod trend;

use gan_core::summary::grouped;
use gan_report::page::{Diagnosis, Severity};
use gan_report::{Metrics, to_digits};

pub(super) use rules::alarms;

/// Minimum number of logged steps for a description of a curve.
const FEWEST: usize = 30;

/// Describes the curves. Never empty: the last sentence is about what curves cannot show.
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

/// Formats a value with three digits, because a noisy curve does not justify more.
fn short(value: f64) -> String {
    to_digits(value, 3)
}

/// Formats a step with commas.
fn step(at: f64) -> String {
    grouped(at.max(0.0) as usize)
}

/// Returns the users' name of a field.
fn called(field: &str) -> String {
    match field {
        "grad_norm_d" => "D’s gradient norm".into(),
        "grad_norm_g" => "G’s gradient norm".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests;
