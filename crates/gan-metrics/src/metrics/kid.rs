//! Kernel distance (KID).
//!
//! The unbiased estimate of the squared maximum mean discrepancy under k(x, y) = (x·y / D + 1)³, over random subsets of both sets
//! (Bińkowski et al., "Demystifying MMD GANs", 2018). Unlike the Fréchet distance it does not depend on the number of samples.

use super::{Better, DataKind, Measured, Metric};
use crate::error::Result;
use crate::features::{Features, check_sets};
use crate::linalg::{lower_product, product};
use faer::{Accum, Mat, MatRef};
use gan_base::Rng;
use rayon::prelude::*;

/// Number of random subsets in the paper.
const SUBSETS: usize = 100;
/// Samples per subset from each set in the paper; no more than the smaller set has.
const SUBSET_SIZE: usize = 1000;

/// Indices of the real and of the generated samples of a subset.
type Subset = (Vec<usize>, Vec<usize>);

/// Returns the kernel distance between real `[N, D]` and generated `[M, D]` features: the mean and the standard deviation (over N, like
/// numpy's `std`) of 100 subsets of up to 1000 samples, drawn from `rng` without replacement. It is about 0, and sometimes below, for equal
/// distributions. Papers print it times 1000 or 100.
///
/// # Errors
/// For fewer than two samples in either set, and if widths differ or numbers are not finite.
pub fn kid(real: &Features, generated: &Features, rng: &mut Rng) -> Result<Measured> {
    over_subsets(real, generated, &draw(real.len(), generated.len(), SUBSETS, SUBSET_SIZE, rng))
}

/// Draws `count` subsets of up to `size` of `n` real and of `m` generated samples.
fn draw(n: usize, m: usize, count: usize, size: usize, rng: &mut Rng) -> Vec<Subset> {
    let size = size.min(n).min(m);
    (0..count).map(|_| (choose(n, size, rng), choose(m, size, rng))).collect()
}

pub(super) fn over_subsets(real: &Features, generated: &Features, subsets: &[Subset]) -> Result<Measured> {
    let advice = "the unbiased estimate takes two; a thousand make it meaningful";
    check_sets(real, generated, 2, "KID", advice)?;
    let distances: Vec<f64> = subsets.iter().map(|(r, g)| discrepancy(&real.pick(r), &generated.pick(g))).collect();
    let count = distances.len() as f64;
    let mean = distances.iter().sum::<f64>() / count;
    let variance = distances.iter().map(|distance| (distance - mean).powi(2)).sum::<f64>() / count;
    Ok(Measured { deviation: Some(variance.sqrt()), ..mean.into() })
}

/// Returns `size` different numbers below `len` in random order: the front of a shuffle (Fisher–Yates).
fn choose(len: usize, size: usize, rng: &mut Rng) -> Vec<usize> {
    let mut all: Vec<usize> = (0..len).collect();
    for at in 0..size {
        all.swap(at, at + rng.below(len - at));
    }
    all.truncate(size);
    all
}

/// Returns MMD² = mean of k(x, x′), x ≠ x′ + mean of k(y, y′), y ≠ y′ − 2 mean of k(x, y).
fn discrepancy(x: &Features, y: &Features) -> f64 {
    let [n, dim] = [x.len() as f64, x.dim() as f64];
    let [x, y] = [x, y].map(in_f64);
    let within = (kernels_within(x.as_ref(), dim) + kernels_within(y.as_ref(), dim)) / (n * (n - 1.0));
    let between = sum_by_column(&product(x.transpose(), y.as_ref()), |_| 0, dim) / (n * n);
    within - 2.0 * between
}

/// Returns Σ k(x, x′) over ordered pairs of different samples.
fn kernels_within(x: MatRef<'_, f64>, dim: f64) -> f64 {
    let mut dots = Mat::zeros(x.ncols(), x.ncols());
    lower_product(dots.as_mut(), Accum::Replace, x.transpose(), x);
    2.0 * sum_by_column(&dots, |column| column + 1, dim)
}

/// Returns Σ k over each column's rows from `first` on; columns in parallel, added in order.
fn sum_by_column(dots: &Mat<f64>, first: impl Fn(usize) -> usize + Sync, dim: f64) -> f64 {
    let kernel = |dot: &f64| (dot / dim + 1.0).powi(3);
    let column = |at: usize| dots.col(at).subrows(first(at), dots.nrows() - first(at)).iter().map(kernel).sum::<f64>();
    (0..dots.ncols()).into_par_iter().map(column).collect::<Vec<f64>>().iter().sum()
}

/// Returns the features as a matrix `[D, N]`.
fn in_f64(features: &Features) -> Mat<f64> {
    let mut matrix = Mat::zeros(features.dim(), features.len());
    for (column, row) in matrix.col_iter_mut().zip(features.rows()) {
        column.iter_mut().zip(row).for_each(|(to, x)| *to = f64::from(*x));
    }
    matrix
}

/// The kernel distance over the features of any network; the card names them.
pub(super) static KID: Metric = Metric {
    in_evaluation: &[DataKind::Classes, DataKind::ManyClasses, DataKind::Images],
    aliases: &["mmd"],
    ..Metric::new(
        "kid",
        "Kernel distance (KID), features as below",
        Better::Lower,
        "Bińkowski et al. 2018, arXiv:1801.01401",
        |inputs| kid(inputs.real, inputs.generated, &mut inputs.rng("kid")),
    )
};

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
    fn equals_plain_loops() {
        for (n, dim) in [(2, 1), (25, 3), (70, 40)] {
            let (x, y) = (made(1, n, dim), made(2, n, dim));
            let all: Vec<usize> = (0..n).collect();
            let found = over_subsets(&x, &y, &[(all.clone(), all)]).unwrap();
            assert!((found.value - plain(&x, &y)).abs() < 1e-10 * (1.0 + plain(&x, &y).abs()));
            assert_eq!(found.deviation, Some(0.0));
        }
    }

    #[test]
    fn subsets_are_repeatable_without_repetition_and_no_larger_than_the_sets() {
        let (x, y) = (made(1, 30, 4), made(3, 20, 4));
        let over = |seed| over_subsets(&x, &y, &draw(30, 20, 7, 12, &mut Rng::new(seed))).unwrap();
        assert_eq!(over(1), over(1));
        assert_ne!(over(1), over(2));
        assert!(over(1).deviation.unwrap() > 0.0);
        let subsets = draw(30, 20, SUBSETS, SUBSET_SIZE, &mut Rng::new(0));
        assert!(subsets.len() == SUBSETS && subsets.iter().all(|(x, y)| (x.len(), y.len()) == (20, 20)));
        let mut chosen = choose(50, 50, &mut Rng::new(4));
        chosen.sort_unstable();
        assert_eq!(chosen, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn tells_shifted_sets_from_equal_ones() {
        let subsets = draw(400, 400, 20, 200, &mut Rng::new(0));
        let against = |other: &Features| over_subsets(&made(1, 400, 6), other, &subsets).unwrap().value;
        let alike = Features::new(made(11, 400, 6).values().iter().map(|x| x - 1.0).collect(), 6).unwrap();
        assert!(against(&alike).abs() < 0.1, "{}", against(&alike));
        assert!(against(&made(11, 400, 6)) > 1.0);
    }

    #[test]
    fn bad_input_is_an_error() {
        let y = made(2, 9, 3);
        let of = |x: &Features| kid(x, &y, &mut Rng::new(0)).unwrap_err().to_string();
        assert!(of(&made(1, 1, 3)).contains("1 real sample is too few"));
        assert!(of(&made(1, 9, 2)).contains("2 and 3 numbers"));
    }
}
