//! Projection of images into the latent space: optimizes z until G(z) is as close to an image as possible (Zhu et al. 2016,
//! arXiv:1609.03552; Lipton & Tripathy 2017, arXiv:1702.04782).
//!
//! It minimizes an [`ImageDistance`] by Adam, for all images and from several random starts at once, with a learning rate that decreases to
//! 0. The distance stays large if the generator cannot produce the image.

use crate::error::Result;
use crate::image_distance::{ImageDistance, Prepared};
use crate::ssim::ssim;
use candle_core::{D, DType, Device, Tensor, Var};
use gan_base::Rng;
use gan_core::check_finite;
use gan_core::{ForwardContext, Generator, Latent, Param, Role};
use gan_core::{classes_in_turn, samples, samples_at_once};
use gan_train::optimizers::{Adam, Optimizer, Rates};

/// Settings of the search.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Number of random starts for each image.
    pub starts: usize,
    /// Number of steps of Adam.
    pub steps: u64,
    /// Initial learning rate.
    pub lr: f64,
    /// Seed of the starts.
    pub seed: u64,
    /// Class of all samples, for a conditional generator; by default the starts have each class in turn.
    pub class: Option<u32>,
}

impl Default for Search {
    fn default() -> Self {
        Self { starts: 20, steps: 300, lr: 0.1, seed: 0, class: None }
    }
}

/// Maximum number of latent vectors that a search keeps to be shown.
const MOST_SHOWN: u64 = 60;

/// Closest result for an image.
#[derive(Clone, Debug)]
pub struct Projected {
    /// `[latent]`
    pub z: Tensor,
    /// G(z), `[C, H, W]`.
    pub sample: Tensor,
    /// Mean squared difference between its pixels and the image's, in the data's range of −1 to 1.
    pub difference: f64,
    /// Structural similarity of the sample to the image, 1 if they are equal.
    pub similarity: f64,
    /// Class of the sample, if there are classes.
    pub class: Option<u32>,
    /// Latent vectors `[steps, latent]` of the search that led to z, in order, at most 60 of them.
    pub path: Tensor,
}

/// Returns the latent vector whose sample is closest to each of `images` `[N, C, H, W]`.
///
/// # Errors
/// If the images have another shape than the generator's samples, if their pixels or the samples are not finite, and from candle.
pub fn project(
    generator: &dyn Generator,
    latent: &Latent,
    images: &Tensor,
    search: Search,
    distance: &ImageDistance,
    device: &Device,
) -> Result<Vec<Projected>> {
    check_finite(images, |row| format!("image {row}"))?;
    let images = images.to_device(device)?;
    let count = images.dim(0)?;
    let at_once = (samples_at_once(generator)? / search.starts).max(1);
    let mut found = vec![];
    for from in (0..count).step_by(at_once) {
        let images = images.narrow(0, from, at_once.min(count - from))?;
        found.extend(Projection::new(generator, latent, &images, search, distance, device)?.run()?);
    }
    Ok(found)
}

/// Search for several images at once: a row of z for each start of each image.
struct Projection<'a> {
    generator: &'a dyn Generator,
    distance: &'a ImageDistance,
    search: Search,
    images: &'a Tensor,
    given: Prepared,
    classes: Option<Tensor>,
    z: Var,
}

impl<'a> Projection<'a> {
    fn new(
        generator: &'a dyn Generator,
        latent: &Latent,
        images: &'a Tensor,
        search: Search,
        distance: &'a ImageDistance,
        device: &Device,
    ) -> Result<Self> {
        let count = images.dim(0)?;
        let starts = search.starts;
        // Every image has the same starts, so that its result does not depend on the others.
        let z = latent.sample(starts, &mut Rng::stream(search.seed, "project"), device)?;
        let classes = match search.class {
            Some(class) => Some(Tensor::full(class, starts, device)?),
            None => classes_in_turn(generator, starts, device)?,
        };
        let classes = classes.map(|classes| classes.repeat(count)).transpose()?;
        let rows: Vec<u32> = (0..count * starts).map(|row| (row / starts) as u32).collect();
        let given = images.index_select(&Tensor::new(rows, device)?, 0)?;
        let given = distance.prepare(&given, classes.as_ref())?;
        Ok(Self { generator, distance, search, images, given, classes, z: Var::from_tensor(&z.repeat((count, 1))?)? })
    }

    /// Returns the distance of each row: `[rows]`.
    fn distances(&self, z: &Tensor) -> Result<Tensor> {
        let made = self.generator.forward(z, &mut ForwardContext::eval().of_classes(self.classes.as_ref()))?;
        self.distance.between(&self.distance.prepare(&made, self.classes.as_ref())?, &self.given)
    }

    fn run(self) -> Result<Vec<Projected>> {
        let Search { starts, steps, lr, .. } = self.search;
        let param = Param::whole("z", self.z.clone(), Role::Weight);
        let adam = Optimizer::new(Adam::new(lr, [0.9, 0.999]), &[param]);
        let mut optimizer = adam.map_err(gan_train::Error::from)?;
        let mut path = vec![];
        for step in 0..steps {
            if step % steps.div_ceil(MOST_SHOWN) == 0 {
                path.push(self.z.as_detached_tensor().copy()?);
            }
            optimizer.set_rates(Rates { lr_factor: 1.0 - step as f64 / steps as f64, ..Rates::default() });
            // The rows are independent, so the gradient of the sum contains the gradient of each.
            let grads = self.distances(self.z.as_tensor())?.sum_all()?.backward()?;
            optimizer.step(&grads).map_err(gan_train::Error::from)?;
        }
        let z = self.z.as_detached_tensor();
        let distances = self.distances(&z)?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
        let path = Tensor::stack(&path, 0)?;
        let result = |(image, distances): (usize, &[f32])| {
            let nearest = distances.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(start, _)| start);
            self.result(image, image * starts + nearest, distances[nearest], &path)
        };
        distances.chunks_exact(starts).enumerate().map(result).collect()
    }

    /// Returns the result for image number `image`, which is in row `row`.
    fn result(&self, image: usize, row: usize, distance: f32, path: &Tensor) -> Result<Projected> {
        if !distance.is_finite() {
            let what = "the difference between the image and its nearest sample".into();
            return Err(gan_core::Error::NotFinite { what, value: distance }.into());
        }
        let z = self.z.as_detached_tensor().narrow(0, row, 1)?.copy()?;
        let class = self.classes.as_ref().map(|classes| classes.narrow(0, row, 1)).transpose()?;
        let sample = samples(self.generator, &z, class.as_ref())?.get(0)?.to_device(&Device::Cpu)?;
        let image = self.images.get(image)?.to_device(&Device::Cpu)?;
        let difference =
            (&sample - &image)?.sqr()?.flatten_all()?.mean(D::Minus1)?.to_dtype(DType::F64)?.to_scalar()?;
        Ok(Projected {
            z: z.get(0)?,
            difference,
            similarity: ssim(&sample, &image)?,
            class: class.map(|class| class.get(0)?.to_scalar::<u32>()).transpose()?,
            path: path.narrow(1, row, 1)?.squeeze(1)?,
            sample,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_core::{Distribution, Init, Layer, LayeredGenerator};

    #[test]
    fn projecting_a_generated_sample_recovers_it() -> Result<()> {
        let latent = Latent { dim: 4, distribution: Distribution::Normal, truncation: None };
        let layers: Vec<Layer> = serde_json::from_str(
            r#"[{"concat_class": 3}, {"dense": 32}, {"leaky_relu": 0.2}, {"dense": 18}, {"reshape": [2, 3, 3]}, "tanh"]"#,
        )
        .unwrap();
        let device = Device::Cpu;
        let generator = LayeredGenerator::new(&latent, &[4], &layers, Init::He, &mut Rng::new(1), &device)?;
        let z = latent.sample(1, &mut Rng::new(9), &device)?;
        let class = Tensor::new(&[2u32], &device)?;
        let image = generator.forward(&z, &mut ForwardContext::eval().of_classes(Some(&class)))?.get(0)?.detach();
        let images = image.unsqueeze(0)?;
        let project = |images: &Tensor, search, distance: &ImageDistance| {
            project(&generator, &latent, images, search, distance, &device)
        };
        let search = Search { starts: 12, ..Search::default() };
        let pixels = ImageDistance::Pixels;
        let found = project(&images, search, &pixels)?.remove(0);
        assert!(found.difference < 1e-3 && found.class == Some(2), "{} {:?}", found.difference, found.class);
        assert!(found.similarity > 0.99 && found.path.dims() == [60, 4], "{}", found.similarity);
        let pyramid = project(&images, search, &ImageDistance::pyramid(&[2, 3, 3], &device)?)?.remove(0);
        assert!(pyramid.difference < 1e-3 && pyramid.class == Some(2), "{}", pyramid.difference);
        let other_search = Search { class: Some(0), ..Search::default() };
        let other = project(&images, other_search, &pixels)?.remove(0);
        assert!(other.class == Some(0) && other.difference > found.difference);
        let broken = (image.zeros_like()? + f64::NAN)?;
        let message = project(&broken.unsqueeze(0)?, other_search, &pixels).unwrap_err().to_string();
        assert!(message.starts_with("image 0 holds NaN"), "{message}");
        // Images that are projected together have the results of each alone.
        let both = Tensor::cat(&[&other.sample.unsqueeze(0)?, &images], 0)?;
        let together = project(&both, search, &pixels)?;
        let apart = (&together[1].z - &found.z)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(together.len() == 2 && apart < 1e-3 && together[0].difference < 1e-3, "{apart}");
        Ok(())
    }
}
