//! A generator at work: weights from bytes, latent vectors from seeds, samples as pixels or points.

use candle_core::{Device, Tensor};
use gan_base::Rng;
use gan_core::weights::{self, Description};
use gan_core::{Generator, LayeredGenerator, samples};
use gan_report::{Colour, Images};
use serde_json::json;

/// A generator with its description.
pub struct Session {
    description: Description,
    generator: LayeredGenerator,
}

impl Session {
    /// Builds the generator in the bytes of a weight file.
    ///
    /// # Errors
    /// As [`weights::generator_from_bytes`], as text.
    pub fn load(bytes: &[u8]) -> Result<Self, String> {
        let (description, generator) = weights::generator_from_bytes(bytes, &Device::Cpu).map_err(|e| e.to_string())?;
        Ok(Self { description, generator })
    }

    /// Returns what the page has to know, as JSON: `latent` (its size), `shape` of a sample, the number of `classes` or null, their `names`, and
    /// `units` of points.
    pub fn about(&self) -> String {
        let Description { latent, data, .. } = &self.description;
        let about = json!({
            "latent": latent.dim,
            "truncation": latent.truncation,
            "shape": data.shape,
            "classes": self.generator.classes(),
            "names": data.classes,
            "units": data.units,
        });
        about.to_string()
    }

    /// Returns whether the samples are points, not images.
    pub fn makes_points(&self) -> bool {
        self.description.data.shape.len() == 1
    }

    /// Returns the size of a latent vector.
    pub fn latent(&self) -> usize {
        self.description.latent.dim
    }

    /// Returns `count` latent vectors of a seed, as `gan generate --seed` and, with `within`, `--truncation` draw them. The first is also that of
    /// `--seeds`.
    ///
    /// # Errors
    /// If `within` is too small.
    pub fn latents(&self, seed: u64, within: Option<f64>, count: usize) -> Result<Vec<f32>, String> {
        let mut rng = Rng::stream(seed, "generate");
        let z = match within {
            Some(most) => self.description.latent.sample_within(most, count, &mut rng, &Device::Cpu),
            None => self.description.latent.sample(count, &mut rng, &Device::Cpu),
        };
        z.and_then(|z| z.flatten_all()?.to_vec1()).map_err(|e| e.to_string())
    }

    /// Returns the samples of latent vectors `[N, latent]`, of classes `[N]` if the generator is conditional, as in [`gan_core::samples`].
    ///
    /// # Errors
    /// If the numbers of latent vectors and classes do not fit, or a class does not exist.
    pub fn samples(&self, z: &[f32], classes: &[u32]) -> Result<Vec<f32>, String> {
        let made = || {
            let dim = self.latent();
            let z = Tensor::from_slice(z, (z.len() / dim, dim), &Device::Cpu)?;
            let classes = (self.generator.classes().is_some())
                .then(|| Tensor::from_slice(classes, classes.len(), &Device::Cpu))
                .transpose()?;
            samples(&self.generator, &z, classes.as_ref())?.flatten_all()?.to_vec1()
        };
        made().map_err(|e: candle_core::Error| e.to_string())
    }

    /// Returns the images of latent vectors as RGBA bytes `[N, H, W, 4]`, with the bytes of the pictures that `gan generate` writes. Of two
    /// channels the first is shown, as there.
    ///
    /// # Errors
    /// As [`Session::samples`], and if the samples are no images.
    pub fn pixels(&self, z: &[f32], classes: &[u32]) -> Result<Vec<u8>, String> {
        let [channels, height, width] = self.description.data.shape[..] else {
            return Err("this generator makes points, not images".into());
        };
        let samples = self.samples(z, classes)?;
        let shape = [z.len() / self.latent(), channels, height, width];
        let pictures = Images::new(&samples, shape).and_then(|images| images.pictures()).map_err(|e| e.to_string())?;
        let mut pixels = Vec::with_capacity(shape[0] * height * width * 4);
        for picture in &pictures {
            match picture.colour() {
                Colour::Grey => picture.data().iter().for_each(|v| pixels.extend([*v, *v, *v, 255])),
                Colour::Rgb => {
                    picture.data().as_chunks::<3>().0.iter().for_each(|[r, g, b]| pixels.extend([*r, *g, *b, 255]))
                }
                Colour::Rgba => pixels.extend(picture.data()),
            }
        }
        Ok(pixels)
    }
}
