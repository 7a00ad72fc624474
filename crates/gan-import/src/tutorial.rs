//! The DCGAN of PyTorch's tutorial, whose layers follow from the shapes of its kernels alone.
//!
//! The generator is a chain of transposed convolutions: k×k without padding from a latent vector `[Z, 1, 1]` to k×k pixels, then 4×4 with stride
//! 2 and padding 1, which double height and width. The discriminator is the same in reverse. Whether a layer has a bias, and whether a batch norm
//! follows it, is in the file; strides, paddings, activations and the ε of batch norm are not, and are taken from the tutorial (Radford et al. 2015,
//! arXiv:1511.06434; <https://pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html>).

use crate::contents::StateDict;
use crate::modules::{Module, NetworkKind, WEIGHT, modules};
use gan_core::Layer;
use gan_core::layers::{BatchNorm, Conv, ConvTranspose, LeakyRelu, Pad, Relu, Tanh};

/// A DCGAN that was recognized.
#[derive(Clone, Debug, PartialEq)]
pub struct Dcgan {
    /// Generator or discriminator.
    pub network: NetworkKind,
    /// Size of a latent vector; `None` for a discriminator.
    pub latent: Option<usize>,
    /// Channels between its layers, in order.
    pub widths: Vec<usize>,
    /// Shape of an image `[C, H, W]`.
    pub image: [usize; 3],
    /// The layers.
    pub layers: Vec<Layer>,
}

/// A convolution with what follows it.
struct Stage {
    /// Shape of the kernel, as PyTorch has it: `[I, O, k, k]` transposed, `[O, I, k, k]` otherwise.
    kernel: [usize; 4],
    has_bias: bool,
    has_norm: bool,
}

/// Largest kernel of the first layer, and so the smallest image.
const LARGEST_BASE: usize = 16;

/// Maximum number of layers: images of up to 2048 pixels from a base of 4.
const MOST_STAGES: usize = 10;

impl Dcgan {
    /// Infers the layers of a state dict.
    ///
    /// # Errors
    /// What does not belong to this family.
    pub fn recognize(dict: &StateDict) -> Result<Self, String> {
        let stages = stages(&modules(dict))?;
        let kernels: Vec<[usize; 4]> = stages.iter().map(|stage| stage.kernel).collect();
        let inputs_first = kernels.windows(2).all(|pair| pair[0][1] == pair[1][0]);
        let outputs_first = kernels.windows(2).all(|pair| pair[0][0] == pair[1][1]);
        let [first, .., last] = &kernels[..] else { return Err("it has fewer than two convolutions".into()) };
        match (inputs_first, outputs_first) {
            (true, false) => Self::generator(&stages, *first, *last),
            // A chain of equal widths is both; a discriminator ends in one number.
            (_, true) if last[0] == 1 => Self::discriminator(&stages, *first, *last),
            (true, true) => Self::generator(&stages, *first, *last),
            _ => Err("its convolutions neither lead from vectors to images nor from images to one number".into()),
        }
    }

    fn generator(stages: &[Stage], first: [usize; 4], last: [usize; 4]) -> Result<Self, String> {
        let base = square(first)?;
        check_doubling(&stages[1..])?;
        let mut layers = vec![];
        for (i, stage) in stages.iter().enumerate() {
            let outputs = stage.kernel[1];
            let layer = ConvTranspose { bias: stage.has_bias, ..ConvTranspose::new(outputs, stage.kernel[2]) };
            layers.push(match i {
                0 => layer.into(),
                _ => ConvTranspose { stride: 2.into(), padding: Pad::All(1), ..layer }.into(),
            });
            layers.extend(stage.has_norm.then(|| Layer::from(BatchNorm::default())));
            layers.push(if i + 1 == stages.len() { Tanh.into() } else { Relu.into() });
        }
        let side = base << (stages.len() - 1);
        let widths = stages[..stages.len() - 1].iter().map(|stage| stage.kernel[1]).collect();
        let image = [last[1], side, side];
        Ok(Self { network: NetworkKind::Generator, latent: Some(first[0]), widths, image, layers })
    }

    fn discriminator(stages: &[Stage], first: [usize; 4], last: [usize; 4]) -> Result<Self, String> {
        let base = square(last)?;
        check_doubling(&stages[..stages.len() - 1])?;
        let mut layers = vec![];
        for (i, stage) in stages.iter().enumerate() {
            let layer = Conv { bias: stage.has_bias, ..Conv::new(stage.kernel[0], stage.kernel[2]) };
            if i + 1 == stages.len() {
                layers.push(layer.into());
                continue;
            }
            layers.push(Conv { stride: 2.into(), padding: Pad::All(1), ..layer }.into());
            layers.extend(stage.has_norm.then(|| Layer::from(BatchNorm::default())));
            layers.push(LeakyRelu { leaky_relu: 0.2 }.into());
        }
        let side = base << (stages.len() - 1);
        let widths = stages[..stages.len() - 1].iter().map(|stage| stage.kernel[0]).collect();
        let image = [first[1], side, side];
        Ok(Self { network: NetworkKind::Discriminator, latent: None, widths, image, layers })
    }

    /// Returns the shape of one input, without the batch.
    pub fn input(&self) -> Vec<usize> {
        match self.latent {
            Some(latent) => vec![latent, 1, 1],
            None => self.image.to_vec(),
        }
    }

    /// Formats what was recognized: `latent vectors of 100 numbers, widths 512, 256, 128, 64, images [3, 64, 64]`.
    pub fn written(&self) -> String {
        let latent = self.latent.map(|latent| format!("latent vectors of {latent} numbers, ")).unwrap_or_default();
        let widths: Vec<String> = self.widths.iter().map(ToString::to_string).collect();
        format!("{latent}widths {}, images {:?}", widths.join(", "), self.image)
    }
}

/// Returns the convolutions of a chain with the batch norms between them.
fn stages(modules: &[Module]) -> Result<Vec<Stage>, String> {
    let mut stages: Vec<Stage> = vec![];
    for module in modules {
        let weight = module
            .get(WEIGHT)
            .ok_or_else(|| format!("\"{}\" is neither a convolution nor a batch norm", module.name))?;
        if let Ok(kernel) = <[usize; 4]>::try_from(&weight.shape[..]) {
            stages.push(Stage { kernel, has_bias: module.get("bias").is_some(), has_norm: false });
            continue;
        }
        let is_norm = module.get("running_mean").is_some();
        match stages.last_mut() {
            Some(stage) if is_norm && !stage.has_norm => stage.has_norm = true,
            _ => {
                return Err(format!(
                    "\"{}\" {:?} is neither a convolution nor a batch norm after one",
                    weight.name, weight.shape
                ));
            }
        }
    }
    if stages.len() > MOST_STAGES {
        return Err(format!("it has {} convolutions, expected at most {MOST_STAGES}", stages.len()));
    }
    Ok(stages)
}

/// Returns the side of the kernel between vectors and pixels.
fn square([_, _, height, width]: [usize; 4]) -> Result<usize, String> {
    let is_base = height == width && (2..=LARGEST_BASE).contains(&height);
    if is_base {
        Ok(height)
    } else {
        Err(format!(
            "the kernel between vector and image is {height}×{width}, expected a square of 2 to {LARGEST_BASE}"
        ))
    }
}

/// Checks that all kernels are 4×4.
fn check_doubling(stages: &[Stage]) -> Result<(), String> {
    match stages.iter().find(|stage| stage.kernel[2..] != [4, 4]) {
        Some(Stage { kernel: [_, _, height, width], .. }) => {
            Err(format!("a kernel is {height}×{width}, but those that double an image are 4×4"))
        }
        None => Ok(()),
    }
}
