//! Copies of arrays in other layouts and number formats.

use crate::Cuda;
use crate::conv::small_count;
use crate::launch::{Shape, arguments};
use crate::memory::{Buffer, Slice, SliceMut, Type};
use gan_kernels::backend::Memory;

impl Cuda {
    /// Transposes `[n, a, b]` -> `[n, b, to_a]`, where rows of the source are `from_b` long, with zeros for what the source lacks.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn transpose(
        &self,
        x: Slice<'_>,
        y: &SliceMut<'_>,
        [from_n, n]: [usize; 2],
        a: usize,
        b: usize,
        from_b: usize,
        to_a: usize,
    ) {
        if (a == 1 || b == 1) && from_b == b && to_a == a && from_n == n {
            return self.convert(x, y);
        }
        if to_a <= 4 && from_n == n {
            let name = format!("transpose_few_{}_{}", x.of.name(), y.of.name());
            let all = arguments![x, y, small_count(n * b), a, b, from_b, to_a];
            return self.launch(&name, Shape::flat(n * b), all);
        }
        assert!(n <= 65535, "a transposition of {n} samples");
        let name = format!("transpose_{}_{}", x.of.name(), y.of.name());
        let grid = (b.div_ceil(32) as u32, to_a.div_ceil(32) as u32, n as u32);
        let shape = Shape { grid, block: (32, 8, 1), shared: 0 };
        self.launch(&name, shape, arguments![x, y, from_n, a, b, from_b, to_a]);
    }

    /// Copies numbers to another format.
    pub(crate) fn convert(&self, x: Slice<'_>, y: &SliceMut<'_>) {
        assert_eq!(x.len, y.len, "a copy has the size of its source");
        if x.of == y.of {
            return self.copy_bytes("copy", x.address, y.address, x.len * x.of.bytes());
        }
        let each = if x.len.is_multiple_of(8) { 8 } else { 1 };
        let flat = [x.len / each, 1, 1, each];
        self.window_to(x, flat, y, flat, [0, 0]);
    }

    /// Returns the window of an image `[n, h, w, c]` that begins at a row and column, with zeros outside the image.
    pub(crate) fn window(&self, x: Slice<'_>, from: [usize; 4], to: [usize; 4], at: [i32; 2], of: Type) -> Buffer {
        let mut y = self.buffer(to.iter().product(), of);
        self.window_to(x, from, &self.slice_mut(&mut y), to, at);
        y
    }

    /// Writes the window of an image `[n, h, w, c]` that begins at a row and column, with zeros outside the image.
    pub(crate) fn window_to(&self, x: Slice<'_>, from: [usize; 4], y: &SliceMut<'_>, to: [usize; 4], at: [i32; 2]) {
        assert!(x.len == from.iter().product::<usize>() && y.len == to.iter().product::<usize>(), "{from:?} {to:?}");
        let [_, h, w, c] = to;
        let each = match c {
            3 => 3,
            _ if c.is_multiple_of(8) => 8,
            _ if c.is_multiple_of(4) => 4,
            _ => 1,
        };
        let name = format!("window_{}_{}_{each}", x.of.name(), y.of.name());
        let [_, from_h, from_w, from_c] = from;
        let all = arguments![x, y, small_count(y.len / each), h, w, c, from_h, from_w, from_c, at[0], at[1]];
        self.launch(&name, Shape::flat(y.len / each), all);
    }
}
