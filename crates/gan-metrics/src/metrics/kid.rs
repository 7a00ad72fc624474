//! Kernel distance (KID).
//!
//! The unbiased estimate of the squared maximum mean discrepancy under k(x, y) = (x·y / D + 1)³, over random subsets of both sets
//! (Bińkowski et al., "Demystifying MMD GANs", 2018). Unlike the Fréchet distance it does not depend on the number of samples.

use super::{Better, DataKind, Inputs, Measured, Metric, MetricInfo};
use crate::error::{Error, Result};
use crate::features::{Features, same_width};
use crate::linalg::{lower_product, product};
use faer::{Accum, Mat, MatRef};
use gan_base::Rng;
use rayon::prelude::*;

/// How many random subsets, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subsets {
    /// Subsets to average over.
    pub count: usize,
    /// Samples a subset, from each of the two sets; no more than the smaller one has.
    pub size: usize,
}

/// The paper's.
pub const SUBSETS: Subsets = Subsets { count: 100, size: 1000 };

/// A kernel distance over subsets. Papers print it times 1000 or 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelDistance {
    /// The mean over the subsets: around 0, and below it at times, for equal distributions.
    pub mean: f64,
    /// The standard deviation over the subsets (over their number, as numpy's `std`).
    pub std: f64,
    /// Samples a subset had.
    pub size: usize,
}

/// Samples of the real and of the generated set that make one subset.
pub type Chosen = (Vec<usize>, Vec<usize>);

/// The distance between real `[N, D]` and generated `[M, D]` features over subsets drawn from `rng`, without repetition
/// within a subset.
///
/// # Errors
/// Below two samples in either set, if there are no subsets, if widths differ or numbers are not finite.
pub fn kid(real: &Features, generated: &Features, subsets: Subsets, rng: &mut Rng) -> Result<KernelDistance> {
    let size = subsets.size.min(real.len()).min(generated.len());
    let mut draw = |len| choose(len, size, rng);
    let chosen: Vec<Chosen> = (0..subsets.count).map(|_| (draw(real.len()), draw(generated.len()))).collect();
    over_subsets(real, generated, &chosen)
}

/// The same over these very subsets, each with as many real as generated samples.
///
/// # Errors
/// As [`kid`], and if a subset's halves differ in length or name samples that are not there.
pub fn over_subsets(real: &Features, generated: &Features, subsets: &[Chosen]) -> Result<KernelDistance> {
    check(real, generated, subsets)?;
    let distances: Vec<f64> = subsets.iter().map(|(r, g)| discrepancy(&real.pick(r), &generated.pick(g))).collect();
    let count = distances.len() as f64;
    let mean = distances.iter().sum::<f64>() / count;
    let variance = distances.iter().map(|distance| (distance - mean).powi(2)).sum::<f64>() / count;
    Ok(KernelDistance { mean, std: variance.sqrt(), size: subsets[0].0.len() })
}

/// `size` different numbers below `len`, in random order: the front of a shuffle (Fisher–Yates).
fn choose(len: usize, size: usize, rng: &mut Rng) -> Vec<usize> {
    let mut all: Vec<usize> = (0..len).collect();
    for at in 0..size {
        all.swap(at, at + rng.below(len - at));
    }
    all.truncate(size);
    all
}

fn check(real: &Features, generated: &Features, subsets: &[Chosen]) -> Result<()> {
    same_width(real, generated)?;
    real.check_finite("real")?;
    generated.check_finite("generated")?;
    for (set, what) in [(real, "real"), (generated, "generated")] {
        if set.len() < 2 {
            let advice = "the unbiased estimate takes two; a thousand make it meaningful";
            return Err(Error::TooFew { metric: "KID", what, found: set.len(), needed: 2, advice });
        }
    }
    let fits = |(r, g): &Chosen| {
        r.len() == g.len()
            && r.len() >= 2
            && r.iter().all(|i| *i < real.len())
            && g.iter().all(|i| *i < generated.len())
    };
    if !subsets.is_empty() && subsets.iter().all(fits) {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "KID's subsets".into(),
        found: if subsets.is_empty() { "none" } else { "one that does not fit the sets" }.into(),
        expected: "at least one, of two or more samples, as many real as generated ones".into(),
        advice: "check number and size of the subsets".into(),
    })
}

/// MMD² = mean of k(x, x′), x ≠ x′ + mean of k(y, y′), y ≠ y′ − 2 mean of k(x, y).
fn discrepancy(x: &Features, y: &Features) -> f64 {
    let (n, dim) = (x.len() as f64, x.dim() as f64);
    let (x, y) = (in_f64(x), in_f64(y));
    let within = (kernels_within(x.as_ref(), dim) + kernels_within(y.as_ref(), dim)) / (n * (n - 1.0));
    let between = sum_by_column(&product(x.transpose(), y.as_ref()), |_| 0, dim) / (n * n);
    within - 2.0 * between
}

/// Σ k(x, x′) over ordered pairs of different samples.
fn kernels_within(x: MatRef<'_, f64>, dim: f64) -> f64 {
    let mut dots = Mat::zeros(x.ncols(), x.ncols());
    lower_product(dots.as_mut(), Accum::Replace, x.transpose(), x);
    2.0 * sum_by_column(&dots, |column| column + 1, dim)
}

/// Σ k over each column's rows from `first` on; columns in parallel, added in order.
fn sum_by_column(dots: &Mat<f64>, first: impl Fn(usize) -> usize + Sync, dim: f64) -> f64 {
    let kernel = |dot: &f64| (dot / dim + 1.0).powi(3);
    let column = |at: usize| dots.col(at).subrows(first(at), dots.nrows() - first(at)).iter().map(kernel).sum::<f64>();
    (0..dots.ncols()).into_par_iter().map(column).collect::<Vec<f64>>().iter().sum()
}

/// As a matrix `[D, N]`.
fn in_f64(features: &Features) -> Mat<f64> {
    let mut matrix = Mat::zeros(features.dim(), features.len());
    for (column, row) in matrix.col_iter_mut().zip(features.rows()) {
        column.iter_mut().zip(row).for_each(|(to, x)| *to = f64::from(*x));
    }
    matrix
}

/// The kernel distance over the features of any network; the card names them.
#[derive(Clone, Copy, Debug)]
pub struct Kid;

impl Metric for Kid {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            in_evaluation: &[DataKind::Classes, DataKind::ManyClasses, DataKind::Images],
            aliases: &["mmd"],
            ..MetricInfo::new(
                "kid",
                "Kernel distance (KID), features as below",
                Better::Lower,
                "Bińkowski et al. 2018, arXiv:1801.01401",
            )
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        let found = kid(inputs.real, inputs.generated, SUBSETS, &mut inputs.rng("kid"))?;
        Ok(Measured { deviation: Some(found.std), ..found.mean.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(seed: u64, n: usize, dim: usize) -> Features {
        let mut rng = Rng::new(seed);
        Features::new((0..n * dim).map(|_| rng.normal() + seed as f32 * 0.1).collect(), dim).unwrap()
    }

    fn plain(x: &Features, y: &Features) -> f64 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let kernel = |a: &[f32], b: &[f32]| (dot(a, b) / x.dim() as f64 + 1.0).powi(3);
        let (mut sum, n) = (0.0, x.len() as f64);
        for i in 0..x.len() {
            for j in 0..x.len() {
                sum -= 2.0 * kernel(x.row(i), y.row(j)) / (n * n);
                if i != j {
                    sum += (kernel(x.row(i), x.row(j)) + kernel(y.row(i), y.row(j))) / (n * (n - 1.0));
                }
            }
        }
        sum
    }

    #[test]
    fn is_what_plain_loops_give() {
        for (n, dim) in [(2, 1), (25, 3), (70, 40)] {
            let (x, y) = (made(1, n, dim), made(2, n, dim));
            let all: Vec<usize> = (0..n).collect();
            let found = over_subsets(&x, &y, &[(all.clone(), all)]).unwrap();
            assert!((found.mean - plain(&x, &y)).abs() < 1e-10 * (1.0 + plain(&x, &y).abs()));
            assert_eq!((found.std, found.size), (0.0, n));
        }
    }

    #[test]
    fn subsets_are_repeatable_without_repetition_and_no_larger_than_the_sets() {
        let (x, y) = (made(1, 30, 4), made(3, 20, 4));
        let over = |seed| kid(&x, &y, Subsets { count: 7, size: 12 }, &mut Rng::new(seed)).unwrap();
        assert_eq!(over(1), over(1));
        assert_ne!(over(1), over(2));
        assert!(over(1).std > 0.0);
        assert_eq!(kid(&x, &y, SUBSETS, &mut Rng::new(0)).unwrap().size, 20);
        let mut chosen = choose(50, 50, &mut Rng::new(4));
        chosen.sort_unstable();
        assert_eq!(chosen, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn tells_shifted_sets_from_equal_ones() {
        let subsets = Subsets { count: 20, size: 200 };
        let against = |other: &Features| kid(&made(1, 400, 6), other, subsets, &mut Rng::new(0)).unwrap().mean;
        let alike = Features::new(made(11, 400, 6).values().iter().map(|x| x - 1.0).collect(), 6).unwrap();
        assert!(against(&alike).abs() < 0.1, "{}", against(&alike));
        assert!(against(&made(11, 400, 6)) > 1.0);
    }

    #[test]
    fn bad_input_is_told() {
        let (x, y) = (made(1, 9, 3), made(2, 9, 3));
        let of =
            |x: &Features, count| kid(x, &y, Subsets { count, size: 5 }, &mut Rng::new(0)).unwrap_err().to_string();
        assert!(of(&made(1, 1, 3), 3).contains("1 real sample is too few"));
        assert!(of(&made(1, 9, 2), 3).contains("2 and 3 numbers"));
        assert!(of(&x, 0).contains("found none"));
        for chosen in [(vec![0, 9], vec![0, 1]), (vec![0, 1, 2], vec![0, 1]), (vec![0], vec![1])] {
            assert!(over_subsets(&x, &y, &[chosen]).unwrap_err().to_string().contains("does not fit"));
        }
    }
}
