//! Points on a curve in the plane, the data of the 2-D systems.

use crate::{Dataset, Error};
use gan_core::Rng;

/// How many points there are.
const POINTS: usize = 1 << 16;

/// x is drawn evenly from [−50, 50).
const X: f32 = 50.0;
/// y of x = 0.
const LOWEST: f32 = 10.0;

/// The parabola y = 10 + x², x from U[−50, 50), both scaled to [−1, 1]: x / 50 and (y − 10) / 1250 − 1. Points depend on the
/// seed and their number alone.
#[derive(Clone, Debug)]
pub struct Curve {
    points: Vec<[f32; 2]>,
}

impl Curve {
    /// The points of `seed`.
    pub fn parabola(seed: u64) -> Self {
        let mut rng = Rng::stream(seed, "curve");
        let mut point = || {
            let x = rng.uniform(-X, X);
            let y = LOWEST + x * x;
            [x / X, (y - LOWEST) / (X * X) * 2.0 - 1.0]
        };
        Self { points: (0..POINTS).map(|_| point()).collect() }
    }
}

impl Dataset for Curve {
    fn len(&self) -> usize {
        self.points.len()
    }

    fn shape(&self) -> Vec<usize> {
        vec![2]
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        out.copy_from_slice(&self.points[index]);
        Ok(())
    }

    fn label(&self, _: usize) -> Option<u32> {
        None
    }

    fn classes(&self) -> &[String] {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_on_the_scaled_parabola() {
        let curve = Curve::parabola(3);
        let (mut sum, mut point) = (0.0, [0.0; 2]);
        for i in 0..curve.len() {
            curve.write(i, &mut point).unwrap();
            assert!((-1.0..1.0).contains(&point[0]) && (point[1] - (2.0 * point[0] * point[0] - 1.0)).abs() < 1e-6);
            sum += f64::from(point[0]);
        }
        assert!((sum / curve.len() as f64).abs() < 0.01);
        assert!(curve.write(POINTS, &mut point).is_err() && curve.write(0, &mut [0.0; 3]).is_err());
    }
}
