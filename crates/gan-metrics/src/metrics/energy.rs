//! Energy distance between two sets of points, and the permutation test on it.
//!
//! E(X, Y) = 2·E|X−Y| − E|X−X'| − E|Y−Y'| ≥ 0, and 0 only if both have the same distribution; |·| is the Euclidean norm.
//! Source: Székely & Rizzo 2013, "Energy statistics: A class of statistics based on distances", Journal of Statistical
//! Planning and Inference 143(8), sections 2 and 6 (the test). In units of the data. In one dimension it is the square of what
//! `scipy.stats.energy_distance` returns.
//!
//! This is the V-statistic: the means run over all pairs, including a sample with itself, so it is never negative, and above 0
//! for finite sets: sets of n and m samples of one distribution have (1/n + 1/m)·E|X−X'| on average. The test therefore also measures the
//! distance by chance ([`TwoSample`]).
//!
//! With weights w = 1/n for real and −1/m for generated samples and the matrix D of all distances, E = −wᵀDw. So the statistic of
//! every relabelling uses the same D with other weights: D is computed block by block, once for a few hundred relabellings, and
//! never stored.

use super::{Better, DataKind, Metric};
use crate::error::{Error, Result};
use crate::features::Features;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use gan_base::Rng;
use rayon::prelude::*;
use std::ops::Range;

/// Number of relabellings in the metric; the smallest p-value is then 1/200.
const PERMUTATIONS: usize = 199;
/// Samples per side of a block of distances, 512 KiB.
const BLOCK: usize = 256;
/// Number of relabellings that share one pass over the distances.
const AT_ONCE: usize = 256;
/// Statistics that differ by less than this share of the mean distance are equal up to rounding.
const ROUNDING: f64 = 1e-12;

/// Result of the permutation test.
#[derive(Clone, Debug, PartialEq)]
pub struct TwoSample {
    /// E between real and generated samples, in the data's units.
    pub distance: f64,
    /// Share of labellings with a statistic at least as large, including the given labels: (1 + #)/(1 + relabellings). Small
    /// if the sets differ; uniform in (0, 1] if both have the same distribution.
    pub p_value: f64,
    /// Mean of E over the relabellings: the value by chance for sets of these sizes.
    pub by_chance: f64,
    /// E between two random halves of the real samples. Sets half as large differ twice as much by chance, so for two equal
    /// sets of one distribution E is half of this on average.
    pub real_halves: f64,
}

/// Returns E between `a` `[N, D]` and `b` `[M, D]` in O((N + M)²·D) time and O((N + M)·D) memory.
///
/// # Errors
/// If a set is empty or not finite, or their dimensions differ.
pub fn distance(a: &Features, b: &Features) -> Result<f64> {
    let pool = Pool::new(a, b, 1)?;
    Ok(pool.statistics(&[pool.as_given()])[0])
}

/// Tests the hypothesis that `real` `[N, D]` and `generated` `[M, D]` have the same distribution by `permutations` random relabellings;
/// 199 give p-values down to 1/200.
///
/// # Errors
/// As [`distance`], and if there is no relabelling or there are fewer than two real samples.
pub fn two_sample(real: &Features, generated: &Features, permutations: usize, rng: &mut Rng) -> Result<TwoSample> {
    let pool = Pool::new(real, generated, 2)?;
    if permutations == 0 {
        return Err(Error::mismatch("energy test", "0 permutations", "at least 1", "the default is 199"));
    }
    let real_halves = halves(real, rng)?;
    let drawn: Vec<Vec<usize>> = (0..permutations).map(|_| shuffled(pool.len(), rng)).collect();
    let (distance, permuted) = relabelled(real, generated, &drawn)?;
    let by_chance = permuted.iter().sum::<f64>() / permutations as f64;
    // The pool's mean distance: relabelled sets have (1/n + 1/m) times it.
    let scale = by_chance / (1.0 / pool.first as f64 + 1.0 / pool.second as f64);
    let as_large = permuted.iter().filter(|other| **other >= distance - ROUNDING * scale).count();
    let p_value = (1 + as_large) as f64 / (1 + permutations) as f64;
    Ok(TwoSample { distance, p_value, by_chance, real_halves })
}

/// Returns E between `a` `[N, D]` and `b` `[M, D]`, and for each order of all N + M samples (numbers below N are `a`'s) E
/// between the first N of them and the rest.
pub(super) fn relabelled(a: &Features, b: &Features, orders: &[Vec<usize>]) -> Result<(f64, Vec<f64>)> {
    let pool = Pool::new(a, b, 1)?;
    let mut labels = vec![pool.as_given()];
    labels.extend(orders.iter().map(|order| pool.labels(order)));
    let mut statistics: Vec<f64> = labels.chunks(AT_ONCE).flat_map(|some| pool.statistics(some)).collect();
    let rest = statistics.split_off(1);
    Ok((statistics[0], rest))
}

/// Returns E between two random halves of `real`.
fn halves(real: &Features, rng: &mut Rng) -> Result<f64> {
    let order = shuffled(real.len(), rng);
    let (a, b) = order.split_at(real.len() / 2);
    distance(&real.pick(a), &real.pick(b))
}

fn shuffled(len: usize, rng: &mut Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    rng.shuffle(&mut order);
    order
}

/// For each sample of a pool, which set it belongs to.
type Labels = Vec<Side>;

#[derive(Clone, Copy, PartialEq)]
enum Side {
    First,
    Second,
}

/// The samples of both sets.
struct Pool {
    /// `[D, N + M]`: coordinate by coordinate, so that distances to many samples are computed at once.
    coordinates: Vec<f64>,
    first: usize,
    second: usize,
}

impl Pool {
    fn new(a: &Features, b: &Features, needed: usize) -> Result<Self> {
        for (set, what, needed) in [(a, "real", needed), (b, "generated", 1)] {
            set.check_count(needed, "energy distance", what, "take more samples")?;
            set.check_finite(what)?;
        }
        a.check_width(b)?;
        let of_axis = |axis| a.rows().chain(b.rows()).map(move |row| f64::from(row[axis]));
        let coordinates = (0..a.dim()).flat_map(of_axis).collect();
        Ok(Self { coordinates, first: a.len(), second: b.len() })
    }

    fn len(&self) -> usize {
        self.first + self.second
    }

    fn as_given(&self) -> Labels {
        (0..self.len()).map(|i| if i < self.first { Side::First } else { Side::Second }).collect()
    }

    fn labels(&self, order: &[usize]) -> Labels {
        let mut labels = vec![Side::Second; self.len()];
        order[..self.first].iter().for_each(|&i| labels[i] = Side::First);
        labels
    }

    /// Returns −wᵀDw for each labelling's weights w: the upper triangle of D by blocks, the sums in a fixed order.
    fn statistics(&self, labels: &[Labels]) -> Vec<f64> {
        let weights = self.weights(labels);
        let blocks: Vec<Range<usize>> =
            (0..self.len()).step_by(BLOCK).map(|start| start..self.len().min(start + BLOCK)).collect();
        let of_rows = |i: usize| self.block_row(&blocks[i], &blocks[i..], &weights, labels.len());
        let rows: Vec<Vec<f64>> = (0..blocks.len()).into_par_iter().map(of_rows).collect();
        let sum = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>();
        (0..labels.len()).map(|column| -sum(column)).collect()
    }

    /// Returns the weights `[N + M, labellings]`.
    fn weights(&self, labels: &[Labels]) -> Vec<f64> {
        let first = 1.0 / self.first as f64;
        let second = -1.0 / self.second as f64;
        let weight = |labels: &Labels, i: usize| if labels[i] == Side::First { first } else { second };
        (0..self.len()).flat_map(|i| labels.iter().map(move |labels| weight(labels, i))).collect()
    }

    /// Returns wᵀDw over a row of blocks from the diagonal on, counting those beside the diagonal twice, for each column of `weights`.
    fn block_row(&self, rows: &Range<usize>, blocks: &[Range<usize>], weights: &[f64], columns: usize) -> Vec<f64> {
        let part = |range: &Range<usize>| &weights[range.start * columns..range.end * columns];
        let mut distances = vec![0.0; BLOCK * BLOCK];
        let mut products = vec![0.0; rows.len() * columns];
        let mut sums = vec![0.0; columns];
        for block in blocks {
            let distances = &mut distances[..rows.len() * block.len()];
            self.distances(rows, block, distances);
            matmul(
                MatMut::from_row_major_slice_mut(&mut products, rows.len(), columns),
                Accum::Replace,
                MatRef::from_row_major_slice(distances, rows.len(), block.len()),
                MatRef::from_row_major_slice(part(block), block.len(), columns),
                if block == rows { 1.0 } else { 2.0 },
                Par::Seq,
            );
            for (weights, products) in part(rows).chunks_exact(columns).zip(products.chunks_exact(columns)) {
                sums.iter_mut().zip(weights.iter().zip(products)).for_each(|(sum, (w, p))| *sum += w * p);
            }
        }
        sums
    }

    /// Computes the Euclidean distances `[rows, columns]` between samples.
    fn distances(&self, rows: &Range<usize>, columns: &Range<usize>, out: &mut [f64]) {
        for (i, out) in rows.clone().zip(out.chunks_exact_mut(columns.len())) {
            out.fill(0.0);
            for axis in self.coordinates.chunks_exact(self.len()) {
                let x = axis[i];
                out.iter_mut().zip(&axis[columns.clone()]).for_each(|(sum, y)| *sum += (x - y) * (x - y));
            }
            out.iter_mut().for_each(|squared| *squared = squared.sqrt());
        }
    }
}

const PAPER: &str = "Székely and Rizzo 2013, Journal of Statistical Planning and Inference 143(8)";
/// Maximum number of points of each kind in the test, whose time grows with the square.
const TESTED: usize = 2000;

/// The energy distance.
pub(crate) static ENERGY_DISTANCE: Metric = Metric {
    in_training: &[DataKind::PointsAroundModes, DataKind::Points],
    chooses_best: &[DataKind::PointsAroundModes, DataKind::Points],
    ..Metric::new("energy", "Energy distance", Better::Lower, PAPER, |inputs| {
        let (real, generated) = inputs.same_number();
        Ok(distance(&real, &generated)?.into())
    })
};

/// The p-value of the permutation test: small if real and generated points differ.
pub(super) static TWO_SAMPLE_TEST: Metric = Metric {
    in_evaluation: &[DataKind::PointsAroundModes, DataKind::Points],
    ..Metric::new("two_sample", "Two-sample test: p-value", Better::Higher, PAPER, |inputs| {
        let (real, generated) = inputs.same_number();
        let [real, generated] = [real, generated].map(|set| set.first(TESTED));
        Ok(two_sample(&real, &generated, PERMUTATIONS, &mut inputs.rng("two_sample"))?.p_value.into())
    })
};

#[cfg(test)]
mod tests;
