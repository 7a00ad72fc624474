//! What only the pixels of an image tell: whether alpha is used, whether colours are grey, and a hash by which similar images are found.

use super::color;
use super::pixels::{Pixels, luma};
use super::resize::{Filter, resize};
use image::DynamicImage;

/// Colours whose channels differ by at most this much are grey: JPEG is not exact.
const GREY: u8 = 2;

/// Rows of the thumbnail that is hashed, and the neighbours that are compared in each row.
const SIDE: usize = 16;

/// Images whose hashes differ in at most this many of the 256 bits look alike.
const ALIKE: u32 = 8;

/// What the pixels of one image tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    /// Whether some pixel is not opaque.
    pub uses_alpha: bool,
    /// Whether no pixel can be seen.
    pub is_invisible: bool,
    /// Whether the file holds colours, but all pixels are grey.
    pub is_grey: bool,
    hash: [u64; SIDE * SIDE / 64],
}

impl Looks {
    /// Looks at all pixels of `image`.
    pub fn of(image: DynamicImage) -> Self {
        let [mut opaque, mut invisible] = [true, false];
        if image.color().has_alpha() {
            let alphas = image.to_rgba8();
            let mut alphas = alphas.pixels().map(|pixel| pixel.0[3]);
            opaque = alphas.clone().all(|alpha| alpha == u8::MAX);
            invisible = alphas.all(|alpha| alpha == 0);
        }
        let has_colour = image.color().has_color();
        let size = [image.height() as usize, image.width() as usize];
        let rgb = color::bytes(image, 3, [255; 3]);
        let spread = |p: &[u8]| p[0].max(p[1]).max(p[2]) - p[0].min(p[1]).min(p[2]);
        let is_grey = has_colour && rgb.chunks_exact(3).all(|pixel| spread(pixel) <= GREY);
        let bytes = rgb.chunks_exact(3).map(|p| luma([p[0], p[1], p[2]])).collect();
        let hash = difference_hash(&Pixels { size, channels: 1, bytes });
        Self { uses_alpha: !opaque, is_invisible: invisible, is_grey, hash }
    }

    /// Whether two images can hardly be told apart at 16×16.
    pub fn is_like(&self, other: &Self) -> bool {
        let bits = self.hash.iter().zip(other.hash).map(|(a, b)| (a ^ b).count_ones());
        bits.sum::<u32>() <= ALIKE
    }
}

/// For each pixel of a thumbnail, whether it is brighter than its right neighbour.
fn difference_hash(grey: &Pixels) -> [u64; SIDE * SIDE / 64] {
    let small = resize(grey, [SIDE, SIDE + 1], Filter::Bilinear);
    let mut hash = [0; SIDE * SIDE / 64];
    let bits = small.bytes.chunks_exact(SIDE + 1).flat_map(|row| row.windows(2).map(|pair| pair[0] > pair[1]));
    bits.enumerate().for_each(|(at, bit)| hash[at / 64] |= u64::from(bit) << (at % 64));
    hash
}
