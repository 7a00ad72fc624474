//! Fréchet distance between two sets' features seen as Gaussians, a metric for each network; FID where a published protocol is followed.
//!
//! d² = ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½ (Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a
//! Local Nash Equilibrium", 2017).
//!
//! With Σ₁ = LLᵀ, the product Σ₁Σ₂ has the eigenvalues of the symmetric LᵀΣ₂L, none of them negative but by rounding, and the
//! last trace is the sum of their roots. L comes from a pivoted Cholesky decomposition and has as many columns as Σ₁ has
//! rank, so covariances of fewer samples than features are no special case, only less work.

use super::inputs::lacks;
use super::{Better, DataKind, Inputs, Measured, Metric, MetricInfo, Needs};
use crate::embed::FeatureSpace;
use crate::error::{Error, Result};
use crate::linalg::{eigenvalues, lower_product, product, root};
use crate::moments::Moments;
use faer::{Accum, Mat};
use gan_base::messages::counted;

/// A Fréchet distance and what is to be said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Frechet {
    /// The squared distance, ≥ 0, as papers print it; in squared units of the features.
    pub distance: f64,
    /// Why not to trust it: too few samples for the number of features.
    pub warning: Option<String>,
}

/// The real side, decomposed once for many comparisons. Holds 2 D² numbers.
#[derive(Clone, Debug)]
pub struct Prepared {
    side: Side,
    root: Mat<f64>,
}

impl Prepared {
    /// Decomposes the covariance of the real samples.
    ///
    /// # Errors
    /// [`Error::TooFew`] below two samples.
    pub fn new(real: &Moments) -> Result<Self> {
        let side = Side::new(real, "real")?;
        let root = root(&side.covariance)?;
        Ok(Self { side, root })
    }

    /// The distance to generated samples' moments: two products and eigenvalues.
    ///
    /// # Errors
    /// [`Error::TooFew`] below two samples, [`Error::Mismatch`] for another width.
    pub fn distance(&self, generated: &Moments) -> Result<Frechet> {
        let other = Side::new(generated, "generated")?;
        self.side.check_width(&other)?;
        let overlap = match other.rank_bound() < self.root.ncols() {
            true => overlap(&root(&other.covariance)?, &self.side)?,
            false => overlap(&self.root, &other)?,
        };
        Ok(self.side.distance(&other, overlap))
    }
}

/// The distance between the moments of real and of generated samples.
///
/// # Errors
/// [`Error::TooFew`] below two samples in either, [`Error::Mismatch`] where widths differ.
pub fn distance(real: &Moments, generated: &Moments) -> Result<Frechet> {
    let (real, generated) = (Side::new(real, "real")?, Side::new(generated, "generated")?);
    real.check_width(&generated)?;
    let (narrow, wide) =
        if generated.rank_bound() < real.rank_bound() { (&generated, &real) } else { (&real, &generated) };
    let overlap = overlap(&root(&narrow.covariance)?, wide)?;
    Ok(real.distance(&generated, overlap))
}

/// What to tell about distances over these numbers of samples: from few samples they come out too large, and those over
/// different numbers cannot be compared (Bińkowski et al., "Demystifying MMD GANs", 2018).
pub fn warning(real: u64, generated: u64, dim: usize) -> Option<String> {
    let (few, whose) = if real < generated { (real, "real") } else { (generated, "generated") };
    let needed = 2 * dim as u64;
    (few < needed).then(|| {
        format!(
            "{} for {}: the Fréchet distance comes out too large, take at least {needed}, \
             or compare by KID",
            counted(few, &format!("{whose} sample")),
            counted(dim, "feature")
        )
    })
}

/// One set's Gaussian.
#[derive(Clone, Debug)]
struct Side {
    count: u64,
    mean: Vec<f64>,
    covariance: Mat<f64>,
}

impl Side {
    fn new(moments: &Moments, what: &'static str) -> Result<Self> {
        if moments.count() < 2 {
            let (found, advice) = (moments.count() as usize, "a covariance takes two; thousands make it meaningful");
            return Err(Error::TooFew { metric: "Fréchet distance", what, found, needed: 2, advice });
        }
        let covariance = moments.covariance_matrix(what)?;
        Ok(Self { count: moments.count(), mean: moments.mean().to_vec(), covariance })
    }

    /// What the rank of Σ cannot exceed.
    fn rank_bound(&self) -> usize {
        self.mean.len().min(usize::try_from(self.count - 1).unwrap_or(usize::MAX))
    }

    fn trace(&self) -> f64 {
        (0..self.mean.len()).map(|i| self.covariance[(i, i)]).sum()
    }

    fn check_width(&self, other: &Self) -> Result<()> {
        if self.mean.len() == other.mean.len() {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "Fréchet distance".into(),
            found: format!("{} and {} numbers a sample", self.mean.len(), other.mean.len()),
            expected: "the same for both".into(),
            advice: "embed both sets with the same network".into(),
        })
    }

    fn distance(&self, other: &Self, overlap: f64) -> Frechet {
        let apart: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b).powi(2)).sum();
        let distance = (apart + self.trace() + other.trace() - 2.0 * overlap).max(0.0);
        Frechet { distance, warning: warning(self.count, other.count, self.mean.len()) }
    }
}

/// tr (LLᵀΣ)^½, the sum of the roots of LᵀΣL's eigenvalues. There are no more of them than Σ has rank: the rest is rounding.
fn overlap(root: &Mat<f64>, other: &Side) -> Result<f64> {
    let half = product(other.covariance.as_ref(), root.as_ref());
    let mut inner = Mat::zeros(root.ncols(), root.ncols());
    lower_product(inner.as_mut(), Accum::Replace, root.transpose(), half.as_ref());
    let values = eigenvalues(&inner)?;
    Ok(values.iter().rev().take(other.rank_bound()).map(|value| value.max(0.0).sqrt()).sum())
}

const PAPER: &str = "Heusel et al. 2017, arXiv:1706.08500";

/// The Fréchet distance over the features of one network. It is not called FID: numbers over different features cannot be compared.
#[derive(Clone, Copy, Debug)]
pub struct FrechetDistance {
    key: &'static str,
    title: &'static str,
    features: FeatureSpace,
}

/// Over the features of the digit classifier.
pub const FD_DIGITS: FrechetDistance =
    FrechetDistance { key: "fd_digits", title: "Fréchet distance, digits features", features: FeatureSpace::Digits };
/// Over Inception-v3's features, outside of a published protocol.
pub const FD_INCEPTION: FrechetDistance = FrechetDistance {
    key: "fd_inception",
    title: "Fréchet distance, Inception features",
    features: FeatureSpace::Inception,
};
/// Over 8×8 thumbnails.
pub const FD_THUMBNAILS: FrechetDistance = FrechetDistance {
    key: "fd_thumbnails",
    title: "Fréchet distance, 8×8 thumbnails",
    features: FeatureSpace::Thumbnails,
};
/// Over the features of a user's classifier.
pub const FD_CLASSIFIER: FrechetDistance = FrechetDistance {
    key: "fd_classifier",
    title: "Fréchet distance, classifier's features",
    features: FeatureSpace::Classifier,
};
/// Over the coordinates of points.
pub const FD_COORDINATES: FrechetDistance = FrechetDistance {
    key: "fd_coordinates",
    title: "Fréchet distance, coordinates",
    features: FeatureSpace::Coordinates,
};

impl Metric for FrechetDistance {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            needs: Needs::FeaturesOf(self.features),
            in_training: &[DataKind::Classes, DataKind::ManyClasses, DataKind::Images],
            chooses_best: &[DataKind::Classes, DataKind::Images],
            ..MetricInfo::new(self.key, self.title, Better::Lower, PAPER)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        let real = inputs.shared_of_real(|| Prepared::new(inputs.real_moments))?;
        let found = real.distance(inputs.moments)?;
        Ok(Measured { warning: found.warning, ..found.distance.into() })
    }
}

/// The Fréchet Inception distance, as [`crate::Protocol::Fid50k`] defines it.
#[derive(Clone, Copy, Debug)]
pub struct Fid;

impl Metric for Fid {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            needs: Needs::Protocol,
            ..MetricInfo::new("fid", "Fréchet Inception distance (FID)", Better::Lower, PAPER)
        }
    }

    /// # Errors
    /// As all metrics, and if the protocol is not followed.
    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        let Some(protocol) = inputs.protocol else { return Err(lacks("fid", "the published protocol")) };
        let found = inputs.moments.count();
        if found == protocol.samples() as u64 {
            return FD_INCEPTION.measure(inputs);
        }
        Err(Error::Mismatch {
            what: format!("protocol {}", protocol.key()),
            found: counted(found, "generated sample"),
            expected: protocol.samples().to_string(),
            advice: "generate as many, or measure fd_inception".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Features;
    use gan_base::Rng;

    fn made(seed: u64, n: usize, dim: usize) -> Features {
        let mut rng = Rng::new(seed);
        Features::new((0..n * dim).map(|at| rng.normal() * (1 + at % dim) as f32 + seed as f32).collect(), dim).unwrap()
    }

    fn of(features: &Features) -> Moments {
        Moments::of(features).unwrap()
    }

    #[test]
    fn of_one_feature_is_the_textbook_formula() {
        let (a, b) = (of(&made(1, 400, 1)), of(&made(3, 300, 1)));
        let (sa, sb) = (a.covariance().unwrap()[0].sqrt(), b.covariance().unwrap()[0].sqrt());
        let expected = (a.mean()[0] - b.mean()[0]).powi(2) + (sa - sb).powi(2);
        assert!((distance(&a, &b).unwrap().distance - expected).abs() < 1e-12 * expected);
    }

    #[test]
    fn uncorrelated_features_add_up() {
        // Each feature moves alone, ±s in turn, so covariances are diagonal.
        let cross = |scales: [f32; 3]| {
            let place = |i: usize, j: usize| if i / 2 == j { scales[j] * [1.0, -1.0][i % 2] } else { 0.0 };
            let rows = (0..6).flat_map(|i| (0..3).map(move |j| place(i, j)));
            of(&Features::new(rows.collect(), 3).unwrap())
        };
        let (a, b) = (cross([1.0, 2.0, 0.0]), cross([3.0, 0.5, 4.0]));
        let expected = (2.0_f64.powi(2) + 1.5_f64.powi(2) + 4.0_f64.powi(2)) * 2.0 / 5.0;
        let found = distance(&a, &b).unwrap().distance;
        assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
    }

    #[test]
    fn a_set_is_no_distance_from_itself_even_with_fewer_samples_than_features() {
        for (n, dim) in [(500, 12), (10, 40), (2, 5)] {
            let moments = of(&made(2, n, dim));
            let trace: f64 = moments.covariance().unwrap().iter().step_by(dim + 1).sum();
            assert!(distance(&moments, &moments).unwrap().distance < 1e-10 * trace);
        }
    }

    #[test]
    fn both_orders_and_the_prepared_side_agree() {
        for (n, m, dim) in [(300, 200, 10), (12, 300, 30), (300, 12, 30), (8, 9, 30)] {
            let (a, b) = (of(&made(1, n, dim)), of(&made(2, m, dim)));
            let expected = distance(&a, &b).unwrap();
            let back = distance(&b, &a).unwrap().distance;
            let prepared = Prepared::new(&a).unwrap().distance(&b).unwrap();
            assert!((back - expected.distance).abs() < 1e-9 * back, "{back} {expected:?}");
            assert!((prepared.distance - expected.distance).abs() < 1e-9 * back);
            assert_eq!(prepared.warning, expected.warning);
        }
    }

    #[test]
    fn turning_both_sets_changes_nothing() {
        let (cos, sin) = (0.6_f32, 0.8_f32);
        let turn = |features: &Features| {
            let rows = features.rows().flat_map(|r| [cos * r[0] - sin * r[2], r[1], sin * r[0] + cos * r[2]]);
            of(&Features::new(rows.collect(), 3).unwrap())
        };
        let (a, b) = (made(4, 90, 3), made(5, 80, 3));
        let (straight, turned) = (distance(&of(&a), &of(&b)).unwrap(), distance(&turn(&a), &turn(&b)).unwrap());
        assert!((straight.distance - turned.distance).abs() < 1e-5 * straight.distance);
    }

    #[test]
    fn constant_features_leave_the_distance_of_the_means() {
        let (a, b) = (Features::new([1.0, 2.0].repeat(9), 2).unwrap(), Features::new([4.0, 6.0].repeat(9), 2).unwrap());
        assert_eq!(distance(&of(&a), &of(&b)).unwrap().distance, 25.0);
    }

    #[test]
    fn the_bits_are_the_same_for_any_number_of_threads() {
        let (a, b) = (of(&made(1, 400, 150)), of(&made(2, 500, 150)));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| distance(&a, &b).unwrap().distance.to_bits())
        };
        assert_eq!(with(1), with(5));
    }

    #[test]
    fn few_samples_are_told() {
        let (one, some) = (of(&made(1, 1, 3)), of(&made(1, 6, 3)));
        assert!(distance(&some, &one).unwrap_err().to_string().contains("1 generated sample is too few"));
        assert_eq!(distance(&some, &some).unwrap().warning, None);
        let few = of(&made(1, 5, 3));
        assert!(distance(&few, &some).unwrap().warning.unwrap().starts_with("5 real samples for 3 features"));
        assert!(distance(&some, &of(&made(1, 6, 4))).unwrap_err().to_string().contains("3 and 4 numbers"));
    }
}
