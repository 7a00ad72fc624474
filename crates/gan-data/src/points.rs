//! Points in any number of dimensions, drawn from a distribution.
//!
//! A [`PointDistribution`] describes the points in their own units. [`Points`] draws them and scales each coordinate to [−1, 1] for
//! training; [`Units`] converts samples back.

use crate::{Dataset, Error};
use gan_base::Rng;

/// Number of points that are drawn; batches are drawn from these.
pub(crate) const POINTS: usize = 1 << 16;

/// The most modes of a ring or grid, and the most coordinates of a curve.
pub(crate) const MOST: usize = 10_000;

/// A distribution of points in their own units.
pub trait PointDistribution {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the key.
    fn check(&self) -> Result<(), Error>;

    /// The range of each coordinate.
    fn units(&self) -> Units;

    /// Draws one point.
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

pub(crate) fn setting(key: &str, found: String, expected: &str) -> Error {
    Error::setting(key, found, expected, "change it (gan preset show curve2d)")
}

/// Checks the settings of modes in the plane; `size` is their distance or the radius of their circle.
pub(crate) fn check_modes(key: &str, modes: usize, size: f64, sigma: f64) -> Result<(), Error> {
    if !(1..=MOST).contains(&modes) {
        return Err(setting(key, format!("{modes} modes"), "1 to 10,000 modes"));
    }
    if size.is_finite() && size > 0.0 && sigma.is_finite() && sigma >= 0.0 {
        return Ok(());
    }
    Err(setting(key, format!("size {size}, sigma {sigma}"), "a size above 0, a sigma of 0 or more"))
}

/// For each coordinate of a point, the values that −1 and 1 stand for.
#[derive(Clone, Debug, PartialEq)]
pub struct Units(Vec<[f64; 2]>);

impl Units {
    /// From `[low, high]` of each coordinate. A coordinate that never changes gets a range around its value.
    pub fn new(ranges: Vec<[f64; 2]>) -> Self {
        let wide = |[low, high]: [f64; 2]| if high > low { [low, high] } else { [low - 1.0, low + 1.0] };
        Self(ranges.into_iter().map(wide).collect())
    }

    /// `[low, high]` of each coordinate.
    pub fn ranges(&self) -> &[[f64; 2]] {
        &self.0
    }

    /// How many coordinates a point has.
    pub fn dimensions(&self) -> usize {
        self.0.len()
    }

    /// A point in its own units, scaled to [−1, 1].
    pub fn scaled(&self, point: &[f64]) -> Vec<f32> {
        point.iter().zip(&self.0).map(|(v, [low, high])| ((v - low) / (high - low) * 2.0 - 1.0) as f32).collect()
    }

    /// Points in [−1, 1], one after the other, in their own units.
    pub fn restored(&self, values: &[f32]) -> Vec<f32> {
        let restore = |(v, [low, high]): (&f32, &[f64; 2])| (low + (f64::from(*v) + 1.0) / 2.0 * (high - low)) as f32;
        values.iter().zip(self.0.iter().cycle()).map(restore).collect()
    }
}

/// Points drawn from a [`PointDistribution`], scaled to [−1, 1]. They depend only on the seed.
#[derive(Clone, Debug)]
pub(crate) struct Points {
    values: Vec<f32>,
    units: Units,
}

impl Points {
    /// Draws the points of `seed`, with the errors of [`PointDistribution::check`].
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

    fn units(&self) -> Option<&Units> {
        Some(&self.units)
    }
}

#[cfg(test)]
mod tests;
