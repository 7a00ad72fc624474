//! Monge Inception distance (MIND): 3·D times the squared sliced Wasserstein distance of features (Berthet et al., "MIND: Monge Inception
//! Distance for Generative Models Evaluation", 2026, where the features are Inception-v3's).
//!
//! No covariance is estimated, so that a few thousand samples are enough, whatever the number of features.

use super::{Better, DataKind, Inputs, Measured, Metric, swd};
use crate::error::Result;

/// Number of lines.
const LINES: usize = 1000;

/// The distance over the features that the card names.
pub(super) static MIND: Metric = Metric {
    in_evaluation: &[DataKind::Images],
    ..Metric::new("mind", "Monge distance (MIND)", Better::Lower, "Berthet et al. 2026, arXiv:2605.06797", measure)
};

fn measure(inputs: &Inputs<'_>) -> Result<Measured> {
    let (real, generated) = inputs.same_number();
    let sliced = swd::distance(&real, &generated, LINES, &mut inputs.rng("mind"))?;
    Ok((3.0 * real.dim() as f64 * sliced.powi(2)).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::Coordinates;
    use crate::{MetricSuite, Reference};
    use candle_core::{Device, Tensor};
    use gan_core::RandomTensors;
    use std::sync::Arc;

    #[test]
    fn a_shift_costs_three_times_its_square() {
        // The mean of cos² over the sphere is 1 / D.
        let suite = MetricSuite::new(Arc::new(Coordinates::new(vec![[-1.0, 1.0]; 4])), &[&MIND], 7).unwrap();
        let points: Tensor = gan_base::Rng::new(1).normal_tensor(0.0, 1.0, (300, 4), &Device::Cpu).unwrap();
        let mut real = suite.sample_set();
        real.push(&points).unwrap();
        let mut shifted = suite.sample_set();
        shifted.push(&(points + 0.5).unwrap()).unwrap();
        let train = suite.sample_set();
        let suite = suite.with_real(Reference::default(), real, None, train).unwrap();
        let found = suite.card("shifted", &shifted, 0).unwrap().value(&MIND).unwrap();
        // ‖shift‖² = 4 · 0.5² = 1.
        assert!((found - 3.0).abs() < 0.3, "{found}");
    }
}
