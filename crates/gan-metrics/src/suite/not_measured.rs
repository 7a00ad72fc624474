//! Metrics that could not be measured, and why: for a note on the card.

use crate::error::{Error, Result};
use crate::metrics::MetricRef;

/// The metrics left out so far, those with the same reason together.
#[derive(Default)]
pub(super) struct NotMeasured {
    reasons: Vec<(String, Vec<MetricRef>)>,
    /// The first error, for when nothing is left.
    first: Option<Error>,
}

impl NotMeasured {
    /// What was measured; nothing where the samples do not allow it, which is noted.
    ///
    /// # Errors
    /// Any other error.
    pub(super) fn unless<T>(&mut self, measured: Result<T>, metric: MetricRef) -> Result<Option<T>> {
        let error = match measured {
            Ok(measured) => return Ok(Some(measured)),
            Err(error @ (Error::TooFew { .. } | Error::Values { .. })) => error,
            Err(error) => return Err(error),
        };
        let reason = match &error {
            // Without the metric's name, so that those with the same reason come together.
            Error::TooFew { what, found, needed, advice, .. } => {
                let verb = if *found == 1 { "sample is" } else { "samples are" };
                format!("{found} {what} {verb} too few, at least {needed} are needed: {advice}")
            }
            other => other.to_string(),
        };
        match self.reasons.iter_mut().find(|known| known.0 == reason) {
            Some((_, metrics)) => metrics.push(metric),
            None => self.reasons.push((reason, vec![metric])),
        }
        self.first.get_or_insert(error);
        Ok(None)
    }

    /// A note for each reason, beside `figures` figures.
    ///
    /// # Errors
    /// The first reason, where there is no figure and some metric was left out.
    pub(super) fn notes(self, figures: usize) -> Result<Vec<String>> {
        if let (0, Some(error)) = (figures, self.first) {
            return Err(error);
        }
        let note = |(reason, metrics): &(String, Vec<MetricRef>)| {
            let names: Vec<&str> = metrics.iter().map(|metric| metric.key()).collect();
            format!("not measured: {}: {reason}", names.join(", "))
        };
        Ok(self.reasons.iter().map(note).collect())
    }
}
