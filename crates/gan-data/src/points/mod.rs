//! Points on curves and around modes: the data of the 2-D systems, in any number of dimensions.
//!
//! A [`Shape`] says what the points are in their own units. [`Points`] draws them and scales each coordinate to [−1, 1] for
//! training; [`Units`] takes samples back. In reading order: this file, [`Function`] (what a curve is made of), [`Units`].

mod function;
mod units;

pub use function::Function;
pub use units::Units;

use crate::{Dataset, Error};
use gan_base::Rng;
use serde::{Deserialize, Serialize};

/// How many points are drawn; batches are drawn from these.
pub const POINTS: usize = 1 << 16;

/// The most modes of a ring or grid, and the most coordinates of a curve.
const MOST: usize = 10_000;

/// What the points are, in their own units.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// On curves over the same interval.
    Curves(Curves),
    /// Around modes on a circle.
    Ring(Ring),
    /// Around modes on a square grid.
    Grid(Grid),
}

/// One or several curves over an interval: x is uniform in [low, high), each point lies on one of the curves, all equally
/// likely.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curves {
    /// The interval of x.
    #[serde(default = "text_interval")]
    pub x: [f64; 2],
    /// The curves; all have as many coordinates.
    pub curves: Vec<Curve>,
}

/// The interval of the text that `curve2d` follows.
fn text_interval() -> [f64; 2] {
    [-50.0, 50.0]
}

/// A curve (x, f₁(x), f₂(x), …): one function for a curve in the plane, a list of them for more dimensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Curve {
    /// (x, f(x)).
    Plane(Function),
    /// (x, f₁(x), f₂(x), …).
    Space(Vec<Function>),
}

/// Gaussians with their centres evenly on a circle. PacGAN (arXiv:1712.04086): 8 modes, radius 1, σ 0.01.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ring {
    /// How many.
    pub modes: usize,
    /// Of the circle.
    pub radius: f64,
    /// Standard deviation of each coordinate.
    pub sigma: f64,
}

/// Gaussians with their centres on a square grid. PacGAN: 5 a side, from −4 to 4 in steps of 2, σ 0.05.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grid {
    /// Modes a side.
    pub side: usize,
    /// Between neighbours.
    pub spacing: f64,
    /// Standard deviation of each coordinate.
    pub sigma: f64,
}

impl Default for Curves {
    /// The text's y = 10 + x² over [−50, 50).
    fn default() -> Self {
        let parabola = Function::Polynomial { polynomial: vec![10.0, 0.0, 1.0] };
        Self { x: text_interval(), curves: vec![Curve::Plane(parabola)] }
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self { modes: 8, radius: 1.0, sigma: 0.01 }
    }
}

impl Default for Grid {
    fn default() -> Self {
        Self { side: 5, spacing: 2.0, sigma: 0.05 }
    }
}

impl Curve {
    fn functions(&self) -> &[Function] {
        match self {
            Self::Plane(function) => std::slice::from_ref(function),
            Self::Space(functions) => functions,
        }
    }
}

impl Shape {
    /// Coordinates of a point.
    pub fn dimensions(&self) -> usize {
        match self {
            Self::Curves(c) => 1 + c.curves.first().map_or(0, |curve| curve.functions().len()),
            Self::Ring(_) | Self::Grid(_) => 2,
        }
    }

    /// The centres of the modes `[modes, 2]` in their own units; curves have none.
    pub fn modes(&self) -> Vec<[f64; 2]> {
        match self {
            Self::Curves(_) => Vec::new(),
            Self::Ring(ring) => (0..ring.modes).map(|i| on_circle(i, ring)).collect(),
            Self::Grid(grid) => (0..grid.side * grid.side).map(|i| on_grid(i, grid)).collect(),
        }
    }

    /// Standard deviation around the modes; curves have none.
    pub fn sigma(&self) -> Option<f64> {
        match self {
            Self::Curves(_) => None,
            Self::Ring(Ring { sigma, .. }) | Self::Grid(Grid { sigma, .. }) => Some(*sigma),
        }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the key.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Curves(curves) => check_curves(curves),
            Self::Ring(ring) => check_modes("data.ring", ring.modes, ring.radius, ring.sigma),
            Self::Grid(grid) => check_modes("data.grid", grid.side.saturating_mul(grid.side), grid.spacing, grid.sigma),
        }
    }

    /// What −1 and 1 stand for: a curve's interval and the range of each of its functions; for modes the outermost centres, the
    /// same for both coordinates, so that distances keep their ratios.
    pub fn units(&self) -> Units {
        let reach = match self {
            Self::Curves(curves) => return Units::new(ranges(curves)),
            Self::Ring(ring) => ring.radius,
            Self::Grid(grid) => (grid.spacing * (grid.side.max(2) - 1) as f64) / 2.0,
        };
        Units::new(vec![[-reach, reach]; 2])
    }

    /// One point in its own units.
    fn draw(&self, rng: &mut Rng) -> Vec<f64> {
        let around = |[x, y]: [f64; 2], sigma: f64, rng: &mut Rng| {
            vec![x + sigma * f64::from(rng.normal()), y + sigma * f64::from(rng.normal())]
        };
        match self {
            Self::Curves(curves) => {
                let x = f64::from(rng.uniform(curves.x[0] as f32, curves.x[1] as f32));
                // A single curve takes no random number for its choice.
                let which = if curves.curves.len() > 1 { rng.below(curves.curves.len()) } else { 0 };
                let rest = curves.curves[which].functions().iter().map(|f| f.at(x));
                std::iter::once(x).chain(rest).collect()
            }
            Self::Ring(ring) => around(on_circle(rng.below(ring.modes), ring), ring.sigma, rng),
            Self::Grid(grid) => around(on_grid(rng.below(grid.side * grid.side), grid), grid.sigma, rng),
        }
    }
}

fn on_circle(i: usize, ring: &Ring) -> [f64; 2] {
    let angle = std::f64::consts::TAU * i as f64 / ring.modes as f64;
    [ring.radius * angle.cos(), ring.radius * angle.sin()]
}

fn on_grid(i: usize, grid: &Grid) -> [f64; 2] {
    let middle = (grid.side - 1) as f64 / 2.0;
    [i / grid.side, i % grid.side].map(|k| (k as f64 - middle) * grid.spacing)
}

/// `[low, high]` of x and of every further coordinate over all curves, by a fine subdivision.
fn ranges(curves: &Curves) -> Vec<[f64; 2]> {
    const STEPS: u32 = 10_000;
    let [low, high] = curves.x;
    let xs = || (0..=STEPS).map(move |i| low + (high - low) * f64::from(i) / f64::from(STEPS));
    let dimensions = curves.curves.first().map_or(0, |curve| curve.functions().len());
    let range = |d: usize| {
        let values = curves.curves.iter().flat_map(|curve| xs().map(move |x| curve.functions()[d].at(x)));
        values.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], y| [a.min(y), b.max(y)])
    };
    std::iter::once([low, high]).chain((0..dimensions).map(range)).collect()
}

fn setting(key: &'static str, found: String, expected: &str) -> Error {
    Error::Setting { key, found, expected: expected.into(), advice: "change it (gan preset show curve2d)".into() }
}

fn check_curves(curves: &Curves) -> Result<(), Error> {
    let [low, high] = curves.x;
    if !(low.is_finite() && high.is_finite() && low < high) {
        return Err(setting("data.curve.x", format!("{:?}", curves.x), "two numbers, the lower first"));
    }
    let dimensions: Vec<usize> = curves.curves.iter().map(|curve| curve.functions().len()).collect();
    let fits = |n: &usize| (1..MOST).contains(n) && *n == dimensions[0];
    if dimensions.is_empty() || !dimensions.iter().all(fits) {
        let expected = "at least one curve, and as many functions in each";
        return Err(setting("data.curve.curves", format!("curves of {dimensions:?} functions"), expected));
    }
    if let Some([a, b]) = ranges(curves).into_iter().find(|[a, b]| !(a.is_finite() && b.is_finite())) {
        let expected = "functions with finite values over data.curve.x";
        return Err(setting("data.curve.curves", format!("values from {a} to {b}"), expected));
    }
    Ok(())
}

fn check_modes(key: &'static str, modes: usize, size: f64, sigma: f64) -> Result<(), Error> {
    if !(1..=MOST).contains(&modes) {
        return Err(setting(key, format!("{modes} modes"), "1 to 10,000 modes"));
    }
    let sound = size.is_finite() && size > 0.0 && sigma.is_finite() && sigma >= 0.0;
    if sound {
        Ok(())
    } else {
        Err(setting(key, format!("size {size}, sigma {sigma}"), "a size above 0, a sigma of 0 or more"))
    }
}

/// Points drawn from a [`Shape`], scaled to [−1, 1]. They depend on the seed and their number alone.
#[derive(Clone, Debug)]
pub struct Points {
    values: Vec<f32>,
    units: Units,
}

impl Points {
    /// The points of `seed`.
    ///
    /// # Errors
    /// As [`Shape::check`].
    pub fn new(shape: &Shape, seed: u64) -> Result<Self, Error> {
        shape.check()?;
        let (mut rng, units) = (Rng::stream(seed, "curve"), shape.units());
        let values = (0..POINTS).flat_map(|_| units.scaled(&shape.draw(&mut rng))).collect();
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
