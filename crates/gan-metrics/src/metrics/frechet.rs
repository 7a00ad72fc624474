//! Fréchet distance between two sets' features, modeled as Gaussians: a metric for each network, and FID for a published protocol.
//!
//! d² = ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½ (Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a
//! Local Nash Equilibrium", 2017).
//!
//! With Σ₁ = LLᵀ, the product Σ₁Σ₂ has the eigenvalues of the symmetric LᵀΣ₂L, none of which is negative except by rounding, and the
//! last trace is the sum of their roots. L comes from a pivoted Cholesky decomposition and has as many columns as Σ₁ has
//! rank, so covariances of fewer samples than features only mean less work.

use super::inputs::lacks;
use super::{Better, DataKind, Inputs, Measured, Metric, Needs};
use crate::embed::FeatureSpace;
use crate::error::{Error, Result};
use crate::features::check_widths;
use crate::linalg::{eigenvalues, lower_product, product, root};
use crate::moments::Moments;
use faer::{Accum, Mat};
use gan_base::messages::counted;

/// Returns the squared distance between the moments of real and of generated samples, ≥ 0, as papers print it, in squared units of the
/// features; with a warning if there are too few samples for the number of features.
///
/// # Errors
/// [`Error::TooFew`] for fewer than two samples of either, [`Error::Mismatch`] if widths differ.
pub fn distance(real: &Moments, generated: &Moments) -> Result<Measured> {
    Prepared::new(real)?.distance(generated)
}

/// The real samples, decomposed once for many comparisons: 2 D² numbers.
struct Prepared {
    real: Gaussian,
    root: Mat<f64>,
}

impl Prepared {
    fn new(real: &Moments) -> Result<Self> {
        let real = Gaussian::new(real, "real")?;
        let root = root(&real.covariance)?;
        Ok(Self { real, root })
    }

    /// Takes two products and eigenvalues.
    fn distance(&self, generated: &Moments) -> Result<Measured> {
        let real = &self.real;
        let generated = Gaussian::new(generated, "generated")?;
        check_widths("Fréchet distance", real.mean.len(), generated.mean.len())?;
        let overlap = match generated.rank_bound() < self.root.ncols() {
            true => overlap(&root(&generated.covariance)?, real)?,
            false => overlap(&self.root, &generated)?,
        };
        let apart: f64 = real.mean.iter().zip(&generated.mean).map(|(a, b)| (a - b).powi(2)).sum();
        let distance = (apart + real.trace() + generated.trace() - 2.0 * overlap).max(0.0);
        Ok(Measured { warning: warning(real.count, generated.count, real.mean.len()), ..distance.into() })
    }
}

/// Returns the warning about distances between few samples, which come out too large, so that distances between different numbers of samples
/// cannot be compared (Bińkowski et al., "Demystifying MMD GANs", 2018).
fn warning(real: u64, generated: u64, dim: usize) -> Option<String> {
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

struct Gaussian {
    count: u64,
    mean: Vec<f64>,
    covariance: Mat<f64>,
}

impl Gaussian {
    fn new(moments: &Moments, what: &'static str) -> Result<Self> {
        let covariance = moments.covariance(what)?;
        Ok(Self { count: moments.count(), mean: moments.mean().to_vec(), covariance })
    }

    /// Returns an upper bound of the rank of Σ.
    fn rank_bound(&self) -> usize {
        self.mean.len().min(usize::try_from(self.count - 1).unwrap_or(usize::MAX))
    }

    fn trace(&self) -> f64 {
        (0..self.mean.len()).map(|i| self.covariance[(i, i)]).sum()
    }
}

/// Returns tr (LLᵀΣ)^½, the sum of the roots of LᵀΣL's eigenvalues. Eigenvalues beyond the rank of Σ are rounding errors.
fn overlap(root: &Mat<f64>, other: &Gaussian) -> Result<f64> {
    let half = product(other.covariance.as_ref(), root.as_ref());
    let mut inner = Mat::zeros(root.ncols(), root.ncols());
    lower_product(inner.as_mut(), Accum::Replace, root.transpose(), half.as_ref());
    let values = eigenvalues(&inner)?;
    Ok(values.iter().rev().take(other.rank_bound()).map(|value| value.max(0.0).sqrt()).sum())
}

const PAPER: &str = "Heusel et al. 2017, arXiv:1706.08500";

/// Returns the distance over the features of one network. It is not called FID: numbers over different features cannot be compared.
const fn frechet_distance(key: &'static str, title: &'static str, features: FeatureSpace) -> Metric {
    Metric {
        needs: Needs::FeaturesOf(features),
        in_training: &[DataKind::Classes, DataKind::ManyClasses, DataKind::Images],
        chooses_best: &[DataKind::Classes, DataKind::Images],
        ..Metric::new(key, title, Better::Lower, PAPER, measure)
    }
}

pub(crate) static FD_DIGITS: Metric =
    frechet_distance("fd_digits", "Fréchet distance, digits features", FeatureSpace::Digits);
/// Inception-v3's features, outside of a published protocol.
pub(crate) static FD_INCEPTION: Metric =
    frechet_distance("fd_inception", "Fréchet distance, Inception features", FeatureSpace::Inception);
pub(crate) static FD_THUMBNAILS: Metric =
    frechet_distance("fd_thumbnails", "Fréchet distance, 8×8 thumbnails", FeatureSpace::Thumbnails);
pub(crate) static FD_TEXTURE: Metric =
    frechet_distance("fd_texture", "Fréchet distance, texture features", FeatureSpace::Texture);
pub(crate) static FD_CLASSIFIER: Metric =
    frechet_distance("fd_classifier", "Fréchet distance, classifier's features", FeatureSpace::Classifier);
pub(crate) static FD_COORDINATES: Metric =
    frechet_distance("fd_coordinates", "Fréchet distance, coordinates", FeatureSpace::Coordinates);

fn measure(inputs: &Inputs<'_>) -> Result<Measured> {
    inputs.shared_of_real(|| Prepared::new(inputs.real_moments))?.distance(inputs.moments)
}

/// The Fréchet Inception distance, as [`crate::Protocol::Fid50k`] defines it.
pub static FID: Metric = Metric {
    needs: Needs::Protocol,
    ..Metric::new("fid", "Fréchet Inception distance (FID)", Better::Lower, PAPER, measure_by_protocol)
};

fn measure_by_protocol(inputs: &Inputs<'_>) -> Result<Measured> {
    let Some(protocol) = inputs.protocol else { return Err(lacks("fid", "the published protocol")) };
    let found = inputs.moments.count();
    if found == protocol.samples() as u64 {
        return measure(inputs);
    }
    let [what, expected] = [format!("protocol {}", protocol.key()), protocol.samples().to_string()];
    let advice = "generate as many, or measure fd_inception";
    Err(Error::mismatch(what, counted(found, "generated sample"), expected, advice))
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
        let (sa, sb) = (a.covariance("x").unwrap()[(0, 0)].sqrt(), b.covariance("x").unwrap()[(0, 0)].sqrt());
        let expected = (a.mean()[0] - b.mean()[0]).powi(2) + (sa - sb).powi(2);
        assert!((distance(&a, &b).unwrap().value - expected).abs() < 1e-12 * expected);
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
        let found = distance(&a, &b).unwrap().value;
        assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
    }

    #[test]
    fn a_set_is_no_distance_from_itself_even_with_fewer_samples_than_features() {
        for (n, dim) in [(500, 12), (10, 40), (2, 5)] {
            let moments = of(&made(2, n, dim));
            let trace: f64 = (0..dim).map(|i| moments.covariance("x").unwrap()[(i, i)]).sum();
            assert!(distance(&moments, &moments).unwrap().value < 1e-10 * trace);
        }
    }

    #[test]
    fn both_orders_agree() {
        for (n, m, dim) in [(300, 200, 10), (12, 300, 30), (300, 12, 30), (8, 9, 30)] {
            let (a, b) = (of(&made(1, n, dim)), of(&made(2, m, dim)));
            let expected = distance(&a, &b).unwrap();
            let back = distance(&b, &a).unwrap().value;
            assert!((back - expected.value).abs() < 1e-9 * back, "{back} {expected:?}");
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
        assert!((straight.value - turned.value).abs() < 1e-5 * straight.value);
    }

    #[test]
    fn constant_features_leave_the_distance_of_the_means() {
        let (a, b) = (Features::new([1.0, 2.0].repeat(9), 2).unwrap(), Features::new([4.0, 6.0].repeat(9), 2).unwrap());
        assert_eq!(distance(&of(&a), &of(&b)).unwrap().value, 25.0);
    }

    #[test]
    fn the_bits_are_the_same_for_any_number_of_threads() {
        let (a, b) = (of(&made(1, 400, 150)), of(&made(2, 500, 150)));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| distance(&a, &b).unwrap().value.to_bits())
        };
        assert_eq!(with(1), with(5));
    }

    #[test]
    fn too_few_samples_are_an_error() {
        let (one, some) = (of(&made(1, 1, 3)), of(&made(1, 6, 3)));
        assert!(distance(&some, &one).unwrap_err().to_string().contains("1 generated sample is too few"));
        assert_eq!(distance(&some, &some).unwrap().warning, None);
        let few = of(&made(1, 5, 3));
        assert!(distance(&few, &some).unwrap().warning.unwrap().starts_with("5 real samples for 3 features"));
        assert!(distance(&some, &of(&made(1, 6, 4))).unwrap_err().to_string().contains("3 and 4 numbers"));
    }
}
