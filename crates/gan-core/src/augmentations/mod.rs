//! Random transformations of D's input, real and generated alike, through which G's gradient passes: DiffAugment (Zhao et al. 2020,
//! arXiv:2006.10738). With little data, they keep D learning instead of memorizing.
//!
//! A new augmentation is a file with a function `draw` that changes an [`ImageTransform`] at random, and a line in `augmentations!` below with
//! its key in `[augment]` and its type.

use candle_core::{Result, Tensor};
use gan_base::Rng;
use gan_kernels::ops::{ImageTransform, transform_images};
use serde::{Deserialize, Serialize};

/// The paper's speed of an adaptive probability.
const ADAPTIVE_IMAGES: u64 = 500_000;

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_always(probability: &f64) -> bool {
    *probability == 1.0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_usual_speed(images: &u64) -> bool {
    *images == ADAPTIVE_IMAGES
}

/// Setting of an augmentation, whose default disables it.
trait Setting {
    /// Returns why it is invalid, if it is.
    fn problem(self) -> Option<String>;
}

/// Whether to apply it.
impl Setting for bool {
    fn problem(self) -> Option<String> {
        None
    }
}

/// A fraction of an image's side.
impl Setting for f64 {
    fn problem(self) -> Option<String> {
        let is_part = (0.0..=1.0).contains(&self);
        (!is_part).then(|| format!("{self} cannot be used: expected a part of a side, from 0 to 1"))
    }
}

/// Defines the settings of all augmentations, in the order in which they are applied.
macro_rules! augmentations {
    ($($(#[$doc:meta])* $module:ident: $setting:ty,)*) => {
        $(mod $module;)*

        /// Augmentations, in the order in which they are applied, and how often they are.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Augment {
            $($(#[$doc])* pub $module: $setting,)*
            /// Probability of each augmentation for each sample, independently of the others. With `adaptive`, it is the one at the start.
            #[serde(skip_serializing_if = "is_always")]
            pub probability: f64,
            /// Adjusts the probability during training, so that r_t = E[sign(l(x))] over D's logits of real samples stays near this number:
            /// more augmentation while D tells real samples from generated ones too surely (Karras et al. 2020, arXiv:2006.06676, section
            /// 3.1, where it is 0.6).
            #[serde(skip_serializing_if = "Option::is_none")]
            pub adaptive: Option<f64>,
            /// Number of real images over which an adaptive probability can change by 1.
            #[serde(skip_serializing_if = "is_usual_speed")]
            pub adaptive_images: u64,
        }

        impl Default for Augment {
            fn default() -> Self {
                Self {
                    $($module: Default::default(),)*
                    probability: 1.0,
                    adaptive: None,
                    adaptive_images: ADAPTIVE_IMAGES,
                }
            }
        }

        impl Augment {
            /// Returns whether it changes nothing.
            pub fn is_none(&self) -> bool {
                $(self.$module == <$setting>::default())&&*
            }

            /// Returns the key of the first invalid setting, and why it is invalid.
            pub fn problem(&self) -> Option<(&'static str, String)> {
                $(if let Some(problem) = self.$module.problem() {
                    return Some((stringify!($module), problem));
                })*
                self.problem_of_probability()
            }

            /// Draws the transformation of an image of `shape` `[C, H, W]`.
            fn draw(&self, shape: [usize; 3], rng: &mut Rng) -> ImageTransform {
                let mut transform = ImageTransform::IDENTITY;
                $(if self.$module != <$setting>::default() && self.is_chosen(rng) {
                    $module::draw(self.$module, shape, &mut transform, rng);
                })*
                transform
            }
        }
    };
}

augmentations! {
    /// Random brightness, saturation and contrast for each image. It changes gray and RGB, alpha not at all.
    color: bool,
    /// Maximum shift as a fraction of the sides, with zeros shifted in; 0 disables it. The paper uses 0.125.
    translation: f64,
    /// Side of the square that is set to zero, as a fraction of each side; 0 disables it. The paper uses 0.5.
    cutout: f64,
}

impl Augment {
    fn problem_of_probability(&self) -> Option<(&'static str, String)> {
        let expected = |key, value: f64, range: &str| Some((key, format!("{value} cannot be used: expected {range}")));
        match (self.probability, self.adaptive) {
            (p, _) if !(0.0..=1.0).contains(&p) => expected("probability", p, "a number from 0 to 1"),
            (_, Some(target)) if !(target > 0.0 && target < 1.0) => {
                expected("adaptive", target, "a number above 0 and below 1, e.g. 0.6")
            }
            (_, Some(_)) if self.is_none() => {
                Some(("adaptive", "there is no augmentation to adjust: add one, e.g. augment.color=true".into()))
            }
            _ if self.adaptive_images == 0 => expected("adaptive_images", 0.0, "a number of at least 1"),
            _ => None,
        }
    }

    /// Draws whether an augmentation is applied to a sample.
    fn is_chosen(&self, rng: &mut Rng) -> bool {
        self.probability >= 1.0 || f64::from(rng.uniform(0.0, 1.0)) < self.probability
    }

    /// Draws the transformations of `n` images of `shape` `[C, H, W]`.
    pub fn draws(&self, n: usize, shape: [usize; 3], rng: &mut Rng) -> Vec<ImageTransform> {
        (0..n).map(|_| self.draw(shape, rng)).collect()
    }

    /// Returns how many of an image's channels are colors: all except alpha, the fourth of four.
    pub fn colors(channels: usize) -> usize {
        if channels == 4 { 3 } else { channels }
    }

    /// Applies all augmentations, each to a sample with probability `probability`: x `[N, C, H, W]` -> `[N, C, H, W]`, differentiable by x.
    ///
    /// # Errors
    /// If x are not images.
    pub fn apply(&self, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        let (n, c, h, w) = x.dims4()?;
        transform_images(x, self.draws(n, [c, h, w], rng), Self::colors(c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::RandomTensors;
    use candle_core::Var;
    use gan_kernels::testing::test_device;

    fn values(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn images_move_as_a_whole_and_zeros_come_in() -> Result<()> {
        let x = Tensor::arange(1f32, 33.0, test_device())?.reshape((1, 2, 4, 4))?;
        let augment = Augment { translation: 0.25, ..Augment::default() };
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let y = values(&augment.apply(&x, &mut Rng::new(seed))?);
            let at = |c: i64, i: i64, j: i64| {
                let inside = (0..4).contains(&i) && (0..4).contains(&j);
                if inside { (1 + c * 16 + i * 4 + j) as f32 } else { 0.0 }
            };
            let shifted =
                |dy: i64, dx: i64| -> Vec<f32> { (0..32).map(|k| at(k / 16, k % 16 / 4 - dy, k % 4 - dx)).collect() };
            let found =
                (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx))).find(|(dy, dx)| shifted(*dy, *dx) == y);
            seen.insert(found.expect("a shift by at most one pixel"));
        }
        assert_eq!(seen.len(), 9);
        Ok(())
    }

    #[test]
    fn a_square_is_cut_out_of_all_channels() -> Result<()> {
        let x = Tensor::ones((50, 3, 8, 8), candle_core::DType::F32, test_device())?;
        let y = Augment { cutout: 0.5, ..Augment::default() }.apply(&x, &mut Rng::new(1))?;
        let left = values(&y.sum((1, 2, 3))?);
        // From a quarter of the square (with its center in a corner) to all of it.
        assert!(left.iter().all(|l| (144.0..=180.0).contains(l) && l % 3.0 == 0.0), "{left:?}");
        assert!(left.contains(&144.0));
        Ok(())
    }

    #[test]
    fn colours_change_within_their_ranges() -> Result<()> {
        let x = Tensor::new(&[0.5f32, -0.5, 0.1, 0.3, 0.2, -0.1], test_device())?.reshape((1, 3, 1, 2))?;
        let y = Augment { color: true, ..Augment::default() }.apply(&x, &mut Rng::new(3))?;
        // Saturation keeps each pixel's mean over channels, contrast the image's mean: what is left is brightness.
        let brightness = f64::from((y.mean_all()? - x.mean_all()?)?.to_scalar::<f32>()?);
        assert!(brightness != 0.0 && brightness.abs() <= 0.5);
        let deviation = |t: &Tensor| -> Result<Vec<f32>> {
            let grey = t.mean_keepdim(1)?;
            Ok(values(&t.broadcast_sub(&grey)?))
        };
        let (a, b) = (deviation(&x)?, deviation(&y)?);
        let factor = b[0] / a[0];
        assert!((0.0..=3.0).contains(&factor) && a.iter().zip(&b).all(|(a, b)| (a * factor - b).abs() < 1e-5));
        Ok(())
    }

    #[test]
    fn alpha_keeps_its_values_and_transparent_pixels_stay_black() -> Result<()> {
        // Two pixels, the second transparent: RGB planes, then alpha.
        let x = Tensor::new(&[0.5f32, -1.0, -0.5, -1.0, 0.1, -1.0, 1.0, -1.0], test_device())?.reshape((1, 4, 1, 2))?;
        let color = Augment { color: true, ..Augment::default() };
        for seed in 0..20 {
            let y = values(&color.apply(&x, &mut Rng::new(seed))?);
            assert_eq!(y[6..], [1.0, -1.0]);
            assert!([1, 3, 5].iter().all(|at| (y[*at] + 1.0).abs() < 1e-5), "{y:?}");
            assert_ne!(y[0], 0.5);
        }
        // Opaque images change as RGB images do whose mean is middle gray.
        let rgb = Tensor::new(&[0.5f32, 0.2, -0.5, 0.0, 0.1, -0.3], test_device())?.reshape((1, 3, 1, 2))?;
        let opaque =
            Tensor::cat(&[rgb.clone(), Tensor::ones((1, 1, 1, 2), candle_core::DType::F32, test_device())?], 1)?;
        let [a, b] = [rgb, opaque].map(|x| values(&color.apply(&x, &mut Rng::new(4)).unwrap()));
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
        Ok(())
    }

    #[test]
    fn each_sample_is_changed_with_the_probability() -> Result<()> {
        let x = Tensor::ones((4000, 1, 4, 4), candle_core::DType::F32, test_device())?;
        for probability in [0.0, 0.25, 0.7] {
            let augment = Augment { cutout: 1.0, probability, ..Augment::default() };
            let y = values(&augment.apply(&x, &mut Rng::new(1))?.flatten_from(1)?.min(1)?);
            let part = y.iter().filter(|least| **least == 0.0).count() as f64 / 4000.0;
            // Five standard deviations of a binomial distribution.
            assert!(
                (part - probability).abs() < 5.0 * (probability * (1.0 - probability) / 4000.0).sqrt() + 1e-9,
                "{part}"
            );
        }
        Ok(())
    }

    #[test]
    fn gradients_reach_the_images() -> Result<()> {
        let all = Augment { color: true, translation: 0.2, cutout: 0.3, ..Augment::default() };
        let x = Rng::new(5).normal_tensor(0.0, 1.0, (2, 1, 6, 6), test_device())?;
        let weights = Rng::new(6).normal_tensor(0.0, 1.0, (2, 1, 6, 6), test_device())?;
        let loss = |x: &Tensor| (all.apply(x, &mut Rng::new(7))? * &weights)?.sum_all();
        let var = Var::from_tensor(&x)?;
        let grads = loss(var.as_tensor())?.backward()?;
        let gradient = values(grads.get(&var).unwrap());
        // The transformations are linear, so one finite difference is exact except for rounding.
        for i in [0, 7, 20, 50, 71] {
            let mut other = values(&x);
            other[i] += 0.5;
            let difference =
                (loss(&Tensor::from_vec(other, x.shape(), test_device())?)? - loss(&x)?)?.to_scalar::<f32>()?;
            assert!((difference * 2.0 - gradient[i]).abs() < 1e-3, "{i}: {} {}", difference * 2.0, gradient[i]);
        }
        Ok(())
    }
}
