//! Dense layers, 1×1 convolutions, and convolutions between one pixel and a whole image: row products in f32, most of them without packing.

use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::gemm::{BY_COLUMNS, BY_ROWS, Multiply, Onto, PANEL, Product, Single};
use crate::cpu::layout::{channels_first, channels_last};
use crate::cpu::parallel::each;
use crate::cpu::simd::Level;
use crate::spec::Problem;
use std::marker::PhantomData;

/// Number of rows per task.
const ROWS: usize = 96;

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
    each(rows.div_ceil(ROWS), |task| {
        let first = task * ROWS;
        let product = Product {
            m: ROWS.min(rows - first),
            n,
            k,
            a: x[first * k..].as_ptr(),
            a_step: k,
            b: b.as_ptr(),
            b_step,
            b_row,
            c: y.ahead(first * n).get(),
            c_step: n,
            onto: Onto::Fresh,
        };
        // SAFETY: x has k numbers and y n for each row; b has k rows of n, in panels or plain, as checked above. Each task has rows of its
        // own.
        unsafe { level.run(Multiply::<Single, BY_ROWS>(product, PhantomData)) }
    });
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
