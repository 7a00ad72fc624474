//! Gated linear units y = a·σ(b), where a and b are the halves of each pixel's channels.
//!
//! With the derivatives s = σ′(b) and c = σ″(b), a gradient g gives (g·σ, g·a·s), and a tangent (u, v) gives u·σ + v·a·s. For an adjoint h of
//! that tangent, the tangents get (h·σ, h·a·s), and the values (h·v·s, h·(u·s + v·a·c)); an adjoint of the values adds the ordinary gradient.

use crate::Cuda;
use crate::conv::small_count;
use crate::launch::{Argument, Shape};
use crate::memory::{Slice, SliceMut};
use gan_kernels::backend::{Glus, JvpAdjoints};

impl Cuda {
    /// Launches a kernel of gates: `halves` are arrays with the channels of both halves, `single` those with the channels of one.
    fn gate(&self, name: &str, channels: usize, halves: &[Slice<'_>], single: &[Slice<'_>], arrays: &[Argument]) {
        let [x, ..] = halves else { unreachable!("a gate has an operand") };
        let len = x.len / 2;
        assert!(x.len == 2 * len && len.is_multiple_of(channels.max(1)), "gates of {channels} channels: {x:?}");
        let fits = |all: &[Slice<'_>], each: usize| all.iter().all(|of| of.len == each && of.of == x.of);
        assert!(fits(halves, x.len) && fits(single, len), "a gate's operands belong to the same pixels");
        let addresses: Vec<u64> = halves.iter().chain(single).map(|of| of.address).collect();
        let (end, lanes) = Self::lanes(x.of, channels, &addresses);
        let sizes = [small_count(len / lanes).into(), channels.into()];
        let mut all = [arrays, &sizes].concat();
        self.launch(&format!("{name}_{end}"), Shape::flat(len / lanes), &mut all);
    }
}

impl Glus for Cuda {
    fn glu(&self, channels: usize, x: Slice<'_>, y: SliceMut<'_>) {
        self.gate("glu_forward", channels, &[x], &[y.read()], &[x.into(), (&y).into()]);
    }

    fn glu_grad(&self, channels: usize, x: Slice<'_>, g: Slice<'_>, dx: SliceMut<'_>) {
        self.gate("glu_grad", channels, &[x, dx.read()], &[g], &[x.into(), g.into(), (&dx).into()]);
    }

    fn glu_jvp(&self, channels: usize, [x, t]: [Slice<'_>; 2], y: SliceMut<'_>) {
        self.gate("glu_jvp", channels, &[x, t], &[y.read()], &[x.into(), t.into(), (&y).into()]);
    }

    fn glu_jvp_grad(&self, channels: usize, adjoints: &JvpAdjoints<Self>, to: [SliceMut<'_>; 2]) {
        let JvpAdjoints { x, tangent, of_values, of_tangent } = *adjoints;
        let halves = [x, tangent, to[0].read(), to[1].read()];
        let single = [of_tangent, of_values.unwrap_or(of_tangent)];
        let [first, second] = &to;
        let arrays = [x.into(), tangent.into(), of_tangent.into(), of_values.into(), first.into(), second.into()];
        self.gate("glu_jvp_grad", channels, &halves, &single, &arrays);
    }
}
