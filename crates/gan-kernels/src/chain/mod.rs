//! A sequence of layers as one operation: forward and backward over channels-last images without a tape, each convolution fused
//! with its bias and activation, each batch norm with its activation.
//!
//! Candle's own tape adds a tensor of zeros and a sum for every gradient, and turns images to channels-first between
//! operations; for small networks its bookkeeping costs more than the numbers. A chain keeps what its backward pass needs, no
//! more, and hands candle one operation over two tensors: the input and all parameters in a row.
//!
//! In reading order: this file (the layers of a chain), `forward`, `backward`, `packed` (weights packed until they change), `op`
//! (a chain as a candle operation), `dual` (its derivative in a direction).

mod backward;
mod dual;
mod forward;
mod op;
mod packed;

pub use crate::rows::act::Act;
pub use op::{Layout, Noise, Run, Statistics};

use crate::conv::problem::product;
use crate::conv::{ConvSpec, Padding};
use crate::precision::Precision;
use packed::PackedWeights;

/// Height, width and channels of one sample; a vector of F numbers is `[1, 1, F]`.
pub(crate) type Sides = [usize; 3];

/// Where a layer's numbers stand in the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// The kernel's first number.
    pub weight: usize,
    /// The bias's first number.
    pub bias: Option<usize>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// Weights `[O, C, kh, kw]`; a dense layer is a 1×1 kernel over a 1×1 image.
    Conv {
        /// Its parameters.
        weights: Weights,
        /// Output channels.
        outputs: usize,
        /// Height and width of the kernel.
        kernel: [usize; 2],
        /// Its geometry.
        spec: ConvSpec,
    },
    /// Weights `[C, O, kh, kw]`.
    ConvTranspose {
        /// Its parameters.
        weights: Weights,
        /// Output channels.
        outputs: usize,
        /// Height and width of the kernel.
        kernel: [usize; 2],
        /// Geometry of the convolution that goes the other way.
        spec: ConvSpec,
        /// Rows and columns added at the bottom and right.
        output_padding: [usize; 2],
    },
    /// Batch norm; γ and β have one number a channel.
    BatchNorm {
        /// γ's first number.
        scale: usize,
        /// β's first number.
        shift: usize,
        /// Added to the variance.
        eps: f64,
    },
    /// An activation.
    Act(Act),
    /// The logistic function, whose derivative its input tells exactly.
    Sigmoid,
    /// A leaky ReLU whose slope may be negative.
    Leaky(f32),
    /// Elements set to zero by numbers handed in, the others scaled by 1 / (1 − rate).
    Dropout(f64),
    /// The same numbers in another shape `[C, H, W]` (or `[F]`), in channels-first order.
    Reshape(Vec<usize>),
    /// Every pixel repeated.
    Upsample([usize; 2]),
    /// Zeros around the image.
    Pad(Padding),
    /// The mean over windows that touch.
    AvgPool([usize; 2]),
    /// The largest of each channel.
    GlobalMax,
}

/// A link with its sizes and what is fused into it.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub link: Link,
    pub input: Sides,
    pub output: Sides,
    /// The activation that follows at once.
    pub act: Act,
}

/// A sequence of layers with the sizes between them.
#[derive(Debug)]
pub struct Chain {
    pub(crate) stages: Vec<Stage>,
    pub(crate) input: Sides,
    pub(crate) precision: Precision,
    pub(crate) packed: PackedWeights,
    /// Whether the output is a vector `[F]`.
    pub(crate) flat: bool,
    /// Numbers that the links' places reach in the parameters.
    pub(crate) parameters: usize,
    /// Numbers of one sample where it is largest.
    pub(crate) largest: usize,
}

/// Whether packed weights outlive a training pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Until the weights change: for a network that runs several times between two updates.
    UntilChanged,
    /// For one pass: for a network that trains once with each state of its weights, where they would only take memory.
    Never,
}

impl Chain {
    /// Links over samples of `input` = `[C, H, W]` or `[F]`.
    ///
    /// # Errors
    /// If a link does not fit what reaches it, makes nothing, or makes more than any memory holds.
    pub fn new(input: &[usize], links: Vec<Link>, precision: Precision, reuse: Reuse) -> candle_core::Result<Self> {
        let mut flat = input.len() == 1;
        let input = sides(input)?;
        let mut largest = check_size(input)?;
        let mut parameters = 0;
        let (mut stages, mut at) = (Vec::<Stage>::new(), input);
        for link in links {
            if let (Link::Act(act), Some(last)) = (&link, stages.last_mut())
                && fuses(last, *act)
            {
                last.act = *act;
                continue;
            }
            let output = after(&link, at)?;
            largest = check_size(output)?.max(largest);
            parameters = end_of_parameters(&link, at[2])?.max(parameters);
            flat = match &link {
                Link::Reshape(shape) => shape.len() == 1,
                Link::GlobalMax => true,
                _ => flat,
            };
            stages.push(Stage { link, input: at, output, act: Act::Identity });
            at = output;
        }
        Ok(Self { stages, input, precision, packed: PackedWeights::new(reuse), flat, parameters, largest })
    }

    /// Height, width and channels of the output.
    pub(crate) fn output(&self) -> Sides {
        self.stages.last().map_or(self.input, |s| s.output)
    }

    /// `[N, …]` of the numbers that each dropout needs for a batch of `n`, in the chain's order and in channels-last order.
    pub fn noise_shapes(&self, n: usize) -> Vec<[usize; 4]> {
        let drops = self.stages.iter().filter(|s| matches!(s.link, Link::Dropout(_)));
        drops.map(|s| [n, s.input[0], s.input[1], s.input[2]]).collect()
    }
}

/// The count of numbers in one sample; an error if it is zero or exceeds any memory.
fn check_size(sides: Sides) -> candle_core::Result<usize> {
    match product(&sides) {
        0 => candle_core::bail!(
            "a chain cannot work on samples without numbers, got [height, width, channels] {sides:?}"
        ),
        size if size > isize::MAX as usize >> 8 => {
            candle_core::bail!("samples of [height, width, channels] {sides:?} are beyond any memory")
        }
        size => Ok(size),
    }
}

/// The place behind the last parameter of a link over `channels`.
fn end_of_parameters(link: &Link, channels: usize) -> candle_core::Result<usize> {
    let ends = match link {
        Link::Conv { weights, outputs, kernel, .. } | Link::ConvTranspose { weights, outputs, kernel, .. } => {
            let kernel = product(&[*outputs, channels, kernel[0], kernel[1]]);
            [(weights.weight, kernel), weights.bias.map_or((0, 0), |bias| (bias, *outputs))]
        }
        Link::BatchNorm { scale, shift, .. } => [(*scale, channels), (*shift, channels)],
        _ => [(0, 0); 2],
    };
    let end = ends.map(|(start, len)| start.saturating_add(len)).into_iter().fold(0, usize::max);
    if end > isize::MAX as usize >> 8 {
        candle_core::bail!("parameters up to place {end} are beyond any memory: {link:?}");
    }
    Ok(end)
}

/// Whether `act` can be part of the stage before it.
fn fuses(before: &Stage, act: Act) -> bool {
    before.act == Act::Identity
        && match before.link {
            Link::Conv { .. } | Link::ConvTranspose { .. } => true,
            Link::BatchNorm { .. } => matches!(act, Act::LeakyRelu(_)),
            _ => false,
        }
}

pub(crate) fn sides(shape: &[usize]) -> candle_core::Result<Sides> {
    match shape {
        [c, h, w] => Ok([*h, *w, *c]),
        [f] => Ok([1, 1, *f]),
        _ => candle_core::bail!("a chain works on images [C, H, W] and vectors [F], got {shape:?}"),
    }
}

/// The sizes after one link.
fn after(link: &Link, [h, w, c]: Sides) -> candle_core::Result<Sides> {
    Ok(match link {
        Link::Conv { outputs, kernel, spec, .. } => {
            let [h, w] = spec.output_size([h, w], *kernel)?;
            [h, w, *outputs]
        }
        Link::ConvTranspose { outputs, kernel, spec, output_padding, .. } => {
            let [h, w] = spec.transposed_size([h, w], *kernel, *output_padding)?;
            [h, w, *outputs]
        }
        Link::Reshape(shape) => {
            let to = sides(shape)?;
            if product(&to) != product(&[h, w, c]) {
                candle_core::bail!("{shape:?} has another size than [{c}, {h}, {w}]");
            }
            to
        }
        Link::Upsample([down, across]) => [h.saturating_mul(*down), w.saturating_mul(*across), c],
        Link::Pad(p) => [h.saturating_add(p.total()[0]), w.saturating_add(p.total()[1]), c],
        Link::AvgPool([kh, kw]) if *kh > 0 && *kw > 0 && *kh <= h && *kw <= w => [h / kh, w / kw, c],
        Link::AvgPool(window) => {
            candle_core::bail!("a pooling window of {window:?} does not fit into an image of {h}×{w}")
        }
        Link::GlobalMax => [1, 1, c],
        Link::BatchNorm { .. } | Link::Act(_) | Link::Sigmoid | Link::Leaky(_) | Link::Dropout(_) => [h, w, c],
    })
}
