//! 2-D convolution and its transpose, for any kernel, stride, dilation and padding, the four sides separately.
//!
//! `spec` holds the geometry. On the CPU, convolution, its input gradient and its weight gradient are three operations that
//! are each other's derivatives (`ops`), so gradients of any order are exact. f32 runs through `kernel`, which picks Winograd's
//! algorithms (`winograd`) or products of unfolded windows (`direct`); f64, for checking gradients, through plain matrix
//! products (`lower`).
//! On CUDA and Metal candle's own convolutions serve (`accelerator`).

mod accelerator;
mod dense;
mod direct;
mod fold;
mod gather;
pub(crate) mod kernel;
mod lower;
mod ops;
pub(crate) mod problem;
mod spec;
mod taps;
#[cfg(test)]
mod tests;
#[allow(clippy::needless_range_loop, reason = "tiles are indexed by point in both directions, as the formulas are")]
pub(crate) mod winograd;

pub use spec::{ConvSpec, Padding};

use candle_core::{Result, Tensor};

/// 2-D cross-correlation, as deep learning calls convolution: x `[N, C, H, W]`, w `[O, C, kh, kw]`, bias `[O]` ->
/// `[N, O, H', W']` with H' = ⌊(H + top + bottom − dilation·(kh − 1) − 1) / stride⌋ + 1.
///
/// # Errors
/// If the shapes do not fit each other or the window does not fit into the padded image.
pub fn conv2d(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, spec: &ConvSpec) -> Result<Tensor> {
    let y = if x.device().is_cpu() { ops::forward(x, w, spec)? } else { accelerator::conv2d(x, w, spec)? };
    add_bias(y, bias)
}

/// The transpose of [`conv2d`]: x `[N, I, H, W]`, w `[I, O, kh, kw]`, bias `[O]` -> `[N, O, H', W']` with
/// H' = (H − 1)·stride + dilation·(kh − 1) + 1 + output_padding − top − bottom.
///
/// # Errors
/// If the shapes do not fit each other, if nothing is left after cropping by the padding, or if `output_padding` is not
/// less than the stride.
pub fn conv_transpose2d(
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    spec: &ConvSpec,
    output_padding: [usize; 2],
) -> Result<Tensor> {
    let (_, _, h, wd) = x.dims4()?;
    let (_, _, kh, kw) = w.dims4()?;
    let output = spec.transposed_size([h, wd], [kh, kw], output_padding)?;
    let y = if x.device().is_cpu() {
        ops::input_grad(x, w, spec, output)?
    } else {
        accelerator::conv_transpose2d(x, w, spec, output)?
    };
    add_bias(y, bias)
}

fn add_bias(y: Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    match bias {
        Some(bias) => y.broadcast_add(&bias.reshape((1, bias.elem_count(), 1, 1))?),
        None => Ok(y),
    }
}
