//! Statistics of a random network's activations: features that see texture, for images that no trained network fits.
//!
//! Three strided convolutions with fixed random kernels, each followed by leaky ReLU and by division through the root mean square over the
//! channels at every pixel, so that deeper layers see structure instead of brightness. The kernels of the first layer have mean 0. The features are the
//! mean and the standard deviation of each channel over the image, which do not depend on where something is. Naeem et al. 2020 (arXiv:2002.09797)
//! also compare generators by random networks; `docs/results/judging.md` compares this one with a network that was trained on ImageNet.

use super::{Embedder, EmbedderInfo, Embedding, FeatureSpace, hex, in_batches};
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use gan_base::Rng;
use gan_kernels::{ConvSpec, Padding, ops};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Name on cards.
pub(super) const NAME: &str = "texture";

/// Output channels of each layer.
const WIDTHS: [usize; 3] = [32, 48, 64];
/// Side of the kernels.
const KERNEL: usize = 4;
/// Slope of leaky ReLU.
const SLOPE: f32 = 0.2;
/// Added to the root mean square, so that flat areas are not amplified to noise.
const OFFSET: f32 = 0.1;
/// Number of images at a time.
const BATCH: usize = 64;

/// The random network for images `[C, H, W]`: 288 features.
#[derive(Clone, Debug)]
pub struct Texture {
    info: EmbedderInfo,
    shape: [usize; 3],
    /// `[O, C, 4, 4]` for each layer.
    kernels: Vec<Tensor>,
}

impl Texture {
    /// Minimum height and width of images.
    pub const SMALLEST: usize = 16;

    /// Returns the embedder of images `[C, H, W]`.
    ///
    /// # Errors
    /// If the images are smaller than 16×16.
    pub fn new(shape: [usize; 3]) -> Result<Self> {
        let [channels, h, w] = shape;
        if channels == 0 || h.min(w) < Self::SMALLEST {
            let found = format!("{shape:?}");
            return Err(Error::mismatch("images", found, "at least 16×16 pixels", "compare them by thumbnails"));
        }
        let mut rng = Rng::stream(0, "texture features");
        let mut hasher = Sha256::new();
        let mut kernels = vec![];
        let mut inputs = channels;
        for (layer, outputs) in WIDTHS.into_iter().enumerate() {
            let mut values: Vec<f32> = (0..outputs * inputs * KERNEL * KERNEL).map(|_| rng.normal()).collect();
            if layer == 0 {
                values.chunks_exact_mut(KERNEL * KERNEL).for_each(centre);
            }
            values.chunks_exact_mut(inputs * KERNEL * KERNEL).for_each(normalize);
            values.iter().for_each(|value| hasher.update(value.to_le_bytes()));
            kernels.push(Tensor::from_vec(values, (outputs, inputs, KERNEL, KERNEL), &Device::Cpu)?);
            inputs = outputs;
        }
        let dim = 2 * WIDTHS.iter().sum::<usize>();
        let mut info = EmbedderInfo::new(NAME, &hex(hasher), FeatureSpace::Texture, dim);
        info.card.resize = Some("none; precision to diversity, and copies: means over 16×16 areas".into());
        Ok(Self { info, shape, kernels })
    }

    /// Returns the features `[N, D]` of a batch of images.
    fn features(&self, images: &Tensor) -> Result<Tensor> {
        let n = images.dim(0)?;
        let spec = ConvSpec { stride: [2, 2], padding: Padding::all(1), ..ConvSpec::default() };
        let mut features: Vec<Vec<f32>> = vec![vec![]; n];
        let mut x = images.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?;
        for kernel in &self.kernels {
            let y = ops::conv2d(&x, kernel, None, &spec)?;
            let (_, c, h, w) = y.dims4()?;
            let mut values: Vec<f32> = y.flatten_all()?.to_vec1()?;
            values.par_chunks_exact_mut(c * h * w).zip(&mut features).for_each(|(image, features)| {
                activate(image, h * w);
                features.extend(statistics(image, h * w));
            });
            x = Tensor::from_vec(values, (n, c, h, w), &Device::Cpu)?;
        }
        Ok(Tensor::from_vec(features.concat(), (n, self.info.card.dim), &Device::Cpu)?)
    }
}

impl Embedder for Texture {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    fn embed(&self, images: &Tensor) -> Result<Embedding> {
        let [c, h, w] = self.shape;
        if images.rank() != 4 || images.dims()[1..] != self.shape {
            let found = format!("{:?}", images.dims());
            return Err(Error::mismatch("images", found, format!("[N, {c}, {h}, {w}]"), "compare like with like"));
        }
        in_batches(images, BATCH, |batch| Ok(Embedding { features: self.features(batch)?, logits: None }))
    }
}

/// Subtracts the mean.
fn centre(kernel: &mut [f32]) {
    let mean = kernel.iter().sum::<f32>() / kernel.len() as f32;
    kernel.iter_mut().for_each(|x| *x -= mean);
}

/// Scales a kernel to the norm √2, which keeps the size of activations through rectification.
fn normalize(kernel: &mut [f32]) {
    let norm = kernel.iter().map(|x| x * x).sum::<f32>().sqrt();
    kernel.iter_mut().for_each(|x| *x *= 2_f32.sqrt() / norm);
}

/// Applies leaky ReLU, and divides every pixel by the root mean square over its channels.
fn activate(image: &mut [f32], pixels: usize) {
    let channels = image.len() / pixels;
    let mut squares = vec![0.0_f32; pixels];
    for plane in image.chunks_exact_mut(pixels) {
        for (x, sum) in plane.iter_mut().zip(&mut squares) {
            *x = if *x < 0.0 { SLOPE * *x } else { *x };
            *sum += *x * *x;
        }
    }
    squares.iter_mut().for_each(|sum| *sum = 1.0 / ((*sum / channels as f32).sqrt() + OFFSET));
    for plane in image.chunks_exact_mut(pixels) {
        plane.iter_mut().zip(&squares).for_each(|(x, scale)| *x *= scale);
    }
}

/// Returns the mean and the standard deviation of each channel.
fn statistics(image: &[f32], pixels: usize) -> impl Iterator<Item = f32> {
    image.chunks_exact(pixels).flat_map(move |plane| {
        let mean = plane.iter().map(|x| f64::from(*x)).sum::<f64>() / pixels as f64;
        let variance = plane.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / pixels as f64;
        [mean as f32, variance.sqrt() as f32]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Features;
    use gan_core::RandomTensors;

    fn noise(seed: u64, [n, c, h, w]: [usize; 4]) -> Tensor {
        Rng::new(seed).uniform_tensor(-1.0, 1.0, (n, c, h, w), &Device::Cpu).unwrap()
    }

    fn features(images: &Tensor) -> Features {
        let [_, c, h, w] = images.dims()[..] else { panic!("images") };
        Features::from_tensor(&Texture::new([c, h, w]).unwrap().embed(images).unwrap().features).unwrap()
    }

    /// The features of one image in f64, by their definition.
    fn plain(network: &Texture, image: &[f32], [mut c, mut h, mut w]: [usize; 3]) -> Vec<f64> {
        let mut x: Vec<f64> = image.iter().map(|x| f64::from(*x)).collect();
        let mut features = vec![];
        for kernel in &network.kernels {
            let (outputs, ..) = kernel.dims4().unwrap();
            let k: Vec<f32> = kernel.flatten_all().unwrap().to_vec1().unwrap();
            let rows = (h - 2) / 2 + 1;
            let columns = (w - 2) / 2 + 1;
            let mut y = vec![0.0; outputs * rows * columns];
            for (at, y) in y.iter_mut().enumerate() {
                let (o, i, j) = (at / (rows * columns), at / columns % rows, at % columns);
                for (tap, weight) in k[o * c * 16..][..c * 16].iter().enumerate() {
                    let (p, q, r) = (tap / 16, 2 * i + tap / 4 % 4, 2 * j + tap % 4);
                    if (1..=h).contains(&q) && (1..=w).contains(&r) {
                        *y += f64::from(*weight) * x[(p * h + q - 1) * w + r - 1];
                    }
                }
                *y *= if *y < 0.0 { 0.2 } else { 1.0 };
            }
            let pixels = rows * columns;
            for pixel in 0..pixels {
                let sum: f64 = (0..outputs).map(|o| y[o * pixels + pixel].powi(2)).sum();
                let scale = (sum / outputs as f64).sqrt() + 0.1;
                (0..outputs).for_each(|o| y[o * pixels + pixel] /= scale);
            }
            for plane in y.chunks(pixels) {
                let mean = plane.iter().sum::<f64>() / pixels as f64;
                let variance = plane.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / pixels as f64;
                features.extend([mean, variance.sqrt()]);
            }
            (x, c, h, w) = (y, outputs, rows, columns);
        }
        features
    }

    #[test]
    fn features_are_those_of_plain_loops() {
        for shape in [[1, 16, 16], [3, 21, 34], [4, 32, 17]] {
            let [c, h, w] = shape;
            let images = noise(1, [2, c, h, w]);
            let found = features(&images);
            assert_eq!((found.len(), found.dim()), (2, 288));
            let image: Vec<f32> = images.get(1).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let expected = plain(&Texture::new(shape).unwrap(), &image, shape);
            let error = found.row(1).iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert!(error < 1e-4, "{shape:?}: {error}");
        }
    }

    #[test]
    fn features_do_not_depend_on_the_batch_and_not_on_the_number_of_threads() {
        let images = noise(1, [BATCH + 9, 3, 16, 16]);
        let all = features(&images);
        let last = features(&images.narrow(0, BATCH + 8, 1).unwrap().contiguous().unwrap());
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
        assert!(all.row(BATCH + 8).iter().zip(last.row(0)).all(close));
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| features(&images));
        assert_eq!(all, alone);
    }

    #[test]
    fn softer_images_have_other_features() {
        let images = noise(1, [64, 3, 32, 32]);
        let soft = ops::avg_pool2d(&images, [2, 2]).and_then(|x| ops::upsample_nearest2d(&x, [2, 2])).unwrap();
        let mean = |features: &Features| -> Vec<f32> {
            (0..288).map(|i| features.rows().map(|row| row[i]).sum::<f32>() / features.len() as f32).collect()
        };
        let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
        let own = mean(&features(&images));
        let other = apart(&own, &mean(&features(&noise(2, [64, 3, 32, 32]))));
        let softer = apart(&own, &mean(&features(&soft)));
        assert!(softer > 3.0 * other, "{softer} {other}");
    }

    #[test]
    fn nan_stays_and_small_images_are_an_error() {
        let images = (noise(1, [1, 1, 16, 16]) * f64::NAN).unwrap();
        assert!(features(&images).values().iter().all(|x| x.is_nan()));
        let problem = Texture::new([3, 15, 64]).unwrap_err().to_string();
        assert!(problem.contains("at least 16×16") && problem.contains("thumbnails"), "{problem}");
        let problem = Texture::new([3, 16, 16]).unwrap().embed(&noise(1, [1, 1, 16, 16])).unwrap_err().to_string();
        assert!(problem.contains("[N, 3, 16, 16]"), "{problem}");
    }
}
