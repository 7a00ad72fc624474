//! `[schedule]`: settings that change with the number of real images seen.

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Final values of settings that change with the number of real images seen. Each setting starts with its own value and follows the curve
/// to the value here; the weights of penalties follow it to their `end`. Settings that are left out stay constant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Number of real images after which the end is reached; the whole run by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
    /// Shape of the curve.
    pub curve: Curve,
    /// Factor of both learning rates at the end; 1 at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr_factor: Option<f64>,
    /// β₂ of both optimizers at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta2: Option<f64>,
    /// `augment.probability` at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<f64>,
    /// `train.ema_half_life` at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema_half_life: Option<f64>,
}

/// Shape of the curve from the start of a schedule to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Curve {
    /// A straight line.
    #[default]
    Linear,
    /// Half a period of the cosine: slow at both ends (Loshchilov & Hutter 2017, arXiv:1608.03983).
    Cosine,
}

impl Curve {
    /// Returns the position on the curve, from 0 to 1, after a fraction `progress` of the images.
    pub fn at(self, progress: f64) -> f64 {
        let progress = progress.clamp(0.0, 1.0);
        match self {
            Self::Linear => progress,
            Self::Cosine => 0.5 - 0.5 * (PI * progress).cos(),
        }
    }
}

impl Schedule {
    /// Returns whether all of its settings are left out.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the keys whose values it changes.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("lr_factor", self.lr_factor),
            ("beta2", self.beta2),
            ("augment", self.augment),
            ("ema_half_life", self.ema_half_life),
        ];
        all.into_iter().filter_map(|(key, end)| end.map(|_| key))
    }
}

/// Interpolates linearly from `start` (`at` = 0) to `end` (`at` = 1); without an end, the value is constant.
pub(crate) fn interpolate(start: f64, end: Option<f64>, at: f64) -> f64 {
    end.map_or(start, |end| start + (end - start) * at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_curves_lead_from_the_start_to_the_end() {
        for curve in [Curve::Linear, Curve::Cosine] {
            assert_eq!([0.0, 0.5, 1.0, 7.0].map(|part| (curve.at(part) * 1e12).round() / 1e12), [0.0, 0.5, 1.0, 1.0]);
        }
        // R3GAN's rate after a quarter of the images: 5e-5 + (2e-4 - 5e-5) * (1 + cos(pi / 4)) / 2
        let rate = 2e-4 * interpolate(1.0, Some(0.25), Curve::Cosine.at(0.25));
        assert!((rate - 1.780_330_085_889_910_6e-4).abs() < 1e-15, "{rate}");
        assert_eq!(interpolate(3.0, None, 0.5), 3.0);
    }
}
