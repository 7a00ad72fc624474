//! Self-attention over an image's pixels.

use super::dual::Dual;
use super::{Network, Pass};
use crate::layer::Attention;
use candle_core::Result;

impl Network {
    /// x + γ·o(v·softmax(qᵀk)) with 1×1 convolutions q, k, v, o: `[N, C, H, W]` (Zhang et al. 2018, arXiv:1805.08318, equations 1 to 3).
    pub(super) fn attention(&self, index: usize, l: &Attention, x: &Dual, pass: &Pass) -> Result<Dual> {
        let (n, c, h, w) = x.value.dims4()?;
        let (inner, half, pixels) = (c / l.attention, c / 2, h * w);
        let kernel = |i: usize| self.kernel(index, i, pass);
        let flat = x.linear(|x| x.reshape((n, c, pixels)))?;
        // A 1×1 convolution is one matrix for all pixels.
        let through = |x: &Dual, i: usize, outputs: usize| {
            let matrix = kernel(i)?.unsqueeze(0)?.broadcast_as((n, outputs, x.value.dim(1)?))?.contiguous()?;
            Dual::constant(matrix).matmul(x)
        };
        let (q, k, v) = (through(&flat, 0, inner)?, through(&flat, 1, inner)?, through(&flat, 2, half)?);
        let turned = |x: &Dual| x.linear(|x| x.transpose(1, 2)?.contiguous());
        // `[N, pixels, pixels]`: each row is what one pixel attends to.
        let attended = turned(&q)?.matmul(&k)?.softmax()?;
        let out = through(&v.matmul(&turned(&attended)?)?, 3, c)?;
        let gamma = Dual::constant(self.weight(index, 4, pass.weights)?.reshape((1, 1, 1))?);
        out.mul(&gamma)?.add(&flat)?.linear(|y| y.reshape((n, c, h, w)))
    }
}
