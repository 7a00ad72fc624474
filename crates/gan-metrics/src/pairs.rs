//! Squared distances between the samples of two sets: screened in f32, decided in f64, computed tile by tile.
//!
//! ‖x − y‖² = ‖x‖² + ‖y‖² − 2 x·y turns distances into matrix products, but rounds. So products in f32 give every pair a lower
//! and an upper bound, and only pairs for which the bounds do not decide are computed again, by Σ (xᵢ − yᵢ)² in f64. The results
//! are therefore those of f64 (the same pair always gives the same bits, so ties are ties), at the speed of f32.

use crate::features::Features;
use crate::linalg;
use rayon::prelude::*;

/// Rows of a tile of products, which takes 4 MiB.
const ROWS: usize = 512;
/// Columns of a tile.
const COLUMNS: usize = 2048;

/// A translation and scale of two sets with which f32 loses the fewest digits.
pub(crate) struct Frame {
    centre: Vec<f64>,
    scale: f64,
}

/// A set of samples, and the same in f32 in a frame, with squared norms.
pub(crate) struct Cloud<'a> {
    exact: &'a Features,
    near: Vec<f32>,
    norms: Vec<f32>,
}

impl Frame {
    /// Returns the frame centred on the first set's mean in which all values of all sets are in [−1, 1].
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
    /// Maximum error of a distance in f32 as a share of the norms.
    slack: f32,
    /// Maximum additional error.
    tiny: f32,
}

impl<'a> Pairs<'a> {
    pub(crate) fn new(frame: &'a Frame, rows: &'a Cloud<'a>, columns: &'a Cloud<'a>) -> Self {
        // The error of a dot product of D terms is at most D u Σ|xᵢyᵢ| (Higham 2002, §3.1), u = 2⁻²⁴. The 32 are for the rounding of the
        // coordinates, the norms, the limits and the few operations after. Relative errors do not hold below the smallest normal number.
        let dim = frame.centre.len() as f32;
        let slack = (dim + 32.0) * f32::EPSILON / 2.0 * 1.01;
        let tiny = (dim + 32.0) * f32::MIN_POSITIVE;
        Self { frame, rows, columns, slack, tiny }
    }

    /// Calls `visit` with each row's state and strips of its pairs in ascending order of columns; rows run in parallel.
    pub(crate) fn sweep<S: Send>(&self, states: &mut [S], visit: impl Fn(&mut S, &Strip<'_>) + Sync) {
        let dim = self.frame.centre.len();
        let mut tile = vec![0.0; ROWS.min(states.len()) * COLUMNS.min(self.columns.len())];
        for (block, states) in states.chunks_mut(ROWS).enumerate() {
            let top = block * ROWS;
            let rows = &self.rows.near[top * dim..][..states.len() * dim];
            for (strip, columns) in self.columns.near.chunks(COLUMNS * dim).enumerate() {
                let first = strip * COLUMNS;
                let width = columns.len() / dim;
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

/// The column of a pair, and bounds of its squared distance in the frame's units.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) column: usize,
    pub(crate) least: f32,
    pub(crate) most: f32,
}

/// A squared distance to compare with, in the features' units and in those of the frame.
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
    /// Returns every pair of the strip.
    #[inline]
    pub(crate) fn bounds(&self) -> impl Iterator<Item = Bounds> {
        let Pairs { slack, tiny, .. } = *self.pairs;
        let norm = self.pairs.rows.norms[self.row];
        let columns = self.pairs.columns.norms[self.first..].iter().zip(self.dots).enumerate();
        columns.map(move |(column, (other, dot))| {
            let norms = norm + other;
            let middle = norms - 2.0 * dot;
            let error = norms * slack + tiny;
            Bounds { column: self.first + column, least: middle - error, most: middle + error }
        })
    }

    /// Returns the squared distance to sample `column`, in the features' units.
    pub(crate) fn exact(&self, column: usize) -> f64 {
        squared(self.pairs.rows.exact.row(self.row), self.pairs.columns.exact.row(column))
    }

    /// Returns whether a distance is strictly less than the limit; none is less than 0.
    #[inline]
    pub(crate) fn is_within(&self, pair: Bounds, limit: Limit) -> bool {
        pair.least < limit.near
            && limit.exact > 0.0
            && (pair.most < limit.near || self.exact(pair.column) < limit.exact)
    }
}

/// Returns whether a distance may be less than the larger of two limits: a first check that takes one comparison.
#[inline]
pub(crate) fn may_be_within(pair: Bounds, a: Limit, b: Limit) -> bool {
    pair.least < a.near.max(b.near)
}

/// Returns Σ (xᵢ − yᵢ)² in f64, in eight sums so that it uses vector instructions.
pub(crate) fn squared(x: &[f32], y: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let [xs, ys] = [x, y].map(<[f32]>::as_chunks::<8>);
    for (x, y) in xs.0.iter().zip(ys.0) {
        for lane in 0..8 {
            sums[lane] += (f64::from(x[lane]) - f64::from(y[lane])).powi(2);
        }
    }
    let rest = xs.1.iter().zip(ys.1).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2));
    rest.chain(sums).sum()
}

/// The k nearest columns of one row.
#[derive(Clone, Debug)]
pub(crate) struct Nearest {
    k: usize,
    /// Squared distance and column, nearest first; of two that are equally near, the lower column.
    pub(crate) found: Vec<(f64, usize)>,
}

impl Nearest {
    pub(crate) fn new(k: usize) -> Self {
        Self { k, found: Vec::with_capacity(k + 1) }
    }

    /// Adds a strip's pairs, except the one with column `skip`.
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

    /// Returns the squared distance to the k-th, once there are k.
    pub(crate) fn reach(&self) -> Option<f64> {
        (self.found.len() == self.k).then(|| self.found[self.k - 1].0)
    }

    /// Returns an upper bound of the k-th distance: the k-th so far, or the k-th smallest upper bound of the strip; `None` if nothing
    /// can be nearer than the k-th so far.
    fn bound(&self, strip: &Strip<'_>, most: impl Iterator<Item = f32>) -> Option<f32> {
        let reach = match self.reach() {
            Some(0.0) => return None,
            Some(reach) => Limit::new(strip.pairs.frame, reach).near,
            None => f32::INFINITY,
        };
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

/// Returns the k nearest of `among` for each of `of`.
pub(crate) fn nearest_among(of: &Features, among: &Features, k: usize) -> Vec<Nearest> {
    let frame = Frame::of(&[among, of]);
    let rows = frame.place(of);
    let columns = frame.place(among);
    let mut found = vec![Nearest::new(k); of.len()];
    Pairs::new(&frame, &rows, &columns).sweep(&mut found, |nearest, strip| nearest.take(strip, None));
    found
}

/// Returns the k nearest others for each sample of a set.
pub(crate) fn nearest_others(set: &Features, k: usize) -> Vec<Nearest> {
    nearest_except_own(set, set, k)
}

/// Returns the k nearest samples of `among` for each of the first samples of it or their transforms, `of`; sample i is not compared with
/// sample i.
pub(crate) fn nearest_except_own(of: &Features, among: &Features, k: usize) -> Vec<Nearest> {
    let frame = Frame::of(&[among, of]);
    let rows = frame.place(of);
    let columns = frame.place(among);
    let mut found = vec![Nearest::new(k); of.len()];
    Pairs::new(&frame, &rows, &columns).sweep(&mut found, |nearest, strip| nearest.take(strip, Some(strip.row)));
    found
}

#[cfg(test)]
mod tests;
