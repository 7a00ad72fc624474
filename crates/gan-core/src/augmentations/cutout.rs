//! Cutout: sets a square of each image to zero.

use gan_base::Rng;
use gan_kernels::ops::ImageTransform;

pub(super) fn draw(part: f64, [_, h, w]: [usize; 3], transform: &mut ImageTransform, rng: &mut Rng) {
    transform.cut = [h, w].map(|side| {
        let size = (side as f64 * part + 0.5) as i32;
        // The center of the square may lie anywhere, so the square may extend beyond the image.
        let first = rng.below(side + 1) as i32 - size / 2;
        [first, first + size]
    });
}
