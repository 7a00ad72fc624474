//! The channels of decoded images: gray, RGB, or RGB with alpha, at the depth of the file until the last rounding to bytes.
//!
//! Images with alpha are *premultiplied*: each color times its alpha. A pixel that is transparent is then black whatever color its file
//! hides there, and resizing, which averages pixels, does not mix hidden colors into visible edges. Composites over a background are
//! c + (1 − α)·background.

use super::pixels::luma_of;
use image::DynamicImage;

/// `[H, W, channels]` bytes of `image`: 1 for gray, 3 for RGB, both over `background` where the image is transparent; 4 for premultiplied
/// RGB and alpha.
pub(super) fn bytes(image: DynamicImage, channels: usize, background: [u8; 3]) -> Vec<u8> {
    let color = image.color();
    let is_deep = color.bytes_per_pixel() > color.channel_count();
    match (is_deep, color.has_alpha()) {
        (true, _) => convert::<65_535, u16>(image.into_rgba16().as_raw(), channels, background),
        (false, true) => convert::<255, u8>(image.into_rgba8().as_raw(), channels, background),
        (false, false) if channels == 1 && !color.has_color() => image.into_luma8().into_raw(),
        (false, false) if channels == 3 => image.into_rgb8().into_raw(),
        (false, false) => {
            let rgb = image.into_rgb8();
            let pixels = rgb.as_raw().as_chunks::<3>().0.iter();
            match channels {
                1 => pixels.map(|p| luma_of(p.map(u64::from)) as u8).collect(),
                _ => pixels.flat_map(|&[r, g, b]| [r, g, b, u8::MAX]).collect(),
            }
        }
    }
}

/// Converts straight RGBA from 0 to `MAX`. Every value is rounded once at the file's depth and once to a byte.
pub(super) fn convert<const MAX: u64, T: Copy + Into<u64>>(
    rgba: &[T],
    channels: usize,
    background: [u8; 3],
) -> Vec<u8> {
    let byte = |value: u64| ((value * 255 + MAX / 2) / MAX) as u8;
    let times = |a: u64, b: u64| (a * b + MAX / 2) / MAX;
    let background = background.map(|shade| u64::from(shade) * (MAX / 255));
    let pixels = rgba.as_chunks::<4>().0.iter().map(|pixel| pixel.map(Into::into));
    let over = |[r, g, b, alpha]: [u64; 4]| {
        let mix = |c: u64, behind: u64| (alpha * c + (MAX - alpha) * behind + MAX / 2) / MAX;
        [mix(r, background[0]), mix(g, background[1]), mix(b, background[2])]
    };
    match channels {
        1 => pixels.map(|pixel| byte(luma_of(over(pixel)))).collect(),
        3 => pixels.flat_map(|pixel| over(pixel).map(byte)).collect(),
        _ => pixels.flat_map(|[r, g, b, a]| [times(r, a), times(g, a), times(b, a), a].map(byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, Rgba};

    fn rgba(pixel: [u8; 4]) -> DynamicImage {
        DynamicImage::ImageRgba8(ImageBuffer::from_pixel(1, 1, Rgba(pixel)))
    }

    #[test]
    fn transparent_pixels_are_black_and_opaque_ones_unchanged() {
        assert_eq!(bytes(rgba([200, 100, 50, 0]), 4, [255; 3]), [0, 0, 0, 0]);
        assert_eq!(bytes(rgba([200, 100, 50, 255]), 4, [255; 3]), [200, 100, 50, 255]);
        assert_eq!(bytes(rgba([200, 100, 50, 128]), 4, [255; 3]), [100, 50, 25, 128]);
        assert_eq!(bytes(rgba([200, 100, 50, 128]), 3, [0, 255, 0]), [100, 177, 25]);
        let rgb = DynamicImage::ImageRgb8(ImageBuffer::from_pixel(1, 1, image::Rgb([1, 2, 3])));
        assert_eq!(bytes(rgb, 4, [255; 3]), [1, 2, 3, 255]);
    }

    #[test]
    fn sixteen_bits_are_rounded_to_the_nearest_byte() {
        let deep = |v: u16| DynamicImage::ImageLuma16(ImageBuffer::from_pixel(1, 1, image::Luma([v])));
        for value in (0..=u16::MAX).step_by(7) {
            let nearest = (f64::from(value) / 257.0).round() as u8;
            assert_eq!(bytes(deep(value), 1, [0; 3]), [nearest], "{value}");
            assert_eq!(bytes(deep(value), 3, [0; 3]), [nearest; 3], "{value}");
        }
        // Half of 0x0180 is 0xc0, less than half a byte's step of 257 · 1.
        let pixel = DynamicImage::ImageRgba16(ImageBuffer::from_pixel(1, 1, Rgba([0x0180, 0xffff, 0, 0x8000])));
        assert_eq!(bytes(pixel, 4, [0; 3]), [1, 128, 0, 128]);
    }
}
