//! Convolutions from candle's own operations: for other devices, and for f64.
//!
//! Candle's convolutions know one stride and dilation for both directions and symmetric padding. Padding is therefore
//! applied first, and rows that no window reads are cut off, which candle's gradient needs as well.

use super::resample::zero_pad2d;
use crate::spec::{ConvSpec, Padding};
use candle_core::{Result, Tensor};

/// As [`super::conv2d`], without bias.
pub(super) fn conv2d(x: &Tensor, w: &Tensor, spec: &ConvSpec) -> Result<Tensor> {
    let (_, _, h, wd) = x.dims4()?;
    let (_, _, kh, kw) = w.dims4()?;
    let [oh, ow] = spec.output_size([h, wd], [kh, kw])?;
    let (w, dilation) = with_one_dilation(w, spec)?;
    let [down, across] = spec.stride;
    let rows = (oh - 1) * down + spec.dilation[0] * (kh - 1) + 1;
    let columns = (ow - 1) * across + spec.dilation[1] * (kw - 1) + 1;
    let x = zero_pad2d(x, spec.padding)?.narrow(2, 0, rows)?.narrow(3, 0, columns)?.contiguous()?;
    if down == across {
        return x.conv2d(&w, 0, down, dilation, 1);
    }
    let every = |n: usize, stride: usize| Tensor::arange_step(0, (n * stride) as u32, stride as u32, x.device());
    x.conv2d(&w, 0, 1, dilation, 1)?.index_select(&every(oh, down)?, 2)?.index_select(&every(ow, across)?, 3)
}

/// As [`super::conv_transpose2d`], without bias, to an image of `output` `[H', W']`.
pub(super) fn conv_transpose2d(x: &Tensor, w: &Tensor, spec: &ConvSpec, output: [usize; 2]) -> Result<Tensor> {
    if x.dim(0)? == 0 {
        // Candle's own has no empty results.
        return Tensor::zeros((0, w.dim(1)?, output[0], output[1]), x.dtype(), x.device());
    }
    let (w, dilation) = with_one_dilation(w, spec)?;
    let [down, across] = spec.stride;
    let y = match down == across {
        true => x.contiguous()?.conv_transpose2d(&w, 0, 0, down, dilation)?,
        false => spread(&spread(x, 2, down)?, 3, across)?.conv_transpose2d(&w, 0, 0, 1, dilation)?,
    };
    // The full result lacks the rows of zeros that output padding adds beyond it.
    let (_, _, h, wd) = y.dims4()?;
    let Padding { top, left, .. } = spec.padding;
    let missing = |full: usize, start: usize, size: usize| (start + size).saturating_sub(full);
    let padding =
        Padding { bottom: missing(h, top, output[0]), right: missing(wd, left, output[1]), ..Padding::default() };
    zero_pad2d(&y, padding)?.narrow(2, top, output[0])?.narrow(3, left, output[1])?.contiguous()
}

/// The kernel and a dilation for both directions: where they differ, the kernel itself gets zeros between its taps.
fn with_one_dilation(w: &Tensor, spec: &ConvSpec) -> Result<(Tensor, usize)> {
    match spec.dilation {
        [a, b] if a == b => Ok((w.contiguous()?, a)),
        [a, b] => Ok((spread(&spread(w, 2, a)?, 3, b)?, 1)),
    }
}

/// Zeros between the entries along `axis`, so that they are `step` apart.
fn spread(x: &Tensor, axis: usize, step: usize) -> Result<Tensor> {
    if step == 1 {
        return x.contiguous();
    }
    let mut dims = x.dims().to_vec();
    let entries = dims[axis];
    dims[axis] = entries * step;
    let wide = x.contiguous()?.unsqueeze(axis + 1)?.pad_with_zeros(axis + 1, 0, step - 1)?.reshape(dims)?;
    wide.narrow(axis, 0, (entries - 1) * step + 1)?.contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn agrees_with_the_cpu_kernels() -> Result<()> {
        let values = |shape: &[usize]| -> Result<Tensor> {
            let n: usize = shape.iter().product();
            let v: Vec<f32> = (0..n).map(|i| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0).collect();
            Tensor::from_vec(v, shape, &Device::Cpu)
        };
        let difference = |a: Tensor, b: Tensor| (a - b)?.abs()?.max_all()?.to_scalar::<f32>();
        for (stride, dilation) in [([2, 2], [1, 1]), ([1, 2], [1, 1]), ([2, 1], [1, 2]), ([2, 2], [2, 1])] {
            let padding = Padding { top: 0, bottom: 1, left: 2, right: 1 };
            let spec = ConvSpec { stride, dilation, padding, ..ConvSpec::default() };
            let (x, w) = (values(&[2, 3, 8, 7])?, values(&[4, 3, 3, 3])?);
            assert!(difference(conv2d(&x, &w, &spec)?, super::super::conv2d(&x, &w, None, &spec)?)? < 1e-5);
            let x = values(&[2, 4, 4, 5])?;
            let extra = [stride[0] - 1, 0];
            let size = spec.transposed_size([4, 5], [3, 3], extra)?;
            let ours = super::super::conv_transpose2d(&x, &w, None, &spec, extra)?;
            assert!(difference(conv_transpose2d(&x, &w, &spec, size)?, ours)? < 1e-5);
        }
        Ok(())
    }
}
