//! Random brightness (± 0.5), saturation (0 to 2 times) and contrast (0.5 to 1.5 times) for each image.
//!
//! With brightness b, x̂ = x + b; saturation s scales its distance from the gray of the pixel, and contrast t that from the image's mean, which
//! saturation keeps: t·s·x + t·(1 − s)·gray(x) + (1 − t)·mean(x) + b.
//!
//! Alpha does not change. Colors that are multiplied by it change as the colors themselves would, with a contrast around middle gray: transparent
//! pixels stay black. In numbers from 0 to 1, premultiplied p and α become t·s·p + t·(1 − s)·gray(p) + ((1 − t)/2 + b/2)·α.

use gan_base::Rng;
use gan_kernels::ops::ImageTransform;

pub(super) fn draw(_: bool, shape: [usize; 3], transform: &mut ImageTransform, rng: &mut Rng) {
    let brightness = rng.uniform(-0.5, 0.5);
    let saturation = rng.uniform(0.0, 2.0);
    let contrast = rng.uniform(0.5, 1.5);
    transform.pixel = contrast * saturation;
    transform.gray = contrast * (1.0 - saturation);
    if shape[0] == 4 {
        transform.alpha = (1.0 - contrast + brightness) / 2.0;
        transform.bias = contrast + transform.alpha - 1.0;
    } else {
        transform.mean = 1.0 - contrast;
        transform.bias = brightness;
    }
}
