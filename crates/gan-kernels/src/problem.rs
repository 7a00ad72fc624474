//! All sizes of one convolution.

use super::ConvSpec;
use candle_core::{Result, bail};

/// Maximum number of values of a tensor that any memory could hold.
const MOST: usize = isize::MAX as usize >> 8;

/// Returns the product of `sides`, saturating.
pub(crate) fn product(sides: &[usize]) -> usize {
    sides.iter().fold(1, |product, side| product.saturating_mul(*side))
}

/// All sizes of one convolution. `input` belongs to the side that windows slide over, `output` to the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Problem {
    pub(crate) spec: ConvSpec,
    pub(crate) samples: usize,
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) kernel: [usize; 2],
}

impl Problem {
    /// Fails if images or weights exceed any memory. Otherwise, no size that is computed from these overflows.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { samples, in_channels, out_channels, input: [h, w], output: [oh, ow], kernel: [kh, kw], .. } = *self;
        let tensors =
            [[samples, in_channels, h, w], [samples, out_channels, oh, ow], [out_channels, in_channels, kh, kw]];
        match tensors.iter().find(|sides| product(&sides[..]) > MOST) {
            Some(sides) => bail!("a convolution of tensors {sides:?} is beyond any memory: use smaller numbers"),
            None => Ok(()),
        }
    }

    /// Panics if the tensors of the two sides have other lengths than these sizes require.
    #[track_caller]
    pub(crate) fn assert_lengths(&self, x: &[f32], y: &[f32]) {
        assert_eq!(x.len(), self.samples * self.input_len(), "a convolution's images for {self:?}");
        assert_eq!(y.len(), self.samples * self.output_len(), "a convolution's outputs for {self:?}");
    }
    pub(crate) fn rows(&self) -> usize {
        self.in_channels * self.kernel[0] * self.kernel[1]
    }
    pub(crate) fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }
    pub(crate) fn input_len(&self) -> usize {
        self.in_channels * self.input[0] * self.input[1]
    }
    pub(crate) fn output_len(&self) -> usize {
        self.out_channels * self.positions()
    }
    /// Returns where the window's tap `tap` of direction `i` (0 vertical) falls inside the image: the window positions
    /// `first..end`, and the image coordinate of the first.
    pub(crate) fn span(&self, i: usize, tap: usize) -> (usize, usize, usize) {
        let (stride, before) = (self.spec.stride[i], self.spec.padding.before()[i]);
        let offset = tap * self.spec.dilation[i];
        let first = before.saturating_sub(offset).div_ceil(stride);
        let end = (self.input[i] + before).saturating_sub(offset).div_ceil(stride).min(self.output[i]);
        if first >= end { (0, 0, 0) } else { (first, end, first * stride + offset - before) }
    }
}
