//! Geometry of a convolution: stride, dilation, padding, precision, and all of its sizes.

use candle_core::{Result, bail};
use serde::{Deserialize, Serialize};

/// Rows and columns of zeros around an image, for each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// Returns the same padding `p` on every side.
    pub const fn all(p: usize) -> Self {
        Self { top: p, bottom: p, left: p, right: p }
    }

    /// Returns Keras' and TensorFlow's "same" padding for an `input` of `[H, W]`: the output has ⌈input / stride⌉ rows and columns, and an
    /// odd row or column of zeros goes to the bottom or right.
    pub fn same(input: [usize; 2], kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> Self {
        let split = |i: usize| {
            let windows = input[i].div_ceil(stride[i].max(1)).max(1);
            let taps = dilation[i].saturating_mul(kernel[i].saturating_sub(1));
            let reach = (windows - 1).saturating_mul(stride[i]).saturating_add(taps).saturating_add(1);
            let total = reach.saturating_sub(input[i]);
            [total / 2, total - total / 2]
        };
        let [top, bottom] = split(0);
        let [left, right] = split(1);
        Self { top, bottom, left, right }
    }

    /// Returns `[top, left]`.
    pub fn before(&self) -> [usize; 2] {
        [self.top, self.left]
    }

    /// Returns `[top + bottom, left + right]`, saturating.
    pub fn total(&self) -> [usize; 2] {
        [self.top.saturating_add(self.bottom), self.left.saturating_add(self.right)]
    }
}

/// Accuracy of convolutions. Inputs and outputs are always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// f32 with the fastest algorithm: errors up to about 2e-5 of the largest output.
    #[default]
    F32,
    /// f32 with algorithms whose coefficients are 0, ±1 and ½: errors up to about 4e-6 of the largest output.
    F32Accurate,
    /// Factors rounded to bf16, sums in f32: errors of about 5e-3.
    Bf16,
}

/// Geometry and precision of a convolution: everything except the kernel's size, which is in the weight's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvSpec {
    /// Steps of the window, `[vertical, horizontal]`, at least 1.
    pub stride: [usize; 2],
    /// Zeros around the image.
    pub padding: Padding,
    /// Distance between a kernel's neighboring taps, `[vertical, horizontal]`, at least 1.
    pub dilation: [usize; 2],
    /// Number format of the products of f32 tensors on the CPU.
    pub precision: Precision,
}

impl Default for ConvSpec {
    /// Returns stride 1, no padding, no dilation, f32.
    fn default() -> Self {
        Self { stride: [1, 1], padding: Padding::default(), dilation: [1, 1], precision: Precision::F32 }
    }
}

impl ConvSpec {
    /// Returns the same stride and padding in both directions, without dilation.
    pub const fn square(stride: usize, padding: usize) -> Self {
        Self { stride: [stride, stride], padding: Padding::all(padding), dilation: [1, 1], precision: Precision::F32 }
    }

    /// Returns `[H', W']` of a convolution over an image of `input` `[H, W]`.
    ///
    /// # Errors
    /// If the window does not fit into the padded image, a stride, dilation or kernel side is 0, or a size exceeds any memory.
    pub fn output_size(&self, input: [usize; 2], kernel: [usize; 2]) -> Result<[usize; 2]> {
        self.check(kernel)?;
        let mut output = [0; 2];
        for i in 0..2 {
            let padded = within(input[i].checked_add(self.padding.total()[i]))?;
            let reach = within(self.dilation[i].checked_mul(kernel[i] - 1))? + 1;
            if padded < reach {
                bail!("a window of {reach} does not fit into an image side of {} padded to {padded}", input[i]);
            }
            output[i] = (padded - reach) / self.stride[i] + 1;
        }
        Ok(output)
    }

    /// Returns `[H', W']` of a transposed convolution over an image of `input` `[H, W]`.
    ///
    /// # Errors
    /// If nothing is left after cropping by the padding, `output_padding` is not less than the stride, or a size exceeds any memory.
    pub fn transposed_size(
        &self,
        input: [usize; 2],
        kernel: [usize; 2],
        output_padding: [usize; 2],
    ) -> Result<[usize; 2]> {
        self.check(kernel)?;
        let mut output = [0; 2];
        for i in 0..2 {
            within(Some(self.stride[i]))?;
            if output_padding[i] >= self.stride[i] {
                bail!("output padding {} must be less than the stride {}", output_padding[i], self.stride[i]);
            }
            let windows = within(input[i].saturating_sub(1).checked_mul(self.stride[i]))?;
            let full = within(windows.checked_add(within(self.dilation[i].checked_mul(kernel[i] - 1))?))? + 1;
            let crop = within(Some(self.padding.total()[i]))?;
            output[i] = match (full + output_padding[i]).checked_sub(crop) {
                Some(size) if size > 0 && input[i] > 0 => size,
                _ => bail!("an image side of {full} has nothing left after cropping {crop}"),
            };
        }
        Ok(output)
    }

    fn check(&self, kernel: [usize; 2]) -> Result<()> {
        for (what, values) in [("stride", self.stride), ("dilation", self.dilation), ("kernel", kernel)] {
            if values.contains(&0) {
                bail!("a convolution's {what} must be at least 1, got {values:?}");
            }
        }
        Ok(())
    }
}

/// Returns a size, unless it overflowed or is so large that sums of a few would.
fn within(size: Option<usize>) -> Result<usize> {
    match size {
        Some(size) if size <= usize::MAX / 16 => Ok(size),
        _ => bail!("a convolution's sizes are beyond any memory: use smaller numbers"),
    }
}

/// Maximum number of values of a tensor that any memory could hold.
pub(crate) const MOST: usize = isize::MAX as usize >> 8;

/// Returns the product of `sides`, saturating.
pub(crate) fn product(sides: &[usize]) -> usize {
    sides.iter().fold(1, |product, side| product.saturating_mul(*side))
}

/// Returns the number of values from the first of `channels` channels in the first of `pixels` to the last one in the last of them, if pixels
/// are `pitch` values apart.
pub(crate) fn reach(pixels: usize, channels: usize, pitch: usize) -> usize {
    pixels.checked_sub(1).map_or(0, |last| last * pitch + channels)
}

/// All sizes of one convolution. `input` belongs to the side that windows slide over, `output` to the other.
///
/// With several groups, the channels are those of one group: a pixel has `groups` times as many, and the weights are those of each group
/// in turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Problem {
    /// Stride, padding and dilation.
    pub spec: ConvSpec,
    /// Number of samples in the batch.
    pub samples: usize,
    /// Number of groups of channels.
    pub groups: usize,
    /// Channels of the images that windows slide over, of one group.
    pub in_channels: usize,
    /// Channels of the other side, one per filter, of one group.
    pub out_channels: usize,
    /// Height and width of the images that windows slide over.
    pub input: [usize; 2],
    /// Height and width of the other side: the number of windows.
    pub output: [usize; 2],
    /// Height and width of the window.
    pub kernel: [usize; 2],
}

impl Problem {
    /// Fails if images or weights exceed any memory. Otherwise, no size that is computed from these overflows.
    pub(crate) fn check(&self) -> Result<()> {
        let [c, o] = self.pitch();
        let tensor = |n: usize, c: usize, [h, w]: [usize; 2]| [n, c, h, w];
        let n = self.samples;
        let tensors = [tensor(n, c, self.input), tensor(n, o, self.output), tensor(o, self.in_channels, self.kernel)];
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

    /// Returns the problem with both sides exchanged.
    pub(crate) fn swapped(self) -> Self {
        Self {
            in_channels: self.out_channels,
            out_channels: self.in_channels,
            input: self.output,
            output: self.input,
            ..self
        }
    }

    /// Returns the number of channels of all groups in a pixel of x and of y, which is the distance between two pixels.
    pub fn pitch(&self) -> [usize; 2] {
        [self.in_channels, self.out_channels].map(|channels| channels.saturating_mul(self.groups))
    }

    /// Returns the number of weights of all groups.
    pub fn weights(&self) -> usize {
        self.pitch()[1] * self.rows()
    }

    /// Returns the number of values that each output reads.
    pub(crate) fn rows(&self) -> usize {
        self.in_channels * self.kernel[0] * self.kernel[1]
    }

    /// Returns the number of windows in a sample.
    pub fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Returns the number of values in one sample of x.
    pub fn input_len(&self) -> usize {
        self.pitch()[0] * self.input[0] * self.input[1]
    }

    /// Returns the number of values in one sample of y.
    pub fn output_len(&self) -> usize {
        self.pitch()[1] * self.positions()
    }

    /// Returns where the window's tap `tap` of direction `i` (0 vertical) falls inside the image: the window positions
    /// `first..end`, and the image coordinate of the first.
    pub(crate) fn span(&self, i: usize, tap: usize) -> (usize, usize, usize) {
        let stride = self.spec.stride[i];
        let before = self.spec.padding.before()[i];
        let offset = tap * self.spec.dilation[i];
        let first = before.saturating_sub(offset).div_ceil(stride);
        let end = (self.input[i] + before).saturating_sub(offset).div_ceil(stride).min(self.output[i]);
        if first >= end { (0, 0, 0) } else { (first, end, first * stride + offset - before) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_pads_as_keras_does() {
        let pad = |size, k, s| Padding::same([size; 2], [k; 2], [s; 2], [1; 2]);
        assert_eq!(pad(28, 3, 2), Padding { top: 0, bottom: 1, left: 0, right: 1 });
        assert_eq!(pad(28, 4, 2), Padding::all(1));
        assert_eq!(pad(7, 3, 2), Padding::all(1));
        assert_eq!(pad(28, 7, 1), Padding::all(3));
        assert_eq!(pad(28, 1, 2), Padding::all(0));
    }

    #[test]
    fn sizes_follow_the_formulas() {
        let spec = ConvSpec::square(2, 1);
        assert_eq!(spec.output_size([28, 27], [4, 4]).unwrap(), [14, 13]);
        assert_eq!(spec.transposed_size([14, 13], [4, 4], [0, 1]).unwrap(), [28, 27]);
        assert!(spec.output_size([1, 9], [4, 4]).is_err());
        assert!(spec.transposed_size([1, 1], [2, 2], [0, 0]).is_err());
        assert!(spec.transposed_size([4, 4], [4, 4], [2, 0]).is_err());
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        let most = usize::MAX;
        let padding = Padding { top: most, bottom: most, left: 0, right: 0 };
        for spec in [
            ConvSpec { padding, ..ConvSpec::default() },
            ConvSpec { dilation: [most, 1], ..ConvSpec::default() },
            ConvSpec { stride: [most, 1], dilation: [most / 2, 1], ..ConvSpec::default() },
        ] {
            assert!(spec.output_size([28, 28], [4, 4]).is_err(), "{spec:?}");
            assert!(spec.transposed_size([28, 28], [4, 4], [0, 0]).is_err(), "{spec:?}");
        }
        assert!(ConvSpec::default().output_size([28, 28], [most, 1]).is_err());
        assert!(ConvSpec::default().transposed_size([most, 1], [1, 1], [0, 0]).is_err());
        assert_eq!(Padding::same([28; 2], [most; 2], [0; 2], [most; 2]).total(), [most - 28; 2]);
    }
}
