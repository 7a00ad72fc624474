//! 2-D convolution and its transpose, for any kernel, stride, dilation and padding, with four separate sides.
//!
//! f32 on the CPU uses this crate's kernels; everything else uses candle's own convolution. That knows one stride and dilation for both
//! directions and symmetric padding. Padding is therefore applied first, and rows that no window reads are cut off, which candle's gradient
//! needs as well.

use super::zero_pad2d;
use crate::cpu::buffer::Buffer;
use crate::cpu::conv::{self, Direction};
use crate::cpu::layout::{channels_first, channels_last};
use crate::cpu::simd::Level;
use crate::spec::{ConvSpec, Padding, Problem};
use crate::storage::{elements, with_elements};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};

/// Computes the 2-D cross-correlation, called convolution in deep learning: x `[N, C, H, W]`, w `[O, C, kh, kw]`, bias
/// `[O]` -> `[N, O, H', W']` with H' = ⌊(H + top + bottom − dilation·(kh − 1) − 1) / stride⌋ + 1.
///
/// # Errors
/// If the shapes do not fit each other or the window does not fit into the padded image.
pub fn conv2d(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, spec: &ConvSpec) -> Result<Tensor> {
    grouped_conv2d(x, w, bias, spec, 1)
}

/// Computes [`conv2d`] in groups of channels, each with its own part of the kernels: w `[O, C / groups, kh, kw]`.
///
/// # Errors
/// As [`conv2d`], and if `groups` does not divide both numbers of channels.
pub fn grouped_conv2d(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, spec: &ConvSpec, groups: usize) -> Result<Tensor> {
    let outputs = w.dim(0)?;
    if groups == 0 || !outputs.is_multiple_of(groups) {
        bail!("a convolution with {outputs} kernels cannot have {groups} groups of them");
    }
    let y = match has_kernel(x) {
        true => x.apply_op2(w, Convolution { spec: *spec, groups, transposed_to: None })?,
        false => composed_conv2d(x, w, spec, groups)?,
    };
    add_bias(y, bias)
}

/// Computes the transpose of [`conv2d`]: x `[N, I, H, W]`, w `[I, O, kh, kw]`, bias `[O]` -> `[N, O, H', W']` with H' =
/// (H − 1)·stride + dilation·(kh − 1) + 1 + output_padding − top − bottom.
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
    let y = match has_kernel(x) {
        true => x.apply_op2(w, Convolution { spec: *spec, groups: 1, transposed_to: Some(output) })?,
        false => composed_transpose(x, w, spec, output)?,
    };
    add_bias(y, bias)
}

fn has_kernel(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

fn add_bias(y: Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    match bias {
        Some(bias) => y.broadcast_add(&bias.reshape((1, bias.elem_count(), 1, 1))?),
        None => Ok(y),
    }
}

/// A convolution of f32 on the CPU, or its transpose: each is the other's input gradient.
struct Convolution {
    spec: ConvSpec,
    groups: usize,
    /// `[H, W]` of a transposed convolution's output.
    transposed_to: Option<[usize; 2]>,
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        if self.transposed_to.is_some() { "conv_transpose2d" } else { "conv2d" }
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (samples, channels, h, wd) = xl.shape().dims4()?;
        let (first, second, kh, kw) = wl.shape().dims4()?;
        let groups = self.groups;
        let fits = if self.transposed_to.is_some() { first } else { second * groups };
        if channels != fits {
            bail!("{}: the image has {channels} channels, the weight {:?} is for {fits}", self.name(), wl.dims());
        }
        let image = [h, wd];
        let kernel = [kh, kw];
        let [input, output] = match self.transposed_to {
            Some(output) => [output, image],
            None => [image, self.spec.output_size(image, kernel)?],
        };
        let spec = self.spec;
        let out_channels = first / groups;
        let p = Problem { spec, samples, groups, in_channels: second, out_channels, input, output, kernel };
        p.check()?;
        let x = channels_last(&elements::<f32>(x, xl)?, channels, h * wd);
        let w = elements::<f32>(w, wl)?;
        let pack = |direction| conv::pack(Level::current(), spec.precision, &p, direction, &w);
        let (channels, [h, w]) = if self.transposed_to.is_some() { (second * groups, input) } else { (first, output) };
        let mut y = Buffer::any(samples * channels * h * w);
        match self.transposed_to {
            Some(_) => conv::input_grad(&p, &x, &pack(Direction::Backward), &mut y),
            None => conv::forward(&p, &x, &pack(Direction::Forward), &mut y),
        }
        let mut planes = vec![0.0; y.len()];
        channels_first(&y, channels, h * w, &mut planes);
        Ok((CpuStorage::F32(planes), Shape::from((samples, channels, h, w))))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (_, _, h, wd) = x.dims4()?;
        let transposed_to = if self.transposed_to.is_some() { None } else { Some([h, wd]) };
        // An argument that leads to no variable costs nothing.
        let dx = x.track_op().then(|| g.apply_op2(&w.detach(), Self { transposed_to, ..*self }));
        let (input, output) = if self.transposed_to.is_some() { (g, x) } else { (x, g) };
        let dw = w.track_op().then(|| self.weight_grad(input, output, w));
        Ok((dx.transpose()?, dw.transpose()?))
    }
}

impl Convolution {
    /// Returns the gradient of the weights `w` of a convolution with input x `[N, C, H, W]` and output gradient g `[N, O, H', W']`.
    fn weight_grad(&self, x: &Tensor, g: &Tensor, w: &Tensor) -> Result<Tensor> {
        let (samples, inputs, h, wd) = x.dims4()?;
        let (_, outputs, oh, ow) = g.dims4()?;
        let (_, _, kh, kw) = w.dims4()?;
        let Self { spec, groups, .. } = *self;
        let [in_channels, out_channels] = [inputs, outputs].map(|channels| channels / groups);
        let input = [h, wd];
        let output = [oh, ow];
        let kernel = [kh, kw];
        let p = Problem { spec, samples, groups, in_channels, out_channels, input, output, kernel };
        p.check()?;
        let x = with_elements::<f32, _>(x, |x| channels_last(x, inputs, h * wd))?;
        let g = with_elements::<f32, _>(g, |g| channels_last(g, outputs, oh * ow))?;
        let mut dw = vec![0.0; w.elem_count()];
        conv::weight_grad(Level::current(), spec.precision, &p, &x, &g, &mut dw);
        Tensor::from_vec(dw, w.shape(), w.device())
    }
}

/// [`conv2d`] without bias, in candle's operations.
fn composed_conv2d(x: &Tensor, w: &Tensor, spec: &ConvSpec, groups: usize) -> Result<Tensor> {
    let (_, _, h, wd) = x.dims4()?;
    let (_, _, kh, kw) = w.dims4()?;
    let [oh, ow] = spec.output_size([h, wd], [kh, kw])?;
    let (w, dilation) = with_one_dilation(w, spec)?;
    let [down, across] = spec.stride;
    let rows = (oh - 1) * down + spec.dilation[0] * (kh - 1) + 1;
    let columns = (ow - 1) * across + spec.dilation[1] * (kw - 1) + 1;
    let x = zero_pad2d(x, spec.padding)?.narrow(2, 0, rows)?.narrow(3, 0, columns)?.contiguous()?;
    if down == across {
        return x.conv2d(&w, 0, down, dilation, groups);
    }
    let every = |n: usize, stride: usize| Tensor::arange_step(0, (n * stride) as u32, stride as u32, x.device());
    x.conv2d(&w, 0, 1, dilation, groups)?.index_select(&every(oh, down)?, 2)?.index_select(&every(ow, across)?, 3)
}

/// [`conv_transpose2d`] without bias to an image of `output` `[H', W']`, in candle's operations.
fn composed_transpose(x: &Tensor, w: &Tensor, spec: &ConvSpec, output: [usize; 2]) -> Result<Tensor> {
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

/// Returns the kernel and one dilation for both directions. If they differ, zeros are inserted between the kernel's taps.
fn with_one_dilation(w: &Tensor, spec: &ConvSpec) -> Result<(Tensor, usize)> {
    match spec.dilation {
        [a, b] if a == b => Ok((w.contiguous()?, a)),
        [a, b] => Ok((spread(&spread(w, 2, a)?, 3, b)?, 1)),
    }
}

/// Inserts zeros between the entries along `axis`, so that they are `step` apart.
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
            assert!(difference(composed_conv2d(&x, &w, &spec, 1)?, conv2d(&x, &w, None, &spec)?)? < 1e-5);
            let grouped = values(&[2, 6, 8, 7])?;
            let ours = grouped_conv2d(&grouped, &w, None, &spec, 2)?;
            assert!(difference(composed_conv2d(&grouped, &w, &spec, 2)?, ours)? < 1e-5);
            let x = values(&[2, 4, 4, 5])?;
            let extra = [stride[0] - 1, 0];
            let size = spec.transposed_size([4, 5], [3, 3], extra)?;
            let ours = conv_transpose2d(&x, &w, None, &spec, extra)?;
            assert!(difference(composed_transpose(&x, &w, &spec, size)?, ours)? < 1e-5);
        }
        Ok(())
    }
}
