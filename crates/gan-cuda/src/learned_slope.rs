//! A learned slope.

use crate::Cuda;
use crate::classes::assert_f32;
use crate::launch::{Shape, arguments};
use crate::memory::{Slice, SliceMut, Type};
use gan_kernels::backend::{LearnedSlopes, Memory};

/// Most partial sums of a slope's gradient.
const BLOCKS: u32 = 256;

impl Cuda {
    /// Returns the number of sides, after checking that all numbers have one.
    #[track_caller]
    fn sides(side: Option<Slice<'_>>, x: Slice<'_>) -> usize {
        let sides = side.map_or(x.len, |side| side.len).max(1);
        assert!(x.len.is_multiple_of(sides) && side.is_none_or(|side| side.of == x.of), "{side:?} of {x:?}");
        sides
    }
}

impl LearnedSlopes for Cuda {
    fn learned_slope(&self, slope: Slice<'_>, side: Option<Slice<'_>>, x: Slice<'_>, y: SliceMut<'_>) {
        assert!(slope.len == 1 && x.len == y.len && x.of == y.of, "a slope of {x:?}");
        assert_f32(&[slope]);
        let sides = Self::sides(side, x);
        let (end, lanes) = Self::lanes(x.of, sides, &[side.map_or(0, |side| side.address), x.address, y.address]);
        let all = arguments![slope, side, x, &y, x.len as u64, sides as u64];
        self.launch(&format!("learned_slope_{end}"), Shape::flat(x.len / lanes), all);
    }

    fn learned_slope_grad(&self, side: Option<Slice<'_>>, x: Slice<'_>, g: Slice<'_>, sum: SliceMut<'_>) {
        assert!(sum.len == 1 && x.len == g.len && x.of == g.of, "a slope's gradient of {x:?}");
        assert_f32(&[sum.read()]);
        let sides = Self::sides(side, x);
        let (end, lanes) = Self::lanes(x.of, sides, &[side.map_or(0, |side| side.address), x.address, g.address]);
        let mut shape = Shape::flat(x.len / lanes);
        shape.grid.0 = shape.grid.0.min(BLOCKS);
        let blocks = shape.grid.0 as usize;
        // The sums are in f64.
        let partial = self.buffer(2 * blocks, Type::F32);
        let partial = self.slice(&partial);
        let all = arguments![side, x, g, x.len as u64, sides as u64, partial];
        self.launch(&format!("slope_sums_{end}"), shape, all);
        self.add_blocks(partial, [1, blocks], 1.0, &sum);
    }
}

impl Cuda {
    /// Computes for each row `[rows, blocks]` of f64 numbers their sum, times a factor.
    pub(crate) fn add_blocks(&self, partial: Slice<'_>, [rows, blocks]: [usize; 2], factor: f64, to: &SliceMut<'_>) {
        assert!(partial.len == 2 * rows * blocks && to.len == rows && to.of == Type::F32, "sums of {rows} rows");
        let shape = Shape { grid: (rows as u32, 1, 1), block: (256, 1, 1), shared: 0 };
        self.launch("add_blocks", shape, arguments![partial, blocks, factor, to]);
    }
}
