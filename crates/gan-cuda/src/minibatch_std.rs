//! Minibatch standard deviation: one more channel, with the standard deviation σ = √(variance + ε) of each number over the samples of a
//! group, averaged over all F numbers of a sample.
//!
//! With the mean μ of a number over the s samples of its group, d = (x − μ)/(σ·s·F) and the sum δ of the new channel's gradients over the
//! group, dx = g + δ·d. The tangent is the mean of a/σ with a = E[(x − μ)·t]. For the sum δ of its adjoints, t̄ = τ̄ + δ·d, and x̄ gets
//! δ·((t − E[t])/σ − a·(x − μ)/σ³)/(s·F).

use crate::Cuda;
use crate::conv::small_count;
use crate::derivatives::assert_adjoints;
use crate::launch::{Argument, Shape, arguments};
use crate::memory::{Buffer, Slice, SliceMut, Type};
use gan_kernels::backend::{JvpAdjoints, Memory, MinibatchStds, PixelMap, size};

/// Groups of samples, as the kernels read them.
#[repr(C)]
#[derive(Clone, Copy)]
struct Groups {
    count: i32,
    members: i32,
    /// Number of values of a sample.
    len: u64,
}

impl Groups {
    #[track_caller]
    fn new(map: &PixelMap, group: usize, x: Slice<'_>, y: Slice<'_>) -> Self {
        let samples = map.samples;
        assert!(group > 0 && samples.is_multiple_of(group), "{samples} samples are no groups of {group}");
        assert!(x.len == samples * size(map.input) && y.len == samples * size(map.output), "{map:?}: {x:?}, {y:?}");
        assert_eq!(x.of, y.of, "a minibatch standard deviation has one number format");
        let count = samples / group;
        assert!(count <= 65535, "{count} groups: use a smaller batch");
        Self { count: count as i32, members: group as i32, len: small_count(size(map.input)) }
    }
}

/// Returns the number of pixels of a sample.
fn pixels(map: &PixelMap) -> usize {
    let [h, w, _] = map.input;
    h * w
}

impl Cuda {
    /// Writes x, or the tangents, with one more channel, which has the mean deviation of x or its tangent.
    fn concat_std(&self, map: &PixelMap, group: usize, x: Slice<'_>, t: Option<Slice<'_>>, y: &SliceMut<'_>) {
        let by = Groups::new(map, group, x, y.read());
        assert!(t.is_none_or(|t| t.len == x.len && t.of == x.of), "a tangent for each value");
        let groups = by.count as usize;
        if groups == 0 {
            return;
        }
        let mut shape = Shape::flat(by.len as usize);
        shape.grid = (shape.grid.0.min(264), groups as u32, 1);
        let blocks = shape.grid.0 as usize;
        // The sums are in f64.
        let partial = self.buffer(2 * groups * blocks, Type::F32);
        let partial = self.slice(&partial);
        let of = x.of.name();
        self.launch(&format!("std_sums_{of}"), shape, arguments![Argument::of(by), x, t, partial]);
        let mut values = self.buffer(groups, Type::F32);
        self.add_blocks(partial, [groups, blocks], 1.0 / by.len as f64, &self.slice_mut(&mut values));
        let channels = map.input[2];
        let values = self.slice(&values);
        let count = small_count(y.len);
        let all = arguments![Argument::of(by), t.unwrap_or(x), values, y, count, channels, pixels(map)];
        self.launch(&format!("std_concat_{of}"), Shape::flat(y.len), all);
    }

    /// Returns δ/(s·F) of each group, from the gradients of all channels.
    fn std_factors(&self, map: &PixelMap, by: Groups, g: Slice<'_>) -> Buffer {
        let factors = self.buffer(by.count as usize, Type::F32);
        let shape = Shape { grid: (by.count as u32, 1, 1), block: (256, 1, 1), shared: 0 };
        let all = arguments![Argument::of(by), g, map.input[2], pixels(map), self.slice(&factors)];
        self.launch(&format!("std_factors_{}", g.of.name()), shape, all);
        factors
    }

    fn std_grad(&self, map: &PixelMap, by: Groups, x: Slice<'_>, g: Slice<'_>, factors: &Buffer, dx: &SliceMut<'_>) {
        let all = arguments![Argument::of(by), x, g, self.slice(factors), dx, map.input[2]];
        let work = small_count(x.len) as usize / by.members as usize;
        self.launch(&format!("std_grad_{}", x.of.name()), Shape::flat(work), all);
    }
}

impl MinibatchStds for Cuda {
    fn minibatch_std(&self, map: &PixelMap, group: usize, x: Slice<'_>, y: SliceMut<'_>) {
        self.concat_std(map, group, x, None, &y);
    }

    fn minibatch_std_grad(&self, map: &PixelMap, group: usize, x: Slice<'_>, g: Slice<'_>, dx: SliceMut<'_>) {
        let by = Groups::new(map, group, x, g);
        assert!(dx.len == x.len && dx.of == x.of, "a gradient has the size of its values");
        if by.count == 0 {
            return;
        }
        let factors = self.std_factors(map, by, g);
        self.std_grad(map, by, x, g, &factors, &dx);
    }

    fn minibatch_std_jvp(&self, map: &PixelMap, group: usize, [x, t]: [Slice<'_>; 2], y: SliceMut<'_>) {
        self.concat_std(map, group, x, Some(t), &y);
    }

    fn minibatch_std_jvp_grad(
        &self,
        map: &PixelMap,
        group: usize,
        adjoints: &JvpAdjoints<Self>,
        to: [SliceMut<'_>; 2],
    ) {
        let JvpAdjoints { x, tangent: t, of_values: g, of_tangent: h } = *adjoints;
        let by = Groups::new(map, group, x, h);
        assert_adjoints(adjoints, &to, h.len);
        if by.count == 0 {
            return;
        }
        let [of_values, of_tangents] = &to;
        let of_h = self.std_factors(map, by, h);
        self.std_grad(map, by, x, h, &of_h, of_tangents);
        let of_g = g.map(|g| self.std_factors(map, by, g));
        let of_g = of_g.as_ref().map(|of_g| self.slice(of_g));
        let all = arguments![Argument::of(by), x, t, g, self.slice(&of_h), of_g, of_values, map.input[2]];
        self.launch(&format!("std_bend_{}", x.of.name()), Shape::flat(x.len / group), all);
    }
}
