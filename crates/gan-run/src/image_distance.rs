//! Distances between images that follow what people see better than differences of pixels do.
//!
//! A difference of pixels punishes an edge that is shifted by one pixel as much as a missing one, so the image that minimizes it is blurred.
//! A Laplacian pyramid (Burt & Adelson 1983) compares each scale of detail by itself, as in GLO (Bojanowski et al. 2018, arXiv:1707.05776,
//! section 3.2). Features of a trained discriminator compare textures and parts, as LPIPS does with those of a classifier (Zhang et al. 2018,
//! arXiv:1801.03924), and need no other network than the run's own.

use crate::error::{Error, Result};
use candle_core::{D, Device, Tensor};
use gan_core::{ForwardContext, LayeredDiscriminator, Stages};

/// Smallest side that is halved again in the pyramid.
const SMALLEST: usize = 8;

/// A distance between images `[N, C, H, W]`.
pub enum ImageDistance {
    /// Mean squared difference of pixels.
    Pixels,
    /// Mean absolute difference of each level of a Laplacian pyramid, added up.
    Pyramid(Pyramid),
    /// That of the pyramid, and the mean absolute difference of D's features relative to their size, averaged over its stages.
    Features(Pyramid, Box<Stages>),
}

/// Images prepared for comparison: what each kind of distance compares.
pub struct Prepared(Vec<Tensor>);

impl ImageDistance {
    /// Returns the distance of pyramids for images `[C, H, W]`.
    ///
    /// # Errors
    /// If `shape` is not that of images.
    pub fn pyramid(shape: &[usize], device: &Device) -> Result<Self> {
        Ok(Self::Pyramid(Pyramid::new(shape, device)?))
    }

    /// Returns the distance of features of a discriminator of such images.
    ///
    /// # Errors
    /// If the discriminator takes something else than one image `[C, H, W]`, or has only one layer with a kernel.
    pub fn features(discriminator: &LayeredDiscriminator, shape: &[usize], device: &Device) -> Result<Self> {
        let network = discriminator.network();
        let refuse = |problem: String| Err(Error::config("the discriminator", problem));
        if network.input() != shape {
            return refuse(format!("takes {:?}, its features cannot compare images {shape:?}", network.input()));
        }
        let stages = network.stages()?;
        if stages.count() == 0 {
            return refuse("has a single layer with a kernel and so no features to compare".into());
        }
        Ok(Self::Features(Pyramid::new(shape, device)?, Box::new(stages)))
    }

    /// Prepares images `[N, C, H, W]`, of the given classes `[N]` if the discriminator is conditional.
    ///
    /// # Errors
    /// If the discriminator lacks classes that it needs.
    pub fn prepare(&self, images: &Tensor, classes: Option<&Tensor>) -> Result<Prepared> {
        Ok(Prepared(match self {
            Self::Pixels => vec![images.clone()],
            Self::Pyramid(pyramid) => pyramid.levels(images)?,
            Self::Features(pyramid, stages) => {
                let mut all = pyramid.levels(images)?;
                all.extend(stages.forward(images, &mut ForwardContext::eval().of_classes(classes))?);
                all
            }
        }))
    }

    /// Returns the distance of each of `made` to the image at the same place in `given`: `[N]`, with gradients for `made`.
    ///
    /// # Errors
    /// If there are not equally many of both.
    pub fn between(&self, made: &Prepared, given: &Prepared) -> Result<Tensor> {
        let pairs = || made.0.iter().zip(&given.0);
        let levels = match self {
            Self::Pixels => return Ok(mean(&(&made.0[0] - &given.0[0])?.sqr()?)?),
            Self::Pyramid(pyramid) | Self::Features(pyramid, _) => pyramid.levels.len() + 1,
        };
        let difference = |(a, b): (&Tensor, &Tensor)| mean(&(a - b)?.abs()?);
        let mut total = mean(&made.0[0].zeros_like()?)?;
        for pair in pairs().take(levels) {
            total = (total + difference(pair)?)?;
        }
        let stages = (made.0.len() - levels) as f64;
        for pair in pairs().skip(levels) {
            let size = (mean(&pair.1.abs()?)? + 1e-6)?;
            total = (total + (difference(pair)? / size)?.affine(1.0 / stages, 0.0)?)?;
        }
        Ok(total)
    }
}

/// Returns the mean of each row's numbers: `[N, …]` -> `[N]`.
fn mean(x: &Tensor) -> candle_core::Result<Tensor> {
    x.flatten_from(1)?.mean(D::Minus1)
}

/// Laplacian pyramid for images of one size.
pub struct Pyramid {
    levels: Vec<Level>,
}

/// Matrices that halve and double a side, for width and height: `[from, to]`.
struct Level {
    width: [Tensor; 2],
    height: [Tensor; 2],
}

impl Pyramid {
    fn new(shape: &[usize], device: &Device) -> Result<Self> {
        let &[_, mut height, mut width] = shape else {
            return Err(Error::config("samples", format!("of shape {shape:?} are not images, which have pyramids")));
        };
        let mut levels = vec![];
        while height.min(width) >= SMALLEST {
            let both = |side: usize| Ok::<_, candle_core::Error>([halving(side, device)?, doubling(side, device)?]);
            levels.push(Level { width: both(width)?, height: both(height)? });
            (height, width) = (height.div_ceil(2), width.div_ceil(2));
        }
        Ok(Self { levels })
    }

    /// Returns what each halving loses, and the smallest images: `[N, C, H, W]` each.
    fn levels(&self, images: &Tensor) -> candle_core::Result<Vec<Tensor>> {
        let mut images = images.clone();
        let mut all = vec![];
        for Level { width, height } in &self.levels {
            let small = along(&along(&images, &width[0], false)?, &height[0], true)?;
            let blurred = along(&along(&small, &width[1], false)?, &height[1], true)?;
            all.push((images - blurred)?);
            images = small;
        }
        all.push(images);
        Ok(all)
    }
}

/// Multiplies the rows of images `[N, C, H, W]`, or their columns, by a matrix.
fn along(images: &Tensor, matrix: &Tensor, is_vertical: bool) -> candle_core::Result<Tensor> {
    if is_vertical {
        return along(&images.transpose(2, 3)?.contiguous()?, matrix, false)?.transpose(2, 3)?.contiguous();
    }
    let (n, c, h, w) = images.dims4()?;
    images.reshape((n * c * h, w))?.matmul(matrix)?.reshape((n, c, h, matrix.dim(1)?))
}

/// Returns the matrix that halves a side with the filter 1 4 6 4 1, renormalized at the edges.
fn halving(side: usize, device: &Device) -> candle_core::Result<Tensor> {
    const FILTER: [f32; 5] = [1.0, 4.0, 6.0, 4.0, 1.0];
    let small = side.div_ceil(2);
    let mut matrix = vec![0.0_f32; side * small];
    for to in 0..small {
        let taps: Vec<(usize, f32)> = (0..5)
            .filter_map(|tap| Some(((2 * to + tap).checked_sub(2)?, FILTER[tap])))
            .filter(|tap| tap.0 < side)
            .collect();
        let sum: f32 = taps.iter().map(|tap| tap.1).sum();
        taps.iter().for_each(|(from, weight)| matrix[from * small + to] = weight / sum);
    }
    Tensor::from_vec(matrix, (side, small), device)
}

/// Returns the matrix that interpolates between the pixels of a halved side.
fn doubling(side: usize, device: &Device) -> candle_core::Result<Tensor> {
    let small = side.div_ceil(2);
    let mut matrix = vec![0.0_f32; small * side];
    for to in 0..side {
        for from in [to / 2, to.div_ceil(2).min(small - 1)] {
            matrix[from * side + to] += 0.5;
        }
    }
    Tensor::from_vec(matrix, (small, side), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;
    use gan_base::Rng;
    use gan_core::{Init, Layer, RandomTensors};

    fn images(n: usize, seed: u64) -> Tensor {
        Rng::new(seed).normal_tensor(0.0, 0.5, (n, 2, 13, 16), &Device::Cpu).unwrap()
    }

    fn distances() -> Vec<ImageDistance> {
        let shape = [2, 13, 16];
        let layers: Vec<Layer> = serde_json::from_str(
            r#"[{"conv": 4, "kernel": 3, "stride": 2, "padding": 1}, {"leaky_relu": 0.2}, {"conv": 4, "kernel": 3}, "flatten", {"dense": 1}]"#,
        )
        .unwrap();
        let d = LayeredDiscriminator::new(&shape, &layers, Init::He, &mut Rng::new(1), &Device::Cpu).unwrap();
        vec![
            ImageDistance::Pixels,
            ImageDistance::pyramid(&shape, &Device::Cpu).unwrap(),
            ImageDistance::features(&d, &shape, &Device::Cpu).unwrap(),
        ]
    }

    fn between(distance: &ImageDistance, a: &Tensor, b: &Tensor) -> Vec<f32> {
        let [a, b] = [a, b].map(|images| distance.prepare(images, None).unwrap());
        distance.between(&a, &b).unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_pyramid_adds_up_to_the_image() {
        let images = images(2, 1);
        let pyramid = Pyramid::new(&[2, 13, 16], &Device::Cpu).unwrap();
        let levels = pyramid.levels(&images).unwrap();
        let sizes: Vec<_> = levels.iter().map(|level| level.dims()[2..].to_vec()).collect();
        assert_eq!(sizes, [[13, 16], [7, 8]]);
        let level = &pyramid.levels[0];
        let blurred = along(&along(&levels[1], &level.width[1], false).unwrap(), &level.height[1], true).unwrap();
        let rebuilt = (&levels[0] + blurred).unwrap();
        let error = (rebuilt - images).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(error < 1e-6, "{error}");
        // A constant image has no detail.
        let flat =
            pyramid.levels(&Tensor::ones((1, 2, 13, 16), candle_core::DType::F32, &Device::Cpu).unwrap()).unwrap();
        assert!(flat[0].abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-6);
    }

    #[test]
    fn distances_are_zero_for_equal_images_and_grow_with_noise() {
        let [a, noise] = [images(3, 1), images(3, 2)];
        for distance in distances() {
            assert_eq!(between(&distance, &a, &a), [0.0; 3]);
            let near = between(&distance, &(&a + (&noise * 0.1).unwrap()).unwrap(), &a);
            let far = between(&distance, &(&a + &noise).unwrap(), &a);
            assert!(near.iter().zip(&far).all(|(near, far)| 0.0 < *near && near < far), "{near:?} {far:?}");
        }
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let given = images(1, 1);
        let made = Var::from_tensor(&images(1, 2)).unwrap();
        let direction = images(1, 3);
        for distance in distances() {
            let given = distance.prepare(&given, None).unwrap();
            let at = |made: &Tensor| {
                distance.between(&distance.prepare(made, None).unwrap(), &given).unwrap().sum_all().unwrap()
            };
            let grads = at(made.as_tensor()).backward().unwrap();
            let slope =
                (grads.get(&made).unwrap() * &direction).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
            let moved = |step: f64| {
                let moved = (made.as_tensor() + (&direction * step).unwrap()).unwrap();
                at(&moved).to_scalar::<f32>().unwrap()
            };
            let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((slope - expected).abs() < 0.05 * expected.abs() + 2e-3, "{slope} against {expected}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        assert!(ImageDistance::pyramid(&[2], &Device::Cpu).is_err());
        let layers: Vec<Layer> = serde_json::from_str(r#"["flatten", {"dense": 1}]"#).unwrap();
        let d = LayeredDiscriminator::new(&[2, 4, 4], &layers, Init::He, &mut Rng::new(1), &Device::Cpu).unwrap();
        for shape in [[2, 4, 4], [1, 4, 4]] {
            assert!(ImageDistance::features(&d, &shape, &Device::Cpu).is_err());
        }
    }
}
