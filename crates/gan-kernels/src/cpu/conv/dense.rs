//! Dense layers, 1×1 convolutions, and convolutions between one pixel and a whole image: row products in f32, most of them without packing.

use super::im2col_gemm;
use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::gemm::{BY_COLUMNS, BY_ROWS, Multiply, Onto, PANEL, Product, Single};
use crate::cpu::layout::{channels_first, channels_last};
use crate::cpu::parallel::each;
use crate::cpu::simd::Level;
use crate::spec::Problem;
use std::marker::PhantomData;

/// Number of rows per task.
const ROWS: usize = 96;
/// Number of tasks into which products of few rows are divided by columns, approximately.
const TASKS: usize = 16;
/// Number of weights from which it is faster to read them in place than to pack them for few rows.
const LARGE: usize = 1 << 16;
/// Maximum number of rows for which weights are read in place.
const FEW: usize = 512;

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
    let width = panels.div_ceil(TASKS.div_ceil(down.max(1)).min(panels.max(1)).max(1)).max(1);
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
        };
        // SAFETY: x has k numbers and y n for each row; b has k rows of n, in panels or plain, as checked above. Each task has a part of y
        // of its own.
        unsafe { level.run(Multiply::<Single, BY_ROWS>(product, PhantomData)) }
    });
}

/// Returns whether a problem is the product of rows with weights in the rows' order.
pub(super) fn is_plain(p: &Problem) -> bool {
    p.groups == 1 && row(p).is_some() && (p.kernel == [1, 1] || p.in_channels == 1)
}

/// Returns whether the product of a problem's forward pass reads its weights as they are.
pub(super) fn reads_in_place(p: &Problem) -> bool {
    is_plain(p) && p.samples * p.positions() <= FEW && p.weights() >= LARGE
}

/// Computes x `[rows, C]` times weights `[O, C]` -> y `[rows, O]` for few rows: as the transposed product, for which x is packed.
pub(super) fn in_place(level: Level, x: &[f32], w: &[f32], [k, n]: [usize; 2], y: &mut [f32]) {
    let rows = y.len() / n.max(1);
    assert_eq!(y.len(), rows * n, "a product's result is whole rows");
    assert_eq!(x.len(), rows * k, "a product has a row of factors for each of its result");
    assert_eq!(w.len(), k * n, "a product's weights fit its sides");
    let b = im2col_gemm::pack::<Single>(level, k, rows, |k_at, row| x[row * k + k_at]);
    let mut transposed = Buffer::any(n * rows);
    let c = Shared::new(&mut transposed);
    each(n.div_ceil(ROWS), |task| {
        let first = task * ROWS;
        let product = Product {
            m: ROWS.min(n - first),
            n: rows,
            k,
            a: w[first * k..].as_ptr(),
            a_step: k,
            b: b.as_ptr(),
            b_step: k * PANEL,
            b_row: PANEL,
            c: c.ahead(first * rows).get(),
            c_step: rows,
            onto: Onto::Fresh,
        };
        // SAFETY: w has k numbers for each of n outputs, b was packed for k and these rows, and the result has a number for each of both, as
        // checked above. Each task has outputs of its own.
        unsafe { level.run(Multiply::<Single, BY_ROWS>(product, PhantomData)) }
    });
    // [1, O, rows] -> [1, rows, O]
    channels_first(&transposed, rows, n, y);
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
    each(o.div_ceil(ROWS), |task| {
        let first = task * ROWS;
        let product = Product {
            m: ROWS.min(o - first),
            n: c,
            k: rows,
            a: dy.as_ptr().wrapping_add(first),
            a_step: o,
            b: x.as_ptr(),
            b_step: PANEL,
            b_row: c,
            c: dw.ahead(first * c).get(),
            c_step: c,
            onto: Onto::Fresh,
        };
        // SAFETY: dy has o numbers and x c for each row; dw has c for each output, as checked above. Each task has outputs of its own.
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
}
