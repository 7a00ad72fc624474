//! The same convolutions from candle's own operations, for CUDA and Metal.
//!
//! Candle's convolutions know one stride and dilation for both directions and symmetric padding. Padding is therefore
//! applied first, and rows that no window reads are cut off, which candle's gradient needs as well.

use super::spec::{ConvSpec, Padding};
use crate::resample::zero_pad2d;
use candle_core::{Result, Tensor, bail};

/// As [`super::conv2d`], without bias.
pub(super) fn conv2d(x: &Tensor, w: &Tensor, spec: &ConvSpec) -> Result<Tensor> {
    let (stride, dilation) = uniform(spec)?;
    let (_, _, h, wd) = x.dims4()?;
    let (_, _, kh, kw) = w.dims4()?;
    let [oh, ow] = spec.output_size([h, wd], [kh, kw])?;
    let x = zero_pad2d(x, spec.padding)?;
    let x = x.narrow(2, 0, (oh - 1) * stride + dilation * (kh - 1) + 1)?;
    let x = x.narrow(3, 0, (ow - 1) * stride + dilation * (kw - 1) + 1)?;
    x.contiguous()?.conv2d(w, 0, stride, dilation, 1)
}

/// As [`super::conv_transpose2d`], without bias, to an image of `output` `[H', W']`.
pub(super) fn conv_transpose2d(x: &Tensor, w: &Tensor, spec: &ConvSpec, output: [usize; 2]) -> Result<Tensor> {
    let (stride, dilation) = uniform(spec)?;
    let y = x.contiguous()?.conv_transpose2d(w, 0, 0, stride, dilation)?;
    // The full result lacks the rows of zeros that output padding adds beyond it.
    let (_, _, h, wd) = y.dims4()?;
    let Padding { top, left, .. } = spec.padding;
    let missing = |full: usize, start: usize, size: usize| (start + size).saturating_sub(full);
    let padding =
        Padding { bottom: missing(h, top, output[0]), right: missing(wd, left, output[1]), ..Padding::default() };
    zero_pad2d(&y, padding)?.narrow(2, top, output[0])?.narrow(3, left, output[1])?.contiguous()
}

fn uniform(spec: &ConvSpec) -> Result<(usize, usize)> {
    match (spec.stride, spec.dilation) {
        ([s, t], [d, e]) if s == t && d == e => Ok((s, d)),
        _ => bail!("on this device a convolution needs the same stride and dilation in both directions, got {spec:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn agrees_with_the_cpu_operations() -> Result<()> {
        let values = |shape: &[usize]| -> Result<Tensor> {
            let n: usize = shape.iter().product();
            let v: Vec<f32> = (0..n).map(|i| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0).collect();
            Tensor::from_vec(v, shape, &Device::Cpu)
        };
        let padding = Padding { top: 0, bottom: 1, left: 2, right: 1 };
        let spec = ConvSpec { stride: [2, 2], padding, ..ConvSpec::default() };
        let (x, w) = (values(&[2, 3, 8, 7])?, values(&[4, 3, 3, 3])?);
        let difference = |a: Tensor, b: Tensor| (a - b)?.abs()?.max_all()?.to_scalar::<f32>();
        assert!(difference(conv2d(&x, &w, &spec)?, super::super::ops::forward(&x, &w, &spec)?)? < 1e-5);
        let x = values(&[2, 4, 4, 5])?;
        let size = spec.transposed_size([4, 5], [3, 3], [1, 0])?;
        let ours = super::super::ops::input_grad(&x, &w, &spec, size)?;
        assert!(difference(conv_transpose2d(&x, &w, &spec, size)?, ours)? < 1e-5);
        Ok(())
    }
}
