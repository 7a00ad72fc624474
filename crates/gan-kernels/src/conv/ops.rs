//! Convolution, its input gradient and its weight gradient as three candle operations.
//!
//! Each is linear in both arguments, and each one's derivatives are the other two, so any order of gradient is exact.

use super::kernel;
use super::lower;
use super::problem::Problem;
use super::spec::ConvSpec;
use super::winograd::Direction;
use crate::layout::{channels_first, channels_last};
use crate::scratch::Buffer;
use crate::simd::Level;
use crate::storage::{Real, elements, for_backward};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};

type Grads = Result<(Option<Tensor>, Option<Tensor>)>;

/// x `[N, C, H, W]`, w `[O, C, kh, kw]` -> y `[N, O, H', W']`.
pub(super) fn forward(x: &Tensor, w: &Tensor, spec: &ConvSpec) -> Result<Tensor> {
    x.apply_op2(w, Forward(*spec))
}

/// y `[N, O, H', W']`, w `[O, C, kh, kw]` -> x-like `[N, C, H, W]` with `input` = `[H, W]`.
pub(super) fn input_grad(y: &Tensor, w: &Tensor, spec: &ConvSpec, input: [usize; 2]) -> Result<Tensor> {
    y.apply_op2(w, InputGrad(*spec, input))
}

/// x `[N, C, H, W]`, y `[N, O, H', W']` -> w-like `[O, C, kh, kw]` with `kernel` = `[kh, kw]`.
fn weight_grad(x: &Tensor, y: &Tensor, spec: &ConvSpec, kernel: [usize; 2]) -> Result<Tensor> {
    x.apply_op2(y, WeightGrad(*spec, kernel))
}

/// The gradient with respect to `arg`, computed only if `arg` leads to a variable.
fn wanted(arg: &Tensor, grad: impl FnOnce() -> Result<Tensor>) -> Result<Option<Tensor>> {
    if arg.track_op() { grad().map(Some) } else { Ok(None) }
}

fn sides(t: &Tensor) -> Result<[usize; 2]> {
    let (_, _, h, w) = t.dims4()?;
    Ok([h, w])
}

struct Forward(ConvSpec);

impl CustomOp2 for Forward {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (samples, in_channels, h, wd) = xl.shape().dims4()?;
        let (out_channels, per_group, kh, kw) = wl.shape().dims4()?;
        if in_channels != per_group {
            bail!("conv2d: the image has {in_channels} channels, the weight {:?} is for {per_group}", wl.dims());
        }
        let (input, kernel) = ([h, wd], [kh, kw]);
        let output = self.0.output_size(input, kernel)?;
        let p = Problem { spec: self.0, samples, in_channels, out_channels, input, output, kernel };
        run(Pass::Forward, &p, (x, xl), (w, wl), [samples, out_channels, output[0], output[1]])
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _y: &Tensor, g: &Tensor) -> Grads {
        let grad_x = wanted(x, || input_grad(g, &for_backward(w), &self.0, sides(x)?))?;
        let grad_w = wanted(w, || weight_grad(&for_backward(x), g, &self.0, sides(w)?))?;
        Ok((grad_x, grad_w))
    }
}

struct InputGrad(ConvSpec, [usize; 2]);

impl CustomOp2 for InputGrad {
    fn name(&self) -> &'static str {
        "conv-transpose2d"
    }

    fn cpu_fwd(&self, y: &CpuStorage, yl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (samples, out_channels, h, wd) = yl.shape().dims4()?;
        let (w_out, in_channels, kh, kw) = wl.shape().dims4()?;
        if out_channels != w_out {
            bail!("conv_transpose2d: the image has {out_channels} channels, the weight {:?} is for {w_out}", wl.dims());
        }
        let (input, kernel, output) = (self.1, [kh, kw], [h, wd]);
        let p = Problem { spec: self.0, samples, in_channels, out_channels, input, output, kernel };
        run(Pass::InputGrad, &p, (y, yl), (w, wl), [samples, in_channels, input[0], input[1]])
    }

    fn bwd(&self, y: &Tensor, w: &Tensor, _x: &Tensor, g: &Tensor) -> Grads {
        let grad_y = wanted(y, || forward(g, &for_backward(w), &self.0))?;
        let grad_w = wanted(w, || weight_grad(g, &for_backward(y), &self.0, sides(w)?))?;
        Ok((grad_y, grad_w))
    }
}

struct WeightGrad(ConvSpec, [usize; 2]);

impl CustomOp2 for WeightGrad {
    fn name(&self) -> &'static str {
        "conv2d-weight-grad"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, y: &CpuStorage, yl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (samples, in_channels, h, wd) = xl.shape().dims4()?;
        let (y_samples, out_channels, oh, ow) = yl.shape().dims4()?;
        if samples != y_samples {
            bail!("conv2d-weight-grad: {samples} images and gradients of {y_samples}");
        }
        let p = Problem {
            spec: self.0,
            samples,
            in_channels,
            out_channels,
            input: [h, wd],
            output: [oh, ow],
            kernel: self.1,
        };
        let [kh, kw] = self.1;
        run(Pass::WeightGrad, &p, (x, xl), (y, yl), [out_channels, in_channels, kh, kw])
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, _w: &Tensor, g: &Tensor) -> Grads {
        let grad_x = wanted(x, || input_grad(&for_backward(y), g, &self.0, sides(x)?))?;
        let grad_y = wanted(y, || forward(&for_backward(x), g, &self.0))?;
        Ok((grad_x, grad_y))
    }
}

/// Which of the three operations.
#[derive(Clone, Copy)]
enum Pass {
    Forward,
    InputGrad,
    WeightGrad,
}

fn run(
    pass: Pass,
    p: &Problem,
    a: (&CpuStorage, &Layout),
    b: (&CpuStorage, &Layout),
    shape: [usize; 4],
) -> Result<(CpuStorage, Shape)> {
    p.check()?;
    let values = match candle_core::backend::BackendStorage::dtype(a.0) {
        DType::F32 => f32::store(fast(pass, p, &elements(a.0, a.1)?, &elements(b.0, b.1)?)),
        DType::F64 => {
            let lowered = match pass {
                Pass::Forward => lower::forward::<f64>,
                Pass::InputGrad => lower::input_grad,
                Pass::WeightGrad => lower::weight_grad,
            };
            f64::store(lowered(p, &elements(a.0, a.1)?, &elements(b.0, b.1)?))
        }
        other => bail!("convolutions work on f32 and f64, got {other:?}"),
    };
    Ok((values, Shape::from_dims(&shape)))
}

/// The operation on channels-first f32, by the kernels for channels-last.
fn fast(pass: Pass, p: &Problem, a: &[f32], b: &[f32]) -> Vec<f32> {
    let (level, precision) = (Level::current(), p.spec.precision);
    let (x_pixels, y_pixels) = (p.input[0] * p.input[1], p.output[0] * p.output[1]);
    match pass {
        Pass::Forward => {
            let w = kernel::pack(level, precision, p, Direction::Forward, b);
            let mut y = Buffer::any(p.samples * p.output_len());
            kernel::forward(p, &channels_last(a, p.in_channels, x_pixels), &w, &mut y);
            first(&y, p.out_channels, y_pixels)
        }
        Pass::InputGrad => {
            let w = kernel::pack(level, precision, p, Direction::Backward, b);
            let mut x = Buffer::any(p.samples * p.input_len());
            kernel::input_grad(p, &channels_last(a, p.out_channels, y_pixels), &w, &mut x);
            first(&x, p.in_channels, x_pixels)
        }
        Pass::WeightGrad => {
            let mut w = vec![0.0; p.out_channels * p.rows()];
            let (x, y) = (channels_last(a, p.in_channels, x_pixels), channels_last(b, p.out_channels, y_pixels));
            kernel::weight_grad(level, precision, p, &x, &y, &mut w);
            w
        }
    }
}

/// Channels-last numbers as a channels-first vector.
fn first(x: &[f32], c: usize, pixels: usize) -> Vec<f32> {
    let mut to = vec![0.0; x.len()];
    channels_first(x, c, pixels, &mut to);
    to
}
