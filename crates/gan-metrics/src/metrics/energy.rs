//! Energy distance between two sets of points, and the permutation test on it.
//!
//! E(X, Y) = 2·E|X−Y| − E|X−X'| − E|Y−Y'| ≥ 0, and 0 only where both have the same distribution; |·| is the Euclidean norm.
//! Source: Székely & Rizzo 2013, "Energy statistics: A class of statistics based on distances", Journal of Statistical
//! Planning and Inference 143(8), sections 2 and 6 (the test). In units of the data. In one dimension it is the square of what
//! `scipy.stats.energy_distance` returns.
//!
//! This is the V-statistic: the means run over all pairs, a sample with itself included, so it is never negative, and above 0
//! for finite sets: sets of n and m samples of one distribution have (1/n + 1/m)·E|X−X'| on average. What chance alone makes
//! is therefore measured beside it ([`TwoSample`]).
//!
//! Given weights w = 1/n on real and −1/m on generated samples and the matrix D of all distances, E = −wᵀDw. So the statistic of
//! every relabelling takes the same D and other weights: D is made block by block, once for a few hundred relabellings, and
//! never held.

use super::{Better, DataKind, Inputs, Measured, Metric, MetricInfo};
use crate::error::{Error, Result};
use crate::features::{Features, same_width};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use gan_base::Rng;
use gan_base::messages::counted;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Relabellings of a test, unless another number is asked for: the smallest p-value is then 1/200.
pub const PERMUTATIONS: usize = 199;

/// Samples a side of a block of distances: 512 KiB.
const BLOCK: usize = 256;
/// Relabellings that share one pass over the distances.
const AT_ONCE: usize = 256;
/// Statistics that differ by so much of the mean distance are the same but for rounding.
const ROUNDING: f64 = 1e-12;

/// What the permutation test says of two sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TwoSample {
    /// E between real and generated samples, in the data's units.
    pub distance: f64,
    /// How many of the relabellings, and the labels as they are, have a statistic as large: (1 + #)/(1 + relabellings). Small
    /// where the sets differ; even in (0, 1] where both are of one distribution.
    pub p_value: f64,
    /// How many relabellings were drawn.
    pub permutations: usize,
    /// The mean of E over the relabellings: what chance makes of sets of these sizes.
    pub by_chance: f64,
    /// E between two random halves of the real samples. Sets half as large differ twice as much by chance, so of two equal
    /// sets of one distribution E is half of this on average.
    pub real_halves: f64,
}

/// E between `a` `[N, D]` and `b` `[M, D]`. O((N + M)²·D) time, O((N + M)·D) memory.
///
/// # Errors
/// If a set is empty or not finite, or they differ in dimension.
pub fn distance(a: &Features, b: &Features) -> Result<f64> {
    let pool = Pool::new(a, b, 1)?;
    Ok(pool.statistics(&[pool.as_given()])[0])
}

/// E and the p-value of the hypothesis that `real` `[N, D]` and `generated` `[M, D]` are of one distribution, by `permutations`
/// random relabellings; and what it is within the real samples.
///
/// # Errors
/// As [`distance`]; if there is no relabelling, or fewer than two real samples.
pub fn two_sample(real: &Features, generated: &Features, permutations: usize, rng: &mut Rng) -> Result<TwoSample> {
    let pool = Pool::new(real, generated, 2)?;
    if permutations == 0 {
        let advice = "the default is 199".to_string();
        let (what, found, expected) = ("energy test".into(), "0 permutations".into(), "at least 1".into());
        return Err(Error::Mismatch { what, found, expected, advice });
    }
    let real_halves = halves(real, rng)?;
    let drawn: Vec<Vec<usize>> = (0..permutations).map(|_| pool.shuffled(rng)).collect();
    let (distance, permuted) = relabelled(real, generated, &drawn)?;
    let by_chance = permuted.iter().sum::<f64>() / permutations as f64;
    // The statistic's scale: relabelled sets of the pool have (1/n + 1/m) times its mean distance.
    let as_large = permuted.iter().filter(|other| **other >= distance - ROUNDING * pool.scale(by_chance)).count();
    let p_value = (1 + as_large) as f64 / (1 + permutations) as f64;
    Ok(TwoSample { distance, p_value, permutations, by_chance, real_halves })
}

/// E between `a` `[N, D]` and `b` `[M, D]`, and for each order of all N + M samples (numbers below N are `a`'s) what it is
/// between the first N of them and the rest.
///
/// # Errors
/// As [`distance`]; if an order is not of all samples.
pub fn relabelled(a: &Features, b: &Features, orders: &[Vec<usize>]) -> Result<(f64, Vec<f64>)> {
    let pool = Pool::new(a, b, 1)?;
    orders.iter().try_for_each(|order| pool.check(order))?;
    let mut labels = vec![pool.as_given()];
    labels.extend(orders.iter().map(|order| pool.labels(order)));
    let mut statistics: Vec<f64> = labels.chunks(AT_ONCE).flat_map(|some| pool.statistics(some)).collect();
    let rest = statistics.split_off(1);
    Ok((statistics[0], rest))
}

/// E between two random halves of `real`.
fn halves(real: &Features, rng: &mut Rng) -> Result<f64> {
    let mut order: Vec<usize> = (0..real.len()).collect();
    rng.shuffle(&mut order);
    let (a, b) = order.split_at(real.len() / 2);
    distance(&real.pick(a), &real.pick(b))
}

/// For each sample of a pool whether it counts as the first set's.
type Labels = Vec<Side>;

#[derive(Clone, Copy, PartialEq)]
enum Side {
    First,
    Second,
}

/// Both sets in one.
struct Pool {
    /// `[D, N + M]`: coordinate by coordinate, so that distances to many samples are made at once.
    coordinates: Vec<f64>,
    first: usize,
    second: usize,
}

impl Pool {
    fn new(a: &Features, b: &Features, needed: usize) -> Result<Self> {
        for (set, what, needed) in [(a, "real", needed), (b, "generated", 1)] {
            if set.len() < needed {
                let (metric, found) = ("energy distance", set.len());
                return Err(Error::TooFew { metric, what, found, needed, advice: "take more samples" });
            }
            set.check_finite(what)?;
        }
        same_width(a, b)?;
        let of_axis = |axis| a.rows().chain(b.rows()).map(move |row| f64::from(row[axis]));
        let coordinates = (0..a.dim()).flat_map(of_axis).collect();
        Ok(Self { coordinates, first: a.len(), second: b.len() })
    }

    fn len(&self) -> usize {
        self.first + self.second
    }

    /// The pool's mean distance, from what chance makes of it.
    fn scale(&self, by_chance: f64) -> f64 {
        by_chance / (1.0 / self.first as f64 + 1.0 / self.second as f64)
    }

    fn as_given(&self) -> Labels {
        (0..self.len()).map(|i| if i < self.first { Side::First } else { Side::Second }).collect()
    }

    fn shuffled(&self, rng: &mut Rng) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        rng.shuffle(&mut order);
        order
    }

    fn labels(&self, order: &[usize]) -> Labels {
        let mut labels = vec![Side::Second; self.len()];
        order[..self.first].iter().for_each(|&i| labels[i] = Side::First);
        labels
    }

    fn check(&self, order: &[usize]) -> Result<()> {
        let mut seen = vec![false; self.len()];
        order.iter().for_each(|&i| seen.get_mut(i).into_iter().for_each(|seen| *seen = true));
        if order.len() == self.len() && seen.iter().all(|seen| *seen) {
            return Ok(());
        }
        let found = format!("an order of {}", counted(order.len(), "number"));
        let (expected, advice) = (format!("each number below {} once", self.len()), "shuffle them".into());
        Err(Error::Mismatch { what: "relabelling".into(), found, expected, advice })
    }

    /// −wᵀDw for each labelling's weights w: the upper triangle of D by blocks, the sums in a fixed order.
    fn statistics(&self, labels: &[Labels]) -> Vec<f64> {
        let weights = self.weights(labels);
        let blocks: Vec<Range<usize>> =
            (0..self.len()).step_by(BLOCK).map(|start| start..self.len().min(start + BLOCK)).collect();
        let of_rows = |i: usize| self.block_row(&blocks[i], &blocks[i..], &weights, labels.len());
        let rows: Vec<Vec<f64>> = (0..blocks.len()).into_par_iter().map(of_rows).collect();
        let sum = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>();
        (0..labels.len()).map(|column| -sum(column)).collect()
    }

    /// `[N + M, labellings]`
    fn weights(&self, labels: &[Labels]) -> Vec<f64> {
        let (first, second) = (1.0 / self.first as f64, -1.0 / self.second as f64);
        let weight = |labels: &Labels, i: usize| if labels[i] == Side::First { first } else { second };
        (0..self.len()).flat_map(|i| labels.iter().map(move |labels| weight(labels, i))).collect()
    }

    /// wᵀDw over a row of blocks from the diagonal on, those beside the diagonal twice, for each column of `weights`.
    fn block_row(&self, rows: &Range<usize>, blocks: &[Range<usize>], weights: &[f64], columns: usize) -> Vec<f64> {
        let part = |range: &Range<usize>| &weights[range.start * columns..range.end * columns];
        let (mut distances, mut products) = (vec![0.0; BLOCK * BLOCK], vec![0.0; rows.len() * columns]);
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

    /// Euclidean distances `[rows, columns]` of samples to samples.
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
/// Points of each kind that the test takes: its time grows with their square.
const TESTED: usize = 2000;

/// The energy distance.
#[derive(Clone, Copy, Debug)]
pub struct EnergyDistance;

impl Metric for EnergyDistance {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            in_training: &[DataKind::PointsAroundModes, DataKind::Points],
            chooses_best: &[DataKind::PointsAroundModes, DataKind::Points],
            ..MetricInfo::new("energy", "Energy distance", Better::Lower, PAPER)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        let (real, generated) = inputs.same_number();
        Ok(distance(&real, &generated)?.into())
    }
}

/// The p-value of the permutation test: small where real and generated points differ.
#[derive(Clone, Copy, Debug)]
pub struct TwoSampleTest;

impl Metric for TwoSampleTest {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            in_evaluation: &[DataKind::PointsAroundModes, DataKind::Points],
            ..MetricInfo::new("two_sample", "Two-sample test: p-value", Better::Higher, PAPER)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        let (real, generated) = inputs.same_number();
        let (real, generated) = (real.first(TESTED), generated.first(TESTED));
        Ok(two_sample(&real, &generated, PERMUTATIONS, &mut inputs.rng("two_sample"))?.p_value.into())
    }
}

#[cfg(test)]
mod tests;
