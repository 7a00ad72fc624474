//! Points around modes on a square grid.

use super::{DatasetSpec, Info, OpenOptions};
use crate::points::{PointDistribution, PointModes, Points, Units, around, check_modes};
use crate::{Dataset, Error};
use gan_base::Rng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Points around modes on a square grid.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grid {
    /// The modes.
    pub grid: GridModes,
}

/// Gaussians with their centres on a square grid. PacGAN (arXiv:1712.04086): 5 a side, from −4 to 4 in steps of 2, σ 0.05.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GridModes {
    /// Modes per side.
    pub side: usize,
    /// Distance between neighbours.
    pub spacing: f64,
    /// Standard deviation of each coordinate.
    pub sigma: f64,
}

impl Default for GridModes {
    fn default() -> Self {
        Self { side: 5, spacing: 2.0, sigma: 0.05 }
    }
}

impl GridModes {
    fn count(&self) -> usize {
        self.side.saturating_mul(self.side)
    }

    fn centre(&self, i: usize) -> [f64; 2] {
        let middle = (self.side - 1) as f64 / 2.0;
        [i / self.side, i % self.side].map(|k| (k as f64 - middle) * self.spacing)
    }
}

impl DatasetSpec for Grid {
    const NAME: &'static str = "grid";

    const INFO: Info = Info { holds: "points around modes on a square grid", ..Info::POINTS };

    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
        Ok(Arc::new(Points::new(self, options.seed)?))
    }

    fn points(&self) -> Option<&dyn PointDistribution> {
        Some(self)
    }
}

impl PointDistribution for Grid {
    fn check(&self) -> Result<(), Error> {
        check_modes("data.grid", self.grid.count(), self.grid.spacing, self.grid.sigma)
    }

    fn units(&self) -> Units {
        let reach = (self.grid.spacing * (self.grid.side.max(2) - 1) as f64) / 2.0;
        Units::new(vec![[-reach, reach]; 2])
    }

    fn draw(&self, rng: &mut Rng) -> Vec<f64> {
        around(self.grid.centre(rng.below(self.grid.count())), self.grid.sigma, rng)
    }

    fn modes(&self) -> Option<PointModes> {
        let centres = (0..self.grid.count()).map(|i| self.grid.centre(i)).collect();
        Some(PointModes { centres, sigma: self.grid.sigma })
    }
}
