//! Dense layers, 1×1 convolutions, and convolutions between one pixel and a whole image: row products in f32.

use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::gemm::{BY_COLUMNS, BY_ROWS, DEPTH, Multiply, Next, Onto, PANEL, Product, Single, multiply};
use crate::cpu::layout::{channels_first, channels_last, transpose_block};
use crate::cpu::parallel::each;
use crate::cpu::simd::{Job, LANES, Level, Simd};
use crate::spec::Problem;
use std::marker::PhantomData;

/// Number of rows per task.
const ROWS: usize = 96;
/// Number of tasks into which products of few rows are divided by columns, approximately.
const TASKS: usize = 16;
/// Number of weights from which few rows are multiplied by one panel of them after the other.
const LARGE: usize = 1 << 16;
/// Maximum number of rows for which that is faster than other ways.
const FEW: usize = 512;
/// Minimum number of panels, so that threads have enough tasks.
const PANELS: usize = 8;

/// Returns the number of values of x that each output reads, if y is a product of x's rows with the weights: all channels of a pixel, or
/// all of an image that ends in one pixel.
pub(super) fn row(p: &Problem) -> Option<usize> {
    let plain = p.spec.padding.total() == [0, 0] && p.spec.dilation == [1, 1];
    let pixel = p.kernel == [1, 1] && p.spec.stride == [1, 1];
    let whole = p.output == [1, 1] && p.kernel == p.input;
    (plain && (pixel || whole)).then_some(p.rows())
}

/// Returns weights `[O, C, taps]` in the order of x's rows, `[O, taps, C]`.
pub(super) fn in_order(p: &Problem, w: &[f32]) -> Buffer {
    channels_last(w, p.in_channels, p.kernel[0] * p.kernel[1])
}

/// Computes x `[rows, C]` times B -> y `[rows, O]`: B is packed in panels for the forward pass, or the weights `[O, C]` themselves for the
/// backward pass (where x is y's gradient, and C and O are exchanged).
pub(super) fn run(level: Level, x: &[f32], b: &[f32], [k, n]: [usize; 2], packed: bool, y: &mut [f32]) {
    let rows = y.len() / n.max(1);
    let columns = if packed { n.next_multiple_of(PANEL) } else { n };
    assert_eq!(y.len(), rows * n, "a product's result is whole rows");
    assert_eq!(x.len(), rows * k, "a product has a row of factors for each of its result");
    assert_eq!(b.len(), k * columns, "a product's weights fit its sides");
    let y = Shared::new(y);
    let (b_step, b_row) = if packed { (k * PANEL, PANEL) } else { (PANEL, n) };
    // Few rows are divided evenly, and their columns too.
    let down = rows.div_ceil(ROWS);
    let height = if down >= TASKS { ROWS } else { rows.div_ceil(down.max(1)) };
    let panels = n.div_ceil(PANEL);
    let width = panels_per_task(panels, down);
    let across = panels.div_ceil(width);
    each(down * across, |task| {
        let first = task / across * height;
        let panel = task % across * width;
        let product = Product {
            m: height.min(rows - first),
            n: (width * PANEL).min(n - panel * PANEL),
            k,
            a: x[first * k..].as_ptr(),
            a_step: k,
            b: b[panel * b_step..].as_ptr(),
            b_step,
            b_row,
            c: y.ahead(first * n + panel * PANEL).get(),
            c_step: n,
            onto: Onto::Fresh,
            next: Next::NOTHING,
        };
        // SAFETY: x has k numbers and y n for each row; b has k rows of n, in panels or plain, as checked above. Each task has a part of y
        // of its own.
        unsafe { level.run(Multiply::<Single, BY_ROWS>(product, PhantomData)) }
    });
}

/// Returns how many panels of columns a task takes, if rows are divided into `down` parts.
fn panels_per_task(panels: usize, down: usize) -> usize {
    panels.div_ceil(TASKS.div_ceil(down.max(1)).min(panels.max(1))).max(1)
}

/// Returns whether a problem is the product of rows with weights in the rows' order.
pub(super) fn is_plain(p: &Problem) -> bool {
    p.groups == 1 && row(p).is_some() && (p.kernel == [1, 1] || p.in_channels == 1)
}

/// Returns whether a problem has few rows and large weights, which are then packed panel by panel during each pass.
fn has_few_rows(p: &Problem) -> bool {
    is_plain(p) && p.samples * p.positions() <= FEW && p.weights() >= LARGE
}

/// Returns whether the product of a problem's forward pass reads its weights as they are.
pub(super) fn reads_in_place(p: &Problem) -> bool {
    has_few_rows(p)
}

/// Computes x `[rows, C]` times weights `[O, C]` -> y `[rows, O]` for few rows.
pub(super) fn in_place(level: Level, x: &[f32], w: &[f32], sides: [usize; 2], y: &mut [f32]) {
    by_panels(level, x, w, sides, true, y);
}

/// Computes dy `[rows, O]` times weights `[O, C]` -> dx `[rows, C]`.
pub(super) fn grad_in_place(level: Level, p: &Problem, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    let [o, c] = [p.out_channels, p.rows()];
    if has_few_rows(p) && c.div_ceil(PANEL) >= PANELS {
        by_panels(level, dy, w, [o, c], false, dx);
    } else {
        run(level, dy, w, [o, c], false, dx);
    }
}

/// Computes x `[rows, k]` times weights -> y `[rows, n]`, in tasks of 32 columns; the weights are `[n, k]` if they are `transposed`, else
/// `[k, n]`.
fn by_panels(level: Level, x: &[f32], w: &[f32], [k, n]: [usize; 2], transposed: bool, y: &mut [f32]) {
    let rows = y.len() / n.max(1);
    assert_eq!(y.len(), rows * n, "a product's result is whole rows");
    assert_eq!(x.len(), rows * k, "a product has a row of factors for each of its result");
    assert_eq!(w.len(), k * n, "a product's weights fit its sides");
    let y = Shared::new(y);
    each(n.div_ceil(PANEL), |task| {
        let panel = Panel { x, w, sides: [rows, k, n], transposed, first: task * PANEL, y };
        // SAFETY: x, w and y have the sizes that were checked above; each task has columns of y of its own.
        unsafe { level.run(panel) }
    });
}

/// Product of all rows with 32 columns of the weights. These are packed in parts that fit into the cache; while one part is multiplied, the
/// next one is prefetched, because large weights come from memory.
struct Panel<'a> {
    x: &'a [f32],
    w: &'a [f32],
    /// Rows, and the sides of the weights.
    sides: [usize; 3],
    transposed: bool,
    /// First column.
    first: usize,
    y: Shared,
}

impl Panel<'_> {
    /// Packs `depth` rows of the panel from row `start` on.
    #[inline(always)]
    unsafe fn pack<S: Simd>(&self, start: usize, depth: usize, to: *mut f32) {
        let [_, k, n] = self.sides;
        let width = PANEL.min(n - self.first);
        let w = self.w.as_ptr();
        for row in (0..depth).step_by(if self.transposed { LANES } else { 1 }) {
            for column in (0..width).step_by(LANES) {
                let lanes = LANES.min(width - column);
                // SAFETY: the numbers lie inside the weights, and the caller vouches for room for the rows.
                unsafe {
                    let to = to.add(row * PANEL + column);
                    if self.transposed {
                        let from = w.add((self.first + column) * k + start + row);
                        transpose_block::<S>(from, k, [lanes, LANES.min(depth - row)], to, PANEL);
                    } else {
                        S::load_upto(w.add((start + row) * n + self.first + column), lanes).store_upto(to, lanes);
                    }
                }
            }
        }
    }

    /// Returns the part of the weights that is read after that which begins at row `start`.
    fn next(&self, start: usize, depth: usize, every: usize) -> Next {
        let [_, k, n] = self.sides;
        if self.transposed {
            // The next panel's weights lie in a row: they are prefetched evenly during this panel.
            let at = self.w.as_ptr().wrapping_add((self.first + PANEL) * k + start * PANEL);
            return Next { at, step: PANEL, every };
        }
        let [row, column] = if start + depth < k { [start + depth, self.first] } else { [0, self.first + PANEL] };
        Next { at: self.w.as_ptr().wrapping_add(row * n + column), step: n, every }
    }
}

impl Job for Panel<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [rows, k, n] = self.sides;
        let most = k.div_ceil(k.div_ceil(DEPTH).max(1)).next_multiple_of(LANES);
        let mut packed = Buffer::any(most * PANEL);
        for start in (0..k).step_by(most.max(1)) {
            let depth = most.min(k - start);
            // SAFETY: there is room for a part, and the product's sizes are those of the slices and of what was just packed.
            unsafe {
                self.pack::<S>(start, depth, packed.as_mut_ptr());
                multiply::<S, Single, BY_ROWS>(Product {
                    m: rows,
                    n: PANEL.min(n - self.first),
                    k: depth,
                    a: self.x.as_ptr().add(start),
                    a_step: k,
                    b: packed.as_ptr(),
                    b_step: 0,
                    b_row: PANEL,
                    c: self.y.ahead(self.first).get(),
                    c_step: n,
                    onto: if start == 0 { Onto::Fresh } else { Onto::Sum },
                    // Each block of rows prefetches its share.
                    next: self.next(start, depth, rows.div_ceil(S::ROWS).max(1)),
                });
            }
        }
    }
}

/// Computes the gradient of weights `[O, C]` from x `[rows, C]` and dy `[rows, O]`: dyᵀ·x, converted from the rows' order to the weights'.
pub(super) fn weight_grad(level: Level, p: &Problem, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let taps = p.kernel[0] * p.kernel[1];
    if taps == 1 {
        return ordered(level, x, dy, [p.rows(), p.out_channels], dw);
    }
    let mut aside = Buffer::any(dw.len());
    ordered(level, x, dy, [p.rows(), p.out_channels], &mut aside);
    channels_first(&aside, p.in_channels, taps, dw);
}

fn ordered(level: Level, x: &[f32], dy: &[f32], [c, o]: [usize; 2], dw: &mut [f32]) {
    let rows = x.len() / c.max(1);
    assert_eq!(x.len(), rows * c, "a product's factors are whole rows");
    assert_eq!(dy.len(), rows * o, "a gradient has a row for each of x");
    assert_eq!(dw.len(), c * o, "a weights' gradient fits its sides");
    let dw = Shared::new(dw);
    // Few outputs are divided by columns too.
    let down = o.div_ceil(ROWS);
    let panels = c.div_ceil(PANEL);
    let width = panels_per_task(panels, down);
    let across = panels.div_ceil(width);
    each(down * across, |task| {
        let first = task / across * ROWS;
        let column = task % across * width * PANEL;
        let product = Product {
            m: ROWS.min(o - first),
            n: (width * PANEL).min(c - column),
            k: rows,
            a: dy.as_ptr().wrapping_add(first),
            a_step: o,
            b: x.as_ptr().wrapping_add(column),
            b_step: PANEL,
            b_row: c,
            c: dw.ahead(first * c + column).get(),
            c_step: c,
            onto: Onto::Fresh,
            next: Next::NOTHING,
        };
        // SAFETY: dy has o numbers and x c for each row; dw has c for each output, as checked above. Each task has a part of
        // dw of its own.
        unsafe { level.run(Multiply::<Single, BY_COLUMNS>(product, PhantomData)) }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::refused;

    #[test]
    fn other_lengths_are_refused() {
        let (level, all) = (Level::current(), [1.0; 128]);
        for (x, b, y) in [(7, 8, 4), (9, 8, 4), (8, 7, 4), (8, 9, 4), (8, 8, 3), (8, 8, 5), (8, 8, 6)] {
            refused(|| run(level, &all[..x], &all[..b], [4, 2], false, &mut [0.0; 16][..y]));
        }
        for (x, dy, dw) in [(7, 4, 8), (9, 4, 8), (8, 3, 8), (8, 5, 8), (8, 4, 7), (8, 4, 9)] {
            refused(|| ordered(level, &all[..x], &all[..dy], [4, 2], &mut [0.0; 16][..dw]));
        }
        refused(|| run(level, &all[..8], &all[..8], [4, 2], true, &mut [0.0; 4]));
        let mut y = [0.0; 4];
        run(level, &all[..8], &all[..8], [4, 2], false, &mut y);
        assert_eq!(y, [4.0; 4]);
    }

    #[test]
    fn panels_equal_the_loops_on_every_level() {
        let synthetic = |len: usize| (0..len).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect::<Vec<f32>>();
        for [rows, k, n] in [[1, 5, 3], [3, 16, 32], [13, 300, 70], [37, 257, 33], [100, 513, 47]] {
            let x = synthetic(rows * k);
            let w = synthetic(k * n);
            for (level, transposed) in Level::available().into_iter().flat_map(|level| [(level, false), (level, true)])
            {
                let mut y = vec![7.0; rows * n];
                by_panels(level, &x, &w, [k, n], transposed, &mut y);
                for (i, y) in y.iter().enumerate() {
                    let weight = |at: usize| w[if transposed { i % n * k + at } else { at * n + i % n }];
                    let exact: f64 = (0..k).map(|at| f64::from(x[i / n * k + at]) * f64::from(weight(at))).sum();
                    assert!((f64::from(*y) - exact).abs() < 1e-3, "{level:?} {transposed} {rows}×{k}×{n}: {y} {exact}");
                }
            }
        }
    }
}
