//! Points on curves over an interval, in any number of dimensions.

use super::{DatasetSpec, Info, OpenOptions};
use crate::points::{MOST, PointDistribution, Points, Units, setting};
use crate::{Dataset, Error};
use gan_base::Rng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Points on one or several curves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Curve {
    /// The interval and the functions.
    pub curve: Curves,
}

/// One or several curves over an interval: x is uniform in [low, high), and each point lies on one of the curves, all equally likely.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curves {
    /// The interval of x.
    #[serde(default = "text_interval")]
    pub x: [f64; 2],
    /// The curves; all have the same number of coordinates.
    pub curves: Vec<Parametric>,
}

/// The interval of the text that `curve2d` follows.
fn text_interval() -> [f64; 2] {
    [-50.0, 50.0]
}

/// A curve (x, f₁(x), f₂(x), …): one function for a curve in the plane, a list of them for more dimensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Parametric {
    /// (x, f(x)).
    Plane(Function),
    /// (x, f₁(x), f₂(x), …).
    Space(Vec<Function>),
}

impl Default for Curves {
    /// The text's y = 10 + x² over [−50, 50).
    fn default() -> Self {
        let parabola = Function::Polynomial { polynomial: vec![10.0, 0.0, 1.0] };
        Self { x: text_interval(), curves: vec![Parametric::Plane(parabola)] }
    }
}

impl Parametric {
    fn functions(&self) -> &[Function] {
        match self {
            Self::Plane(function) => std::slice::from_ref(function),
            Self::Space(functions) => functions,
        }
    }
}

impl DatasetSpec for Curve {
    const NAME: &'static str = "curve";

    const INFO: Info = Info { holds: "points on curves", ..Info::POINTS };

    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
        Ok(Arc::new(Points::new(self, options.seed)?))
    }

    fn points(&self) -> Option<&dyn PointDistribution> {
        Some(self)
    }
}

impl PointDistribution for Curve {
    fn check(&self) -> Result<(), Error> {
        let Curves { x: [low, high], curves } = &self.curve;
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(setting("data.curve.x", format!("{:?}", self.curve.x), "two numbers, the lower first"));
        }
        let dimensions: Vec<usize> = curves.iter().map(|curve| curve.functions().len()).collect();
        let fits = |n: &usize| (1..MOST).contains(n) && *n == dimensions[0];
        if dimensions.is_empty() || !dimensions.iter().all(fits) {
            let expected = "at least one curve, and as many functions in each";
            return Err(setting("data.curve.curves", format!("curves of {dimensions:?} functions"), expected));
        }
        if let Some([a, b]) = self.ranges().into_iter().find(|[a, b]| !(a.is_finite() && b.is_finite())) {
            let expected = "functions with finite values over data.curve.x";
            return Err(setting("data.curve.curves", format!("values from {a} to {b}"), expected));
        }
        Ok(())
    }

    /// The curve's interval and the range of each of its functions.
    fn units(&self) -> Units {
        Units::new(self.ranges())
    }

    fn draw(&self, rng: &mut Rng) -> Vec<f64> {
        let Curves { x: [low, high], curves } = &self.curve;
        let x = f64::from(rng.uniform(*low as f32, *high as f32));
        // A single curve takes no random number for its choice.
        let which = if curves.len() > 1 { rng.below(curves.len()) } else { 0 };
        let rest = curves[which].functions().iter().map(|f| f.at(x));
        std::iter::once(x).chain(rest).collect()
    }
}

impl Curve {
    /// `[low, high]` of x and of every further coordinate over all curves, by a fine subdivision.
    fn ranges(&self) -> Vec<[f64; 2]> {
        const STEPS: u32 = 10_000;
        let Curves { x: [low, high], curves } = &self.curve;
        let xs = || (0..=STEPS).map(move |i| low + (high - low) * f64::from(i) / f64::from(STEPS));
        let dimensions = curves.first().map_or(0, |curve| curve.functions().len());
        let range = |d: usize| {
            let values = curves.iter().flat_map(|curve| xs().map(move |x| curve.functions()[d].at(x)));
            values.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], y| [a.min(y), b.max(y)])
        };
        std::iter::once([*low, *high]).chain((0..dimensions).map(range)).collect()
    }
}

/// y = f(x).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Function {
    /// `{ polynomial = [10, 0, 1] }`: c₀ + c₁·x + c₂·x² + …
    Polynomial {
        /// The coefficients, the constant first.
        polynomial: Vec<f64>,
    },
    /// `{ sine = 40, period = 50, phase = 0, offset = 0 }`: offset + sine·sin(2π·(x − phase)/period).
    Sine {
        /// The amplitude.
        sine: f64,
        /// The length of one wave, in units of x.
        period: f64,
        /// Where the wave begins, in units of x.
        #[serde(default)]
        phase: f64,
        /// Added to it.
        #[serde(default)]
        offset: f64,
    },
    /// `{ cosine = 40, period = 50 }`: offset + cosine·cos(2π·(x − phase)/period).
    Cosine {
        /// The amplitude.
        cosine: f64,
        /// The length of one wave, in units of x.
        period: f64,
        /// Where the wave is highest, in units of x.
        #[serde(default)]
        phase: f64,
        /// Added to it.
        #[serde(default)]
        offset: f64,
    },
}

impl Function {
    /// f(x).
    pub fn at(&self, x: f64) -> f64 {
        let turns = |period: f64, phase: f64| std::f64::consts::TAU * (x - phase) / period;
        match self {
            Self::Polynomial { polynomial } => polynomial.iter().rev().fold(0.0, |sum, c| sum * x + c),
            Self::Sine { sine, period, phase, offset } => offset + sine * turns(*period, *phase).sin(),
            Self::Cosine { cosine, period, phase, offset } => offset + cosine * turns(*period, *phase).cos(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Function {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn functions_are_those_of_their_formulas() {
        let cubic = read(r#"{"polynomial": [1, -2, 0, 0.5]}"#);
        assert_eq!(cubic.at(3.0), 1.0 - 6.0 + 13.5);
        assert_eq!(read(r#"{"polynomial": []}"#).at(3.0), 0.0);
        let sine = read(r#"{"sine": 4, "period": 8, "phase": 1, "offset": 10}"#);
        assert!((sine.at(3.0) - 14.0).abs() < 1e-12 && (sine.at(1.0) - 10.0).abs() < 1e-12);
        let cosine = read(r#"{"cosine": 4, "period": 8}"#);
        assert!((cosine.at(0.0) - 4.0).abs() < 1e-12 && (cosine.at(4.0) + 4.0).abs() < 1e-12);
    }
}
