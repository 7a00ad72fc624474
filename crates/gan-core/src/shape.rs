//! What comes out of each layer and what it learns, worked out before anything is allocated: the rules, and the `walk` over a list.

use crate::error::bare;
use crate::layer::{Conv, ConvTranspose, Layer, Pad, PadRule};
use crate::params::Described;
use gan_kernels::{ConvSpec, Padding};

mod blocks;
mod walk;

pub(crate) use walk::each_param;
pub use walk::{InferredLayer, infer, infer_layers, largest_working_set, parameter_count, saved_for_backward};

/// A shape without the batch: `[F]` or `[C, H, W]`.
pub type Shape = Vec<usize>;

/// More numbers a sample than this are taken for a mistake: 4 GiB.
const LARGEST: usize = 1 << 30;

/// More parameters than this in a network are taken for a mistake: 4 GiB, four times that while they are trained.
const MOST_PARAMETERS: usize = 1 << 30;

/// Kernels, strides, paddings and the like beyond this are taken for mistakes.
const LARGEST_SETTING: usize = 1 << 20;

/// Whether networks can work on samples with these sides: vectors `[F]` or images `[C, H, W]`.
fn is_shape(sides: &[usize]) -> bool {
    matches!(sides, [_] | [_, _, _])
}

/// The product of `sides`, unless it overflows.
fn product(sides: &[usize]) -> Option<usize> {
    sides.iter().try_fold(1usize, |size, side| size.checked_mul(*side))
}

fn check_settings(layer: &Layer) -> std::result::Result<(), String> {
    let padding = |pad| {
        let Padding { top, bottom, left, right } = sides(pad);
        [top, bottom, left, right]
    };
    let settings = match layer {
        Layer::Conv(l) => [&l.kernel.get()[..], &l.stride.get(), &l.dilation.get(), &padding(l.padding)].concat(),
        Layer::ConvTranspose(l) if matches!(l.padding, Pad::Rule(PadRule::Same)) && l.output_padding.is_some() => {
            return Err("either padding = \"same\", which decides the output's size, or output_padding".into());
        }
        Layer::ConvTranspose(l) => {
            let extra = l.output_padding.map_or([0, 0], |p| p.get());
            [&l.kernel.get()[..], &l.stride.get(), &extra, &padding(l.padding)].concat()
        }
        Layer::Upsample(l) => l.upsample.get().to_vec(),
        Layer::ZeroPad(l) => padding(l.zero_pad).to_vec(),
        Layer::AvgPool(l) => l.avg_pool.get().to_vec(),
        Layer::Bilinear(l) => l.bilinear.get().to_vec(),
        Layer::PixelShuffle(l) => vec![l.pixel_shuffle],
        Layer::BlurPool(l) => vec![l.blur_pool],
        Layer::ConcatClass(l) => vec![l.concat_class, l.embedding.unwrap_or(1)],
        Layer::ConditionalBatchNorm(l) => vec![l.conditional_batch_norm],
        Layer::Projection(l) => vec![l.projection],
        Layer::Auxiliary(l) => vec![l.auxiliary],
        _ => vec![],
    };
    if layer.gain().is_some_and(|gain| !gain.is_finite()) {
        return Err("a finite gain".into());
    }
    match settings.iter().max() {
        Some(n) if *n > LARGEST_SETTING => Err(format!("settings of at most {LARGEST_SETTING}")),
        _ => Ok(()),
    }
}

/// Adds a layer's own parameters to the `count` of the network.
fn add_parameters(own: &[Described], count: &mut usize) -> std::result::Result<(), String> {
    let total = own.iter().try_fold(*count, |total, (_, sides, _)| total.checked_add(product(sides)?));
    let Some(total) = total.filter(|n| *n <= MOST_PARAMETERS) else {
        let largest = own.first().map_or(&[][..], |(_, sides, _)| sides);
        return Err(format!(
            "at most {MOST_PARAMETERS} parameters in all layers, here are weights of {largest:?}: make it smaller"
        ));
    };
    *count = total;
    Ok(())
}

/// The shape after one layer, or what the layer needs instead.
fn after(layer: &Layer, shape: &[usize]) -> std::result::Result<Shape, String> {
    let out = match layer {
        Layer::Dense(l) => match shape {
            [_] if l.dense > 0 => vec![l.dense],
            [_] => return Err("at least 1 output".into()),
            _ => return Err("a vector [features] (put \"flatten\" before it)".into()),
        },
        Layer::Conv(l) => {
            let (_, h, w) = image(shape)?;
            if l.groups == 0 || !shape[0].is_multiple_of(l.groups) || !l.conv.is_multiple_of(l.groups) {
                return Err(format!("groups that divide its channels and {}", l.conv));
            }
            let spec = conv_spec(l, [h, w]);
            let [h, w] = spec.output_size([h, w], l.kernel.get()).map_err(|e| other(&e))?;
            vec![channels(l.conv)?, h, w]
        }
        Layer::ConvTranspose(l) => {
            let (_, h, w) = image(shape)?;
            let (spec, extra) = transpose_spec(l, [h, w]);
            let [h, w] = spec.transposed_size([h, w], l.kernel.get(), extra).map_err(|e| other(&e))?;
            vec![channels(l.conv_transpose)?, h, w]
        }
        Layer::BatchNorm(l) => {
            let s = &l.batch_norm;
            if !(s.eps > 0.0 && (0.0..=1.0).contains(&s.momentum)) {
                return Err("eps above 0 and momentum in [0, 1]".into());
            }
            shape.to_vec()
        }
        Layer::Dropout(l) if !(0.0..1.0).contains(&l.dropout) => return Err("a share in [0, 1)".into()),
        Layer::LeakyRelu(l) if !l.leaky_relu.is_finite() => return Err("a finite slope".into()),
        Layer::Reshape(l) => {
            let have: usize = shape.iter().product();
            let want = product(&l.reshape);
            if want != Some(have) {
                let want = want.map_or("more than all".to_string(), |n| n.to_string());
                return Err(format!("{want} numbers, {have} reach it"));
            }
            if !is_shape(&l.reshape) {
                return Err("a shape [features] or [channels, height, width]".into());
            }
            l.reshape.clone()
        }
        Layer::Flatten => vec![shape.iter().product()],
        Layer::Upsample(l) => {
            let (c, h, w) = image(shape)?;
            let [down, across] = l.upsample.get();
            if down == 0 || across == 0 {
                return Err("factors of at least 1".into());
            }
            vec![c, h.saturating_mul(down), w.saturating_mul(across)]
        }
        Layer::ZeroPad(l) if matches!(l.zero_pad, Pad::Rule(_)) => {
            return Err("numbers: n, [vertical, horizontal] or [top, bottom, left, right]".into());
        }
        Layer::ZeroPad(l) => {
            let (c, h, w) = image(shape)?;
            let [tall, wide] = sides(l.zero_pad).total();
            vec![c, h.saturating_add(tall), w.saturating_add(wide)]
        }
        Layer::AvgPool(l) => {
            let (c, h, w) = image(shape)?;
            let [kh, kw] = l.avg_pool.get();
            if kh == 0 || kw == 0 || kh > h || kw > w {
                return Err(format!("an image of at least {kh}×{kw}"));
            }
            vec![c, h / kh, w / kw]
        }
        Layer::GlobalMaxPool | Layer::GlobalAvgPool => vec![image(shape)?.0],
        other => return blocks::after(other, shape),
    };
    Ok(out)
}

fn image(shape: &[usize]) -> std::result::Result<(usize, usize, usize), String> {
    match shape {
        [c, h, w] => Ok((*c, *h, *w)),
        _ => Err("an image [channels, height, width] (put { reshape = [C, H, W] } before it)".into()),
    }
}

/// What the kernels say does not fit.
fn other(error: &candle_core::Error) -> String {
    format!("other settings: {}", bare(error))
}

fn channels(n: usize) -> std::result::Result<usize, String> {
    if n == 0 { Err("at least 1 output channel".into()) } else { Ok(n) }
}

/// Explicit padding; the rules count as none here (they are resolved where the image's size is known).
fn sides(pad: Pad) -> Padding {
    match pad {
        Pad::Rule(_) => Padding::default(),
        Pad::All(n) => Padding::all(n),
        Pad::Each([y, x]) => Padding { top: y, bottom: y, left: x, right: x },
        Pad::Sides([top, bottom, left, right]) => Padding { top, bottom, left, right },
    }
}

/// A convolution's geometry over an image of `input` `[H, W]`.
pub fn conv_spec(l: &Conv, input: [usize; 2]) -> ConvSpec {
    let (stride, dilation) = (l.stride.get(), l.dilation.get());
    let padding = match l.padding {
        Pad::Rule(PadRule::Same) if !stride.contains(&0) && !l.kernel.get().contains(&0) => {
            Padding::same(input, l.kernel.get(), stride, dilation)
        }
        pad => sides(pad),
    };
    ConvSpec { stride, padding, dilation, ..ConvSpec::default() }
}

/// A transposed convolution's geometry over an image of `input` `[H, W]`, and its output padding.
///
/// "same" makes the output `input × stride`, cropped like the padding of the convolution that goes the other way; where the
/// kernel is smaller than the stride the missing rows are output padding.
pub fn transpose_spec(l: &ConvTranspose, input: [usize; 2]) -> (ConvSpec, [usize; 2]) {
    let (stride, kernel) = (l.stride.get(), l.kernel.get());
    let extra = l.output_padding.map_or([0, 0], |p| p.get());
    match l.padding {
        Pad::Rule(PadRule::Same) if !stride.contains(&0) && !kernel.contains(&0) => {
            let output = [input[0].saturating_mul(stride[0]), input[1].saturating_mul(stride[1])];
            let padding = Padding::same(output, kernel, stride, [1, 1]);
            let short = |i: usize| stride[i].saturating_sub(kernel[i]);
            (ConvSpec { stride, padding, ..ConvSpec::default() }, [short(0), short(1)])
        }
        pad => (ConvSpec { stride, padding: sides(pad), ..ConvSpec::default() }, extra),
    }
}

/// A zero padding's four sides.
pub fn pad_sides(pad: Pad) -> Padding {
    sides(pad)
}
