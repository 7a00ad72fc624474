//! Points in any number of dimensions, drawn from a distribution: what the sets of points have in common.
//!
//! A [`PointDistribution`] says what the points are in their own units. [`Points`] draws them and scales each coordinate to [−1, 1] for
//! training; [`Units`] takes samples back.

mod units;

pub use units::Units;

use crate::{Dataset, Error};
use gan_base::Rng;

/// How many points are drawn; batches are drawn from these.
pub(crate) const POINTS: usize = 1 << 16;

/// The most modes of a ring or grid, and the most coordinates of a curve.
pub(crate) const MOST: usize = 10_000;

/// What points are drawn from, in their own units.
pub trait PointDistribution {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the key.
    fn check(&self) -> Result<(), Error>;

    /// What −1 and 1 stand for in each coordinate.
    fn units(&self) -> Units;

    /// One point in its own units.
    fn draw(&self, rng: &mut Rng) -> Vec<f64>;

    /// The modes; `None` for a distribution without separate modes, such as a curve.
    fn modes(&self) -> Option<PointModes> {
        None
    }
}

/// The modes of a distribution of points in the plane.
#[derive(Clone, Debug, PartialEq)]
pub struct PointModes {
    /// Their centres in their own units.
    pub centres: Vec<[f64; 2]>,
    /// Standard deviation of each coordinate around them.
    pub sigma: f64,
}

/// A point around the centre of a mode.
pub(crate) fn around([x, y]: [f64; 2], sigma: f64, rng: &mut Rng) -> Vec<f64> {
    vec![x + sigma * f64::from(rng.normal()), y + sigma * f64::from(rng.normal())]
}

pub(crate) fn setting(key: &'static str, found: String, expected: &str) -> Error {
    Error::Setting { key, found, expected: expected.into(), advice: "change it (gan preset show curve2d)".into() }
}

pub(crate) fn check_modes(key: &'static str, modes: usize, size: f64, sigma: f64) -> Result<(), Error> {
    if !(1..=MOST).contains(&modes) {
        return Err(setting(key, format!("{modes} modes"), "1 to 10,000 modes"));
    }
    let is_sound = size.is_finite() && size > 0.0 && sigma.is_finite() && sigma >= 0.0;
    if is_sound {
        Ok(())
    } else {
        Err(setting(key, format!("size {size}, sigma {sigma}"), "a size above 0, a sigma of 0 or more"))
    }
}

/// Points drawn from a [`PointDistribution`], scaled to [−1, 1]. They depend on the seed and their number alone.
#[derive(Clone, Debug)]
pub struct Points {
    values: Vec<f32>,
    units: Units,
}

impl Points {
    /// The points of `seed`.
    ///
    /// # Errors
    /// As [`PointDistribution::check`].
    pub fn new(distribution: &dyn PointDistribution, seed: u64) -> Result<Self, Error> {
        distribution.check()?;
        // ignore-tidy-names: a random stream, called so for every distribution
        let mut rng = Rng::stream(seed, "curve");
        let units = distribution.units();
        let values = (0..POINTS).flat_map(|_| units.scaled(&distribution.draw(&mut rng))).collect();
        Ok(Self { values, units })
    }
}

impl Dataset for Points {
    fn len(&self) -> usize {
        POINTS
    }

    fn shape(&self) -> Vec<usize> {
        vec![self.units.dimensions()]
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        out.copy_from_slice(&self.values[index * out.len()..][..out.len()]);
        Ok(())
    }

    fn label(&self, _: usize) -> Option<u32> {
        None
    }

    fn units(&self) -> Option<&Units> {
        Some(&self.units)
    }

    fn classes(&self) -> &[String] {
        &[]
    }
}

#[cfg(test)]
mod tests;
