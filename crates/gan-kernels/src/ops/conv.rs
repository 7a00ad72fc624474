//! 2-D convolution and its transpose, for any kernel, stride, dilation and padding, with four separate sides.
//!
//! f32 on the CPU uses this crate's kernels; everything else uses candle's convolution (`conv_composed`).

use super::conv_composed;
use crate::cpu::buffer::Buffer;
use crate::cpu::conv::kernel;
use crate::cpu::conv::winograd::Direction;
use crate::cpu::layout::{channels_first, channels_last};
use crate::cpu::simd::Level;
use crate::problem::Problem;
use crate::spec::ConvSpec;
use crate::storage::{elements, with_elements};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};

/// Computes the 2-D cross-correlation, called convolution in deep learning: x `[N, C, H, W]`, w `[O, C, kh, kw]`, bias
/// `[O]` -> `[N, O, H', W']` with H' = ⌊(H + top + bottom − dilation·(kh − 1) − 1) / stride⌋ + 1.
///
/// # Errors
/// If the shapes do not fit each other or the window does not fit into the padded image.
pub fn conv2d(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, spec: &ConvSpec) -> Result<Tensor> {
    let y = match has_kernel(x) {
        true => x.apply_op2(w, Convolution { spec: *spec, transposed_to: None })?,
        false => conv_composed::conv2d(x, w, spec)?,
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
        true => x.apply_op2(w, Convolution { spec: *spec, transposed_to: Some(output) })?,
        false => conv_composed::conv_transpose2d(x, w, spec, output)?,
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
        let fits = if self.transposed_to.is_some() { first } else { second };
        if channels != fits {
            bail!("{}: the image has {channels} channels, the weight {:?} is for {fits}", self.name(), wl.dims());
        }
        let (image, kernel) = ([h, wd], [kh, kw]);
        let (input, output) = match self.transposed_to {
            Some(output) => (output, image),
            None => (image, self.spec.output_size(image, kernel)?),
        };
        let spec = self.spec;
        let p = Problem { spec, samples, in_channels: second, out_channels: first, input, output, kernel };
        p.check()?;
        let (x, w) = (elements::<f32>(x, xl)?, elements::<f32>(w, wl)?);
        let x = channels_last(&x, channels, h * wd);
        let pack = |direction| kernel::pack(Level::current(), spec.precision, &p, direction, &w);
        let (channels, [h, w]) = if self.transposed_to.is_some() { (second, input) } else { (first, output) };
        let mut y = Buffer::any(samples * channels * h * w);
        match self.transposed_to {
            Some(_) => kernel::input_grad(&p, &x, &pack(Direction::Backward), &mut y),
            None => kernel::forward(&p, &x, &pack(Direction::Forward), &mut y),
        }
        let mut planes = vec![0.0; y.len()];
        channels_first(&y, channels, h * w, &mut planes);
        Ok((CpuStorage::F32(planes), Shape::from((samples, channels, h, w))))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (_, _, h, wd) = x.dims4()?;
        let transposed_to = if self.transposed_to.is_some() { None } else { Some([h, wd]) };
        // An argument that leads to no variable costs nothing.
        let dx = x.track_op().then(|| g.apply_op2(&w.detach(), Self { spec: self.spec, transposed_to }));
        let (input, output) = if self.transposed_to.is_some() { (g, x) } else { (x, g) };
        let dw = w.track_op().then(|| weight_grad(input, output, &self.spec, w));
        Ok((dx.transpose()?, dw.transpose()?))
    }
}

/// Returns the gradient of the weights `w` of a convolution with input x `[N, C, H, W]` and output gradient g `[N, O, H', W']`.
fn weight_grad(x: &Tensor, g: &Tensor, spec: &ConvSpec, w: &Tensor) -> Result<Tensor> {
    let (samples, in_channels, h, wd) = x.dims4()?;
    let (_, out_channels, oh, ow) = g.dims4()?;
    let (_, _, kh, kw) = w.dims4()?;
    let (input, output, kernel) = ([h, wd], [oh, ow], [kh, kw]);
    let p = Problem { spec: *spec, samples, in_channels, out_channels, input, output, kernel };
    p.check()?;
    let x = with_elements::<f32, _>(x, |x| channels_last(x, in_channels, h * wd))?;
    let g = with_elements::<f32, _>(g, |g| channels_last(g, out_channels, oh * ow))?;
    let mut dw = vec![0.0; w.elem_count()];
    kernel::weight_grad(Level::current(), spec.precision, &p, &x, &g, &mut dw);
    Tensor::from_vec(dw, w.shape(), w.device())
}
