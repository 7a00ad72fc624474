//! Squared distances between the samples of two sets: screened in f32, decided in f64, never all of them at once.
//!
//! ‖x − y‖² = ‖x‖² + ‖y‖² − 2 x·y turns distances into matrix products, but rounds. So products in f32 give every pair a lower
//! and an upper bound, and only pairs whose bounds leave a question open are computed again, by Σ (xᵢ − yᵢ)² in f64. Answers are
//! therefore those of f64 throughout (the same pair gives the same bits wherever it is met, so ties are ties), at f32's speed.

use crate::features::Features;
use crate::linalg;
use rayon::prelude::*;

/// Rows and columns of a tile of products, which takes 4 MiB.
const ROWS: usize = 512;
const COLUMNS: usize = 2048;

/// Where two sets are looked at from: centred and scaled, f32 loses least.
pub(crate) struct Frame {
    centre: Vec<f64>,
    scale: f64,
}

/// A set of samples, as it is and as its frame shows it.
pub(crate) struct Cloud<'a> {
    exact: &'a Features,
    near: Vec<f32>,
    norms: Vec<f32>,
}

impl Frame {
    /// Centred on the first set's mean; all values of all sets come to lie in [−1, 1].
    pub(crate) fn of(sets: &[&Features]) -> Self {
        let mut centre = vec![0.0; sets[0].dim()];
        for row in sets[0].rows() {
            centre.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        let count = sets[0].len().max(1) as f64;
        centre.iter_mut().for_each(|sum| *sum /= count);
        let reach = |row: &[f32]| row.iter().zip(&centre).map(|(x, c)| (f64::from(*x) - c).abs()).fold(0.0, f64::max);
        let largest = sets.iter().flat_map(|set| set.rows()).map(reach).fold(0.0, f64::max);
        Self { centre, scale: if largest > 0.0 { largest.recip() } else { 1.0 } }
    }

    pub(crate) fn place<'a>(&self, exact: &'a Features) -> Cloud<'a> {
        let dim = exact.dim();
        let mut near = vec![0.0; exact.values().len()];
        near.par_chunks_mut(dim).zip(exact.values().par_chunks(dim)).for_each(|(near, row)| {
            let columns = near.iter_mut().zip(row).zip(&self.centre);
            columns.for_each(|((near, x), centre)| *near = ((f64::from(*x) - centre) * self.scale) as f32);
        });
        let square = |row: &[f32]| row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() as f32;
        let norms = near.par_chunks(dim).map(square).collect();
        Cloud { exact, near, norms }
    }
}

impl Cloud<'_> {
    pub(crate) fn len(&self) -> usize {
        self.norms.len()
    }
}

/// All pairs of a sample of `rows` and one of `columns`, both placed in `frame`.
pub(crate) struct Pairs<'a> {
    frame: &'a Frame,
    rows: &'a Cloud<'a>,
    columns: &'a Cloud<'a>,
    /// How far a distance in f32 may be off, as a share of the norms and in all.
    slack: f32,
    tiny: f32,
}

impl<'a> Pairs<'a> {
    pub(crate) fn new(frame: &'a Frame, rows: &'a Cloud<'a>, columns: &'a Cloud<'a>) -> Self {
        // A dot product of D terms is off by at most D u Σ|xᵢyᵢ| (Higham 2002, §3.1), u = 2⁻²⁴. The 32 are for rounding the
        // coordinates, the norms, limits and the few operations after. Below the smallest normal number shares mean nothing.
        let dim = frame.centre.len() as f32;
        let (slack, tiny) = ((dim + 32.0) * f32::EPSILON / 2.0 * 1.01, (dim + 32.0) * f32::MIN_POSITIVE);
        Self { frame, rows, columns, slack, tiny }
    }

    /// Calls `visit` with each row's state and strips of its pairs, columns ascending; rows go in parallel.
    pub(crate) fn sweep<S: Send>(&self, states: &mut [S], visit: impl Fn(&mut S, &Strip<'_>) + Sync) {
        let dim = self.frame.centre.len();
        let mut tile = vec![0.0; ROWS.min(states.len()) * COLUMNS.min(self.columns.len())];
        for (block, states) in states.chunks_mut(ROWS).enumerate() {
            let top = block * ROWS;
            let rows = &self.rows.near[top * dim..][..states.len() * dim];
            for (strip, columns) in self.columns.near.chunks(COLUMNS * dim).enumerate() {
                let (first, width) = (strip * COLUMNS, columns.len() / dim);
                let tile = &mut tile[..states.len() * width];
                linalg::dots(tile, rows, columns, dim);
                states.par_iter_mut().zip(tile.par_chunks(width)).enumerate().for_each(|(row, (state, dots))| {
                    visit(state, &Strip { pairs: self, row: top + row, first, dots });
                });
            }
        }
    }
}

/// The pairs of one row with the columns from `first` on.
pub(crate) struct Strip<'a> {
    pairs: &'a Pairs<'a>,
    pub(crate) row: usize,
    pub(crate) first: usize,
    dots: &'a [f32],
}

/// One pair: its column, and what its squared distance lies between, in the frame's units.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) column: usize,
    pub(crate) least: f32,
    pub(crate) most: f32,
}

/// A squared distance to compare with, in the features' units and in the frame's.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    exact: f64,
    near: f32,
}

impl Limit {
    pub(crate) fn new(frame: &Frame, exact: f64) -> Self {
        Self { exact, near: (exact * frame.scale * frame.scale) as f32 }
    }
}

impl Strip<'_> {
    /// Every pair of the strip.
    #[inline]
    pub(crate) fn bounds(&self) -> impl Iterator<Item = Bounds> {
        let Pairs { slack, tiny, .. } = *self.pairs;
        let norm = self.pairs.rows.norms[self.row];
        let columns = self.pairs.columns.norms[self.first..].iter().zip(self.dots).enumerate();
        columns.map(move |(column, (other, dot))| {
            let (norms, column) = (norm + other, self.first + column);
            let (middle, off) = (norms - 2.0 * dot, norms * slack + tiny);
            Bounds { column, least: middle - off, most: middle + off }
        })
    }

    /// The squared distance to sample `column`, in the features' units.
    pub(crate) fn exact(&self, column: usize) -> f64 {
        squared(self.pairs.rows.exact.row(self.row), self.pairs.columns.exact.row(column))
    }

    /// Whether a pair lies strictly within the limit. Nothing lies within 0.
    #[inline]
    pub(crate) fn is_within(&self, pair: Bounds, limit: Limit) -> bool {
        pair.least < limit.near
            && limit.exact > 0.0
            && (pair.most < limit.near || self.exact(pair.column) < limit.exact)
    }
}

/// Whether a pair may lie strictly within the larger of two limits: a first look, at the price of one comparison.
#[inline]
pub(crate) fn may_be_within(pair: Bounds, a: Limit, b: Limit) -> bool {
    pair.least < a.near.max(b.near)
}

/// Σ (xᵢ − yᵢ)² in f64, in eight sums so that it runs on vectors.
pub(crate) fn squared(x: &[f32], y: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let (xs, ys) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    for (x, y) in xs.0.iter().zip(ys.0) {
        for lane in 0..8 {
            sums[lane] += (f64::from(x[lane]) - f64::from(y[lane])).powi(2);
        }
    }
    let rest = xs.1.iter().zip(ys.1).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2));
    rest.chain(sums).sum()
}

/// The k nearest of the columns to one row.
#[derive(Clone, Debug)]
pub(crate) struct Nearest {
    k: usize,
    /// Squared distance and column, nearest first, the lower column where two are as near.
    pub(crate) found: Vec<(f64, usize)>,
}

impl Nearest {
    pub(crate) fn new(k: usize) -> Self {
        Self { k, found: Vec::with_capacity(k + 1) }
    }

    /// Takes a strip's pairs in, all but the one with column `skip`.
    pub(crate) fn take(&mut self, strip: &Strip<'_>, skip: Option<usize>) {
        let others = || strip.bounds().filter(|pair| Some(pair.column) != skip);
        let Some(bound) = self.bound(strip, others().map(|pair| pair.most)) else { return };
        for pair in others().filter(|pair| pair.least <= bound) {
            self.insert(strip.exact(pair.column), pair.column);
            if self.reach() == Some(0.0) {
                return;
            }
        }
    }

    /// The squared distance to the k-th, once there are k.
    pub(crate) fn reach(&self) -> Option<f64> {
        (self.found.len() == self.k).then(|| self.found[self.k - 1].0)
    }

    /// What the k-th cannot lie beyond: the k-th so far, and the k-th smallest upper bound of the strip. None where nothing
    /// can be nearer than what there is.
    fn bound(&self, strip: &Strip<'_>, most: impl Iterator<Item = f32>) -> Option<f32> {
        let reach = self.reach().map_or(f32::INFINITY, |reach| Limit::new(strip.pairs.frame, reach).near);
        if self.reach() == Some(0.0) {
            return None;
        }
        let mut smallest = vec![reach; self.k];
        for most in most {
            if most < smallest[self.k - 1] {
                let at = smallest.partition_point(|other| *other <= most);
                smallest[at..].rotate_right(1);
                smallest[at] = most;
            }
        }
        Some(smallest[self.k - 1])
    }

    fn insert(&mut self, squared: f64, column: usize) {
        let at = self.found.partition_point(|other| *other <= (squared, column));
        self.found.insert(at, (squared, column));
        self.found.truncate(self.k);
    }
}

/// The k nearest of `among` to each of `of`.
pub(crate) fn nearest_among(of: &Features, among: &Features, k: usize) -> Vec<Nearest> {
    let frame = Frame::of(&[among, of]);
    let (rows, columns) = (frame.place(of), frame.place(among));
    let mut found = vec![Nearest::new(k); of.len()];
    Pairs::new(&frame, &rows, &columns).sweep(&mut found, |nearest, strip| nearest.take(strip, None));
    found
}

/// The k nearest others to each sample of a set.
pub(crate) fn nearest_others(set: &Features, k: usize) -> Vec<Nearest> {
    let frame = Frame::of(&[set]);
    let cloud = frame.place(set);
    let mut found = vec![Nearest::new(k); set.len()];
    Pairs::new(&frame, &cloud, &cloud).sweep(&mut found, |nearest, strip| nearest.take(strip, Some(strip.row)));
    found
}

#[cfg(test)]
mod tests;
