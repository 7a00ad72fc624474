//! Maximum of each channel.

use super::{Activation, Operation};
use crate::cpu::buffer::Buffer;
use crate::fused::pass::{At, NeedsGrad, PassContext};
use crate::spec::{Sides, size};
use candle_core::Result;

/// Maximum of each channel, as a vector. A channel with a NaN yields NaN; pixels that share the maximum share its gradient evenly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlobalMaxPool;

impl Operation for GlobalMaxPool {
    fn output(&self, [_, _, c]: Sides) -> Result<Sides> {
        Ok([1, 1, c])
    }

    fn makes_vector(&self) -> Option<bool> {
        Some(true)
    }

    fn reads_input(&self, _: NeedsGrad) -> bool {
        true
    }

    fn reads_output(&self, _: Activation) -> bool {
        true
    }

    fn forward(&self, at: &At, x: &Buffer, _: &mut PassContext) -> Result<Buffer> {
        let mut y = Buffer::any(at.output_len());
        let c = at.planned().input[2];
        for (x, y) in x.chunks_exact(size(at.planned().input)).zip(y.chunks_exact_mut(c)) {
            y.copy_from_slice(&x[..c]);
            for x in x.chunks_exact(c).skip(1) {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = if *x > *y || x.is_nan() { *x } else { *y });
            }
        }
        Ok(y)
    }

    fn backward(&self, at: &At, g: Buffer, cx: &mut PassContext, _: Option<&mut [f32]>, _: bool) -> Option<Buffer> {
        let x = cx.values[at.index].as_ref()?;
        let y = cx.values[at.index + 1].as_ref()?;
        let mut dx = Buffer::any(at.input_len());
        let c = at.planned().input[2];
        let len = size(at.planned().input);
        for (sample, (x, dx)) in x.chunks_exact(len).zip(dx.chunks_exact_mut(len)).enumerate() {
            max_grad(x, &y[sample * c..][..c], &g[sample * c..][..c], dx);
        }
        Some(dx)
    }

    fn has_jvp(&self, _: Activation) -> bool {
        false
    }
}

fn max_grad(x: &[f32], largest: &[f32], g: &[f32], dx: &mut [f32]) {
    let c = largest.len();
    let mut ties = vec![0f32; c];
    for x in x.chunks_exact(c) {
        ties.iter_mut().zip(x).zip(largest).for_each(|((t, x), m)| *t += if x == m { 1.0 } else { 0.0 });
    }
    for (x, dx) in x.chunks_exact(c).zip(dx.chunks_exact_mut(c)) {
        for i in 0..c {
            dx[i] = if x[i] == largest[i] { g[i] / ties[i] } else { 0.0 };
        }
    }
}
