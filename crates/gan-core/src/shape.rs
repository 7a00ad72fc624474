//! What comes out of each layer, worked out before anything is allocated.

use crate::error::{Error, Result, bare};
use crate::layer::{Conv, ConvTranspose, Layer, Pad, PadRule};
use crate::params;
use gan_kernels::{ConvSpec, Padding};

mod blocks;

/// A shape without the batch: `[F]` or `[C, H, W]`.
pub type Shape = Vec<usize>;

/// More numbers a sample than this are taken for a mistake.
const LARGEST: usize = 1 << 31;

/// More parameters than this in a network are taken for a mistake: 4 GiB, four times that while they are trained.
const MOST_PARAMETERS: usize = 1 << 30;

/// Kernels, strides, paddings and the like beyond this are taken for mistakes; below it no size overflows.
const LARGEST_SETTING: usize = 1 << 20;

/// The shape after each layer of the network called `network` (for messages) that is fed `[N, input…]`.
///
/// # Errors
/// The first layer that does not fit, or is too large for any memory: its index, what reaches it, what it needs.
pub fn infer(network: &str, input: &[usize], layers: &[Layer]) -> Result<Vec<Shape>> {
    if input.is_empty() || product(input).is_none_or(|n| n == 0 || n > LARGEST) {
        let problem = format!("input {input:?} cannot be used: expected at least one side, none of them 0 or huge");
        return Err(Error::Network { network: network.into(), problem });
    }
    let mut shapes = Vec::with_capacity(layers.len());
    let (mut shape, mut count) = (input.to_vec(), 0);
    for (index, layer) in layers.iter().enumerate() {
        let fits = check_settings(layer).and_then(|()| after(layer, &shape));
        let fits = fits.and_then(|next| Ok((next, parameters(layer, &shape, count)?)));
        (shape, count) = fits.map_err(|needs| Error::Layer {
            network: network.into(),
            index,
            layer: layer.written(),
            got: format!("{shape:?}"),
            needs,
        })?;
        shapes.push(shape.clone());
    }
    Ok(shapes)
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

/// `before` and the parameters of a layer together.
fn parameters(layer: &Layer, shape: &[usize], before: usize) -> std::result::Result<usize, String> {
    let own = params::of_layer(layer, shape);
    let add = |total: usize, sides: &[usize]| product(sides).map(|n| total.saturating_add(n));
    let total = own.iter().try_fold(before, |total, (_, sides, _)| add(total, sides));
    total.filter(|n| *n <= MOST_PARAMETERS).ok_or_else(|| {
        let largest = own.first().map_or(&[][..], |(_, sides, _)| sides);
        format!("at most {MOST_PARAMETERS} parameters in all layers, here are weights of {largest:?}: make it smaller")
    })
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
            let (have, want) = (shape.iter().product(), product(&l.reshape));
            if want != Some(have) || l.reshape.is_empty() {
                let want = want.map_or("more than all".to_string(), |n| n.to_string());
                return Err(format!("{want} numbers, {have} reach it"));
            }
            l.reshape.clone()
        }
        Layer::Flatten => vec![shape.iter().product()],
        Layer::Upsample(l) => {
            let (c, h, w) = image(shape)?;
            let [down, across] = l.upsample.get();
            if down * across == 0 {
                return Err("factors of at least 1".into());
            }
            vec![c, h * down, w * across]
        }
        Layer::ZeroPad(l) if matches!(l.zero_pad, Pad::Rule(_)) => {
            return Err("numbers: n, [vertical, horizontal] or [top, bottom, left, right]".into());
        }
        Layer::ZeroPad(l) => {
            let (c, h, w) = image(shape)?;
            let [tall, wide] = sides(l.zero_pad).total();
            vec![c, h + tall, w + wide]
        }
        Layer::AvgPool(l) => {
            let (c, h, w) = image(shape)?;
            let [kh, kw] = l.avg_pool.get();
            if kh * kw == 0 || kh > h || kw > w {
                return Err(format!("an image of at least {kh}×{kw}"));
            }
            vec![c, h / kh, w / kw]
        }
        Layer::GlobalMaxPool | Layer::GlobalAvgPool => vec![image(shape)?.0],
        other => return blocks::after(other, shape),
    };
    if product(&out).is_none_or(|size| size > LARGEST) {
        return Err(format!("an output of at most {LARGEST} numbers a sample, this would be {out:?}"));
    }
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
            let output = [input[0] * stride[0], input[1] * stride[1]];
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
