//! All sizes of one convolution.

use super::ConvSpec;

/// All sizes of one convolution. `input` belongs to the side that windows slide over, `output` to the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem {
    pub spec: ConvSpec,
    pub samples: usize,
    pub in_channels: usize,
    pub out_channels: usize,
    pub input: [usize; 2],
    pub output: [usize; 2],
    pub kernel: [usize; 2],
}

impl Problem {
    pub fn rows(&self) -> usize {
        self.in_channels * self.kernel[0] * self.kernel[1]
    }
    pub fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }
    pub fn input_len(&self) -> usize {
        self.in_channels * self.input[0] * self.input[1]
    }
    pub fn output_len(&self) -> usize {
        self.out_channels * self.positions()
    }
    /// Where the window's tap `tap` of direction `i` (0 vertical) falls inside the image: the window positions
    /// `first..end`, and the image coordinate of the first.
    pub fn span(&self, i: usize, tap: usize) -> (usize, usize, usize) {
        let (stride, before) = (self.spec.stride[i], self.spec.padding.before()[i]);
        let offset = tap * self.spec.dilation[i];
        let first = before.saturating_sub(offset).div_ceil(stride);
        let end = (self.input[i] + before).saturating_sub(offset).div_ceil(stride).min(self.output[i]);
        if first >= end { (0, 0, 0) } else { (first, end, first * stride + offset - before) }
    }
}
