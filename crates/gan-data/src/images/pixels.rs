//! An image in memory: bytes, row by row, the channels of a pixel side by side.

use crate::dataset::{scale, unscale};

/// `[H, W, C]` bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// `[H, W]`
    pub size: [usize; 2],
    /// 1 for gray, 3 for RGB, 4 for premultiplied RGB and alpha; images in arrays may have others.
    pub channels: usize,
    /// H·W·C bytes.
    pub bytes: Vec<u8>,
}

impl Pixels {
    /// An image of `size` = `[H, W]` in one color; gray images take its luma. With other than 1 or 3 channels, all are 0: transparent if
    /// there is alpha.
    pub fn filled(size: [usize; 2], channels: usize, colour: [u8; 3]) -> Self {
        let pixel = match channels {
            1 => vec![luma(colour)],
            3 => colour.to_vec(),
            _ => vec![0; channels],
        };
        Self { size, channels, bytes: pixel.repeat(size[0] * size[1]) }
    }

    /// The part of `size` = `[H, W]` whose upper left corner is `[top, left]`. It must lie within the image.
    #[must_use]
    pub fn window(&self, [top, left]: [usize; 2], size: [usize; 2]) -> Self {
        if size == self.size {
            return self.clone();
        }
        let start = left * self.channels;
        let length = size[1] * self.channels;
        let rows = self.bytes.chunks_exact(self.size[1] * self.channels).skip(top).take(size[0]);
        Self { size, channels: self.channels, bytes: rows.flat_map(|row| &row[start..][..length]).copied().collect() }
    }

    /// Puts `other` over this image with its upper left corner at `[top, left]`. It must fit.
    pub fn paste(&mut self, other: &Self, [top, left]: [usize; 2]) {
        let width = self.size[1] * self.channels;
        let start = left * self.channels;
        let length = other.size[1] * self.channels;
        for (to, from) in self.bytes.chunks_exact_mut(width).skip(top).zip(other.bytes.chunks_exact(length)) {
            to[start..][..length].copy_from_slice(from);
        }
    }

    /// Writes the image into `out` as a sample: C·H·W values in [−1, 1], channel by channel.
    pub fn scale_into(&self, out: &mut [f32]) {
        let plane = self.size[0] * self.size[1];
        for (channel, values) in out.chunks_exact_mut(plane).enumerate() {
            let bytes = self.bytes.iter().skip(channel).step_by(self.channels);
            values.iter_mut().zip(bytes).for_each(|(value, byte)| *value = scale(*byte));
        }
    }

    /// The image of `size` = `[H, W]` whose sample is `values`: the inverse of [`scale_into`](Self::scale_into).
    pub fn of_sample(values: &[f32], size: [usize; 2], channels: usize) -> Self {
        let plane = size[0] * size[1];
        let byte = |at: usize| unscale(values[at]);
        let bytes = (0..plane).flat_map(|at| (0..channels).map(move |channel| byte(channel * plane + at))).collect();
        Self { size, channels, bytes }
    }
}

/// The luma of ITU-R 601, in the fixed-point form of Pillow's `convert("L")`.
pub fn luma(color: [u8; 3]) -> u8 {
    luma_of(color.map(u64::from)) as u8
}

/// The same at any depth of at most 16 bits.
pub(super) fn luma_of([red, green, blue]: [u64; 3]) -> u64 {
    (19_595 * red + 38_470 * green + 7_471 * blue + (1 << 15)) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Pixels {
        Pixels { size: [3, 4], channels: 3, bytes: (0..36).collect() }
    }

    #[test]
    fn windows_and_pastes_are_each_others_reverse() {
        let window = ramp().window([1, 2], [2, 2]);
        assert_eq!(window.bytes, [18, 19, 20, 21, 22, 23, 30, 31, 32, 33, 34, 35]);
        let mut other = Pixels::filled([3, 4], 3, [255, 0, 7]);
        other.paste(&window, [1, 2]);
        assert_eq!(other.window([1, 2], [2, 2]), window);
        assert_eq!(other.bytes[..3], [255, 0, 7]);
    }

    #[test]
    fn samples_are_planar_and_give_every_byte_back() {
        let mut values = [0.0; 36];
        ramp().scale_into(&mut values);
        assert_eq!([values[0], values[1], values[12]], [scale(0), scale(3), scale(1)]);
        assert_eq!(Pixels::of_sample(&values, [3, 4], 3), ramp());
        let all = Pixels { size: [16, 16], channels: 1, bytes: (0..=255).collect() };
        let mut values = [0.0; 256];
        all.scale_into(&mut values);
        assert_eq!(Pixels::of_sample(&values, [16, 16], 1), all);
    }

    #[test]
    fn grays_have_their_own_luma() {
        assert!((0..=255).all(|grey| luma([grey; 3]) == grey));
        assert_eq!([luma([255, 0, 0]), luma([0, 255, 0]), luma([0, 0, 255])], [76, 150, 29]);
    }
}
