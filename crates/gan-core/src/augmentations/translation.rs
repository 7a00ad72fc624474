//! Translation: shifts images by whole pixels, with zeros shifted in.

use gan_base::Rng;
use gan_kernels::ops::ImageTransform;

pub(super) fn draw(part: f64, [_, h, w]: [usize; 3], transform: &mut ImageTransform, rng: &mut Rng) {
    let [down, across] = [h, w].map(|side| {
        let most = ((side as f64 * part + 0.5) as usize).min(side);
        rng.below(2 * most + 1) as i32 - most as i32
    });
    transform.down = down;
    transform.across = across;
}
