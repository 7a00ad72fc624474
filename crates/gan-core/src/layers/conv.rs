//! Convolution and its transpose.

use super::dense::SPECTRAL;
use super::settings::{Pad, PadRule, Pair, finite_gain, image, is_one, is_yes, limit, one, require, yes};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::error::strip_backtrace;
use crate::graph::{GraphContext, Op, Value};
use crate::pytorch::{Call, Helper, TorchResult, pair, tuple};
use candle_core::{Result, Tensor};
use gan_kernels::fused::{Conv as FusedConv, FusedLayer, Weights};
use gan_kernels::{ConvSpec, Padding, ops};
use serde::{Deserialize, Serialize};
use std::ops::Not;

/// Convolution: `[C, H, W] -> [O, H', W']`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    /// Output channels O.
    pub conv: usize,
    /// Kernel height and width.
    pub kernel: Pair,
    /// Step of the window.
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    pub stride: Pair,
    /// Zeros around the image.
    #[serde(default)]
    pub padding: Pad,
    /// Distance between kernel taps.
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    pub dilation: Pair,
    /// Whether to add a bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// Number of groups of input and output channels, each with its own kernels.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: usize,
    /// Whether to divide the kernel by its largest singular value.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub spectral_norm: bool,
    /// Factor of the kernel's initial values; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<f64>,
}

impl Conv {
    /// Returns a convolution to `outputs` channels with a bias, without padding.
    pub fn new(outputs: usize, kernel: impl Into<Pair>) -> Self {
        Self {
            conv: outputs,
            kernel: kernel.into(),
            stride: Pair::one(),
            padding: Pad::default(),
            dilation: Pair::one(),
            bias: true,
            groups: 1,
            spectral_norm: false,
            gain: None,
        }
    }

    /// Returns the geometry over an image of `input` `[H, W]`.
    fn spec(&self, input: [usize; 2]) -> ConvSpec {
        let stride = self.stride.get();
        let dilation = self.dilation.get();
        let padding = match self.padding {
            Pad::Rule(PadRule::Same) if !stride.contains(&0) && !self.kernel.get().contains(&0) => {
                Padding::same(input, self.kernel.get(), stride, dilation)
            }
            pad => pad.sides(),
        };
        ConvSpec { stride, padding, dilation, ..ConvSpec::default() }
    }

    /// Computes the convolution without its bias.
    fn convolve(&self, x: &Tensor, kernel: &Tensor) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        ops::grouped_conv2d(x, kernel, None, &self.spec([h, w]), self.groups)
    }
}

impl LayerSpec for Conv {
    const NAME: &'static str = "conv";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        let kernel = self.kernel.get();
        limit(&[&kernel[..], &self.stride.get(), &self.dilation.get(), &self.padding.numbers()].concat())?;
        finite_gain(self.gain)?;
        let [c, h, w] = image(input)?;
        let divides = |n: usize| self.groups > 0 && n.is_multiple_of(self.groups);
        require(divides(c) && divides(self.conv), format!("groups that divide its channels and {}", self.conv))?;
        require(self.conv > 0, "at least 1 output channel")?;
        let [oh, ow] = self.spec([h, w]).output_size([h, w], kernel).map_err(|e| other_settings(&e))?;
        let shape = [self.conv, c / self.groups, kernel[0], kernel[1]];
        let layer = Inferred::new([self.conv, oh, ow]).with_kernel("weight", &shape, self.gain);
        let layer = layer.with_bias(self.conv, self.bias).with_spectral_norm(self.spectral_norm);
        Ok(layer.with_products(oh.saturating_mul(ow)))
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        let kernel = cx.kernel("weight")?;
        let y = x.linear(|x| self.convolve(x, &kernel))?;
        with_bias(y, self.bias, cx)
    }

    fn fused(&self, input: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        let weights = Weights { weight: place(0), bias: self.bias.then(|| place(1)) };
        let spec = self.spec([*input.get(1)?, *input.get(2)?]);
        let kernel = self.kernel.get();
        let Self { conv: outputs, groups, .. } = *self;
        Some(vec![FusedLayer::Conv(FusedConv { weights, outputs, groups, kernel, spec, transposed: None })])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let spec = self.spec([cx.input()[1], cx.input()[2]]);
        let inputs = cx.kernel_and_bias(x, self.bias)?;
        Ok(cx.node(Op::Conv { spec, groups: self.groups }, &inputs))
    }

    fn pytorch(&self, input: &[usize]) -> TorchResult {
        let [channels, h, w] = image(input)?;
        let padding = self.spec([h, w]).padding;
        let is_even = padding.top == padding.bottom && padding.left == padding.right;
        let is_plain = is_even && !self.spectral_norm;
        let call = Call::new(if is_plain { "nn.Conv2d" } else { "Conv2d" }).with(channels).with(self.conv);
        let call = call.with(pair(self.kernel.get())).with_pair("stride", self.stride.get(), [1, 1]);
        let call = match is_even {
            true => call.with_pair("padding", [padding.top, padding.left], [0, 0]),
            false => call.with(format_args!("pad={}", sides(padding))),
        };
        let call = call.with_pair("dilation", self.dilation.get(), [1, 1]).with_key("groups", self.groups, &1);
        let call = call.with_key("bias", self.bias, &true).with_key("spectral_norm", self.spectral_norm, &false);
        let module = call.module();
        Ok(if is_plain { module } else { module.with_helpers(&[SPECTRAL, CONV]) })
    }

    fn with_spectral_norm(self) -> Self {
        Self { spectral_norm: true, ..self }
    }
}

/// Transposed convolution: `[C, H, W] -> [O, H', W']`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvTranspose {
    /// Output channels O.
    pub conv_transpose: usize,
    /// Kernel height and width.
    pub kernel: Pair,
    /// Step of the window on the output's side.
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    pub stride: Pair,
    /// Rows and columns to crop from the full result.
    #[serde(default)]
    pub padding: Pad,
    /// Rows and columns added at the bottom and right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_padding: Option<Pair>,
    /// Whether to add a bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// Whether to divide the kernel by its largest singular value.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub spectral_norm: bool,
    /// Factor of the kernel's initial values; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<f64>,
}

impl ConvTranspose {
    /// Returns a transposed convolution to `outputs` channels with a bias, without cropping.
    pub fn new(outputs: usize, kernel: impl Into<Pair>) -> Self {
        Self {
            conv_transpose: outputs,
            kernel: kernel.into(),
            stride: Pair::one(),
            padding: Pad::default(),
            output_padding: None,
            bias: true,
            spectral_norm: false,
            gain: None,
        }
    }

    /// Returns the geometry over an image of `input` `[H, W]`, and the output padding.
    ///
    /// "same" makes the output `input × stride`, cropped like the padding of the convolution in the other direction; if the kernel is
    /// smaller than the stride, the missing rows are output padding.
    fn spec(&self, input: [usize; 2]) -> (ConvSpec, [usize; 2]) {
        let stride = self.stride.get();
        let kernel = self.kernel.get();
        let extra = self.output_padding.map_or([0, 0], |p| p.get());
        match self.padding {
            Pad::Rule(PadRule::Same) if !stride.contains(&0) && !kernel.contains(&0) => {
                let output = [input[0].saturating_mul(stride[0]), input[1].saturating_mul(stride[1])];
                let padding = Padding::same(output, kernel, stride, [1, 1]);
                let short = |i: usize| stride[i].saturating_sub(kernel[i]);
                (ConvSpec { stride, padding, ..ConvSpec::default() }, [short(0), short(1)])
            }
            pad => (ConvSpec { stride, padding: pad.sides(), ..ConvSpec::default() }, extra),
        }
    }
}

impl LayerSpec for ConvTranspose {
    const NAME: &'static str = "conv_transpose";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        let decides_size = self.padding == Pad::Rule(PadRule::Same);
        require(
            !decides_size || self.output_padding.is_none(),
            "either padding = \"same\", which decides the output's size, or output_padding",
        )?;
        let kernel = self.kernel.get();
        let extra = self.output_padding.map_or([0, 0], |p| p.get());
        limit(&[&kernel[..], &self.stride.get(), &extra, &self.padding.numbers()].concat())?;
        finite_gain(self.gain)?;
        let [c, h, w] = image(input)?;
        require(self.conv_transpose > 0, "at least 1 output channel")?;
        let (spec, extra) = self.spec([h, w]);
        let [oh, ow] = spec.transposed_size([h, w], kernel, extra).map_err(|e| other_settings(&e))?;
        let shape = [c, self.conv_transpose, kernel[0], kernel[1]];
        let layer = Inferred::new([self.conv_transpose, oh, ow]).with_kernel("weight", &shape, self.gain);
        let layer =
            layer.with_bias(self.conv_transpose, self.bias).with_output_axis(1).with_spectral_norm(self.spectral_norm);
        Ok(layer.with_products(h.saturating_mul(w)))
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        let (_, _, h, w) = x.value.dims4()?;
        let (spec, extra) = self.spec([h, w]);
        let kernel = cx.kernel("weight")?;
        let y = x.linear(|x| ops::conv_transpose2d(x, &kernel, None, &spec, extra))?;
        with_bias(y, self.bias, cx)
    }

    fn fused(&self, input: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        let weights = Weights { weight: place(0), bias: self.bias.then(|| place(1)) };
        let (spec, output_padding) = self.spec([*input.get(1)?, *input.get(2)?]);
        let outputs = self.conv_transpose;
        let transposed = Some(output_padding);
        let kernel = self.kernel.get();
        Some(vec![FusedLayer::Conv(FusedConv { weights, outputs, groups: 1, kernel, spec, transposed })])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let (spec, output_padding) = self.spec([cx.input()[1], cx.input()[2]]);
        let inputs = cx.kernel_and_bias(x, self.bias)?;
        Ok(cx.node(Op::ConvTranspose { spec, output_padding }, &inputs))
    }

    fn pytorch(&self, input: &[usize]) -> TorchResult {
        let [channels, h, w] = image(input)?;
        let (ConvSpec { padding, .. }, output_padding) = self.spec([h, w]);
        let is_even = padding.top == padding.bottom && padding.left == padding.right;
        let is_plain = is_even && !self.spectral_norm;
        let call = Call::new(if is_plain { "nn.ConvTranspose2d" } else { "ConvTranspose2d" });
        let call = call.with(channels).with(self.conv_transpose).with(pair(self.kernel.get()));
        let call = call.with_pair("stride", self.stride.get(), [1, 1]);
        let call = match is_even {
            true => call.with_pair("padding", [padding.top, padding.left], [0, 0]),
            false => call.with(format_args!("crop={}", sides(padding))),
        };
        let call = call.with_pair("output_padding", output_padding, [0, 0]).with_key("bias", self.bias, &true);
        let module = call.with_key("spectral_norm", self.spectral_norm, &false).module();
        Ok(if is_plain { module } else { module.with_helpers(&[SPECTRAL, CONV_TRANSPOSE]) })
    }

    fn with_spectral_norm(self) -> Self {
        Self { spectral_norm: true, ..self }
    }
}

/// Adds a bias to every pixel of its channel.
fn with_bias(y: Dual, has: bool, cx: &LayerContext) -> Result<Dual> {
    if !has {
        return Ok(y);
    }
    let bias = cx.param("bias")?;
    y.add(&Dual::constant(bias.reshape((1, bias.elem_count(), 1, 1))?))
}

/// Formats the sides of an image in the order of `F.pad`.
pub(super) fn sides(padding: Padding) -> String {
    tuple(&[padding.left, padding.right, padding.top, padding.bottom])
}

const CONV: Helper = Helper(
    r#"class Conv2d(nn.Conv2d):
    """nn.Conv2d with padding that differs between sides (pad: left, right, top, bottom), or with spectral norm."""

    def __init__(self, *args, pad=(0, 0, 0, 0), spectral_norm=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.pad = pad
        self.spectral_norm = spectral_norm
        if spectral_norm:
            self.register_buffer("weight_u", torch.ones(self.out_channels))

    def forward(self, x):
        weight = spectrally_normalized(self.weight, self.weight_u) if self.spectral_norm else self.weight
        return self._conv_forward(F.pad(x, self.pad), weight, self.bias)
"#,
);

const CONV_TRANSPOSE: Helper = Helper(
    r#"class ConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d whose result is cropped differently on each side (crop: left, right, top, bottom), or with spectral norm."""

    def __init__(self, *args, crop=(0, 0, 0, 0), spectral_norm=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.crop = crop
        self.spectral_norm = spectral_norm
        if spectral_norm:
            self.register_buffer("weight_u", torch.ones(self.out_channels))

    def forward(self, x):
        weight = spectrally_normalized(self.weight, self.weight_u, axis=1) if self.spectral_norm else self.weight
        y = F.conv_transpose2d(x, weight, self.bias, self.stride, self.padding, self.output_padding)
        left, right, top, bottom = self.crop
        return y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]
"#,
);

/// Converts an error of the kernels about settings that do not fit.
fn other_settings(error: &candle_core::Error) -> String {
    format!("other settings: {}", strip_backtrace(error))
}
