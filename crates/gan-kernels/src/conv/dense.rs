//! 1×1 convolutions and dense layers in f32: products of plain rows, most of them without packing.

use super::problem::Problem;
use crate::packed::{PANEL, Product, Single, by_columns, by_rows};
use crate::parallel::each;
use crate::product::Onto;
use crate::scratch::Shared;
use crate::simd::{Job, Level, Simd};
use std::ops::Range;

/// Rows that one task takes.
const ROWS: usize = 96;

/// Whether a convolution's windows are single pixels, in order.
pub(super) fn is_dense(p: &Problem) -> bool {
    p.kernel == [1, 1] && p.spec.stride == [1, 1] && p.spec.padding.total() == [0, 0]
}

/// x `[rows, C]` times B -> y `[rows, O]`: B packed in panels for the forward pass, the weights `[O, C]` themselves for the
/// backward pass (where x is y's gradient and C and O change places).
pub(super) fn run(level: Level, x: &[f32], b: &[f32], [k, n]: [usize; 2], packed: bool, y: &mut [f32]) {
    let rows = y.len() / n.max(1);
    let y = Shared::new(y);
    each(rows.div_ceil(ROWS), |task| {
        let rows = task * ROWS..rows.min((task + 1) * ROWS);
        // SAFETY: the level is available; each task has rows of its own.
        unsafe { level.run(Rows { x, b, k, n, packed, y, rows }) }
    });
}

struct Rows<'a> {
    x: &'a [f32],
    b: &'a [f32],
    k: usize,
    n: usize,
    packed: bool,
    y: Shared,
    rows: Range<usize>,
}

impl Job for Rows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { x, b, k, n, packed, y, rows } = self;
        let (b_step, b_row) = if packed { (k * PANEL, PANEL) } else { (PANEL, n) };
        // SAFETY: x has k numbers and y n for each row; b has k rows of n, in panels or plain.
        unsafe {
            by_rows::<S, Single>(Product {
                m: rows.len(),
                n,
                k,
                a: x.as_ptr().add(rows.start * k),
                a_step: k,
                b: b.as_ptr(),
                b_step,
                b_row,
                c: y.get().add(rows.start * n),
                c_step: n,
                onto: Onto::Fresh,
            });
        }
    }
}

/// x `[rows, C]`, dy `[rows, O]` -> the gradient of weights `[O, C]`: dyᵀ·x.
pub(super) fn weight_grad(level: Level, x: &[f32], dy: &[f32], [c, o]: [usize; 2], dw: &mut [f32]) {
    let rows = x.len() / c.max(1);
    let dw = Shared::new(dw);
    each(o.div_ceil(ROWS), |task| {
        let outputs = task * ROWS..o.min((task + 1) * ROWS);
        // SAFETY: the level is available; each task has outputs of its own.
        unsafe { level.run(Outputs { x, dy, rows, c, o, dw, outputs }) }
    });
}

struct Outputs<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    rows: usize,
    c: usize,
    o: usize,
    dw: Shared,
    outputs: Range<usize>,
}

impl Job for Outputs<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { x, dy, rows, c, o, dw, outputs } = self;
        // SAFETY: dy has o numbers and x c for each row; dw has c for each output.
        unsafe {
            by_columns::<S, Single>(Product {
                m: outputs.len(),
                n: c,
                k: rows,
                a: dy.as_ptr().add(outputs.start),
                a_step: o,
                b: x.as_ptr(),
                b_step: PANEL,
                b_row: c,
                c: dw.get().add(outputs.start * c),
                c_step: c,
                onto: Onto::Fresh,
            });
        }
    }
}
