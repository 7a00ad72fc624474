//! Projection of images into the latent space: optimizes z until G(z) is as close to an image as possible (Zhu et al. 2016,
//! arXiv:1609.03552; Lipton & Tripathy 2017, arXiv:1702.04782).
//!
//! It minimizes the mean squared difference of pixels by Adam, from several random starts at once, with a learning rate that decreases to
//! 0. The difference stays large if the generator cannot produce the image.

use crate::error::Result;
use candle_core::{D, DType, Device, Tensor, Var};
use gan_base::Rng;
use gan_core::check_finite;
use gan_core::classes_in_turn;
use gan_core::{ForwardContext, Generator, Latent, Param, Role};
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

/// Closest result for an image.
#[derive(Clone, Debug)]
pub struct Projected {
    /// `[latent]`
    pub z: Tensor,
    /// G(z), `[C, H, W]`.
    pub sample: Tensor,
    /// Mean squared difference between its pixels and the image's, in the data's range of −1 to 1.
    pub difference: f64,
    /// Class of the sample, if there are classes.
    pub class: Option<u32>,
}

/// Returns the latent vector whose sample is closest to `image` `[C, H, W]`.
///
/// # Errors
/// If the image has another shape than the generator's samples, if its pixels or the samples are not finite, and from candle.
pub fn project(
    generator: &dyn Generator,
    latent: &Latent,
    image: &Tensor,
    search: Search,
    device: &Device,
) -> Result<Projected> {
    let Search { starts, steps, lr, seed, class } = search;
    check_finite(&image.unsqueeze(0)?, |_| "the image".into())?;
    let z = Var::from_tensor(&latent.sample(starts, &mut Rng::stream(seed, "project"), device)?)?;
    let classes = match class {
        Some(class) => Some(Tensor::full(class, starts, device)?),
        None => classes_in_turn(generator, starts, device)?,
    };
    let mut optimizer = Optimizer::new(Adam::new(lr, [0.9, 0.999]), &[Param::whole("z", z.clone(), Role::Weight)])?;
    let image = image.to_device(device)?.unsqueeze(0)?;
    // `[starts]`
    let differences = |z: &Tensor| -> Result<(Tensor, Tensor)> {
        let made = generator.forward(z, &mut ForwardContext::eval().of_classes(classes.as_ref()))?;
        let differences = made.broadcast_sub(&image)?.sqr()?.flatten_from(1)?.mean(D::Minus1)?;
        Ok((made, differences))
    };
    for step in 0..steps {
        optimizer.set_rates(Rates { lr_factor: 1.0 - step as f64 / steps as f64, ..Rates::default() });
        let (_, found) = differences(z.as_tensor())?;
        // The starts are independent, so the gradient of the sum contains the gradient of each.
        let grads = found.sum_all()?.backward()?;
        optimizer.step(&grads)?;
    }
    let (made, found) = differences(&z.as_detached_tensor())?;
    let best = found.argmin(0)?.to_scalar::<u32>()? as usize;
    let class = classes.map(|classes| classes.get(best)?.to_scalar::<u32>()).transpose()?;
    let difference = f64::from(found.get(best)?.to_dtype(DType::F32)?.to_scalar::<f32>()?);
    if !difference.is_finite() {
        let what = "the difference between the image and its nearest sample".into();
        return Err(gan_core::Error::NotFinite { what, value: difference as f32 }.into());
    }
    Ok(Projected { z: z.as_detached_tensor().get(best)?, sample: made.get(best)?.detach(), difference, class })
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
        let found = project(&generator, &latent, &image, Search { starts: 12, ..Search::default() }, &device)?;
        assert!(found.difference < 1e-3 && found.class == Some(2), "{} {:?}", found.difference, found.class);
        let other_search = Search { class: Some(0), ..Search::default() };
        let other = project(&generator, &latent, &image, other_search, &device)?;
        assert!(other.class == Some(0) && other.difference > found.difference);
        let broken = (image.zeros_like()? + f64::NAN)?;
        let message = project(&generator, &latent, &broken, other_search, &device).unwrap_err().to_string();
        assert!(message.starts_with("the image holds NaN"), "{message}");
        Ok(())
    }
}
