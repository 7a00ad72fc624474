//! Points around modes on a circle.

use super::{DatasetSpec, Info, OpenOptions};
use crate::points::{PointDistribution, PointModes, Points, Units, around, check_modes};
use crate::{Dataset, Error};
use gan_base::Rng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Points around modes on a circle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ring {
    /// The modes.
    pub ring: RingModes,
}

/// Gaussians with their centres evenly on a circle. PacGAN (arXiv:1712.04086): 8 modes, radius 1, σ 0.01.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RingModes {
    /// Number of modes.
    pub modes: usize,
    /// Radius of the circle.
    pub radius: f64,
    /// Standard deviation of each coordinate.
    pub sigma: f64,
}

impl Default for RingModes {
    fn default() -> Self {
        Self { modes: 8, radius: 1.0, sigma: 0.01 }
    }
}

impl RingModes {
    fn centre(&self, i: usize) -> [f64; 2] {
        let angle = std::f64::consts::TAU * i as f64 / self.modes as f64;
        [self.radius * angle.cos(), self.radius * angle.sin()]
    }
}

impl DatasetSpec for Ring {
    const NAME: &'static str = "ring";

    const INFO: Info = Info { holds: "points around modes on a circle", ..Info::POINTS };

    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
        Ok(Arc::new(Points::new(self, options.seed)?))
    }

    fn points(&self) -> Option<&dyn PointDistribution> {
        Some(self)
    }
}

impl PointDistribution for Ring {
    fn check(&self) -> Result<(), Error> {
        let RingModes { modes, radius, sigma } = self.ring;
        check_modes("data.ring", modes, radius, sigma)
    }

    fn units(&self) -> Units {
        // The same for both coordinates, so that distances keep their ratios.
        Units::new(vec![[-self.ring.radius, self.ring.radius]; 2])
    }

    fn draw(&self, rng: &mut Rng) -> Vec<f64> {
        around(self.ring.centre(rng.below(self.ring.modes)), self.ring.sigma, rng)
    }

    fn modes(&self) -> Option<PointModes> {
        let centres = (0..self.ring.modes).map(|i| self.ring.centre(i)).collect();
        Some(PointModes { centres, sigma: self.ring.sigma })
    }
}
