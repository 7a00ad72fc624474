//! Adaptive augmentation (Karras et al. 2020, arXiv:2006.06676): its probability follows from how surely D tells real samples from generated
//! ones.

use super::{StepReport, Trainer};
use crate::step::DUpdate;
use gan_core::Augment;
use serde::{Deserialize, Serialize};

/// Number of updates of D between two adjustments, as in the paper.
const INTERVAL: u32 = 4;

/// Probability of augmentations, and what it is adjusted by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Adaptive {
    /// Probability of each augmentation, from 0 to 1.
    pub probability: f64,
    /// Sum of r_t since the last adjustment.
    sum: f64,
    /// Number of updates since then.
    updates: u32,
}

impl Adaptive {
    /// Starts with the probability of the settings, if they adjust it.
    pub fn of(augment: &Augment) -> Option<Self> {
        augment.adaptive.map(|_| Self { probability: augment.probability, sum: 0.0, updates: 0 })
    }

    /// Counts an update of D with `rt` on a batch. After every fourth, the probability moves by that many images' part of
    /// `augment.adaptive_images`: up if the mean of r_t is above the target, down if it is below.
    pub fn follow(&mut self, rt: f64, batch: usize, augment: &Augment) {
        self.sum += rt;
        self.updates += 1;
        let (Some(target), INTERVAL) = (augment.adaptive, self.updates) else { return };
        let mean = self.sum / f64::from(INTERVAL);
        let step = f64::from(INTERVAL) * batch as f64 / augment.adaptive_images as f64;
        let direction = if mean > target { 1.0 } else { -1.0 };
        *self = Self { probability: (self.probability + direction * step).clamp(0.0, 1.0), sum: 0.0, updates: 0 };
    }
}

impl Trainer {
    /// Reports an update of D, and adjusts the augmentation.
    pub(super) fn updated(&mut self, update: DUpdate, report: &mut StepReport) {
        let config = self.plan.config();
        if !config.augment.is_none() {
            report.augment = Some(self.run_progress().augment);
        }
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.follow(update.sign, config.train.batch, &config.augment);
        }
        report.d(update);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probability_follows_the_sign_of_real_samples() {
        let augment =
            Augment { color: true, adaptive: Some(0.6), adaptive_images: 1000, probability: 0.0, ..Augment::default() };
        let mut adaptive = Adaptive::of(&augment).unwrap();
        let mut seen = vec![];
        for rt in [1.0, 0.9, 0.2, 0.4, 0.7, 0.7, 0.5, 0.6, 0.1, 0.1, 0.9, 0.9, 0.0, 0.0, 0.0, 0.0] {
            adaptive.follow(rt, 10, &augment);
            seen.push((adaptive.probability * 100.0).round());
        }
        // The means of four are 0.625, 0.625, 0.5 and 0; a move is 4 * 10 / 1000.
        assert_eq!(seen, [0.0, 0.0, 0.0, 4.0, 4.0, 4.0, 4.0, 8.0, 8.0, 8.0, 8.0, 4.0, 4.0, 4.0, 4.0, 0.0]);
        (0..400).for_each(|_| adaptive.follow(1.0, 10, &augment));
        assert_eq!(adaptive.probability, 1.0);
        assert_eq!(Adaptive::of(&Augment { color: true, ..Augment::default() }), None);
    }
}
