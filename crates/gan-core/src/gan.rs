//! Generators and discriminators: their traits, and implementations from layer lists.
//!
//! Networks written in plain candle implement these traits and train with everything else.

use crate::error::{Error, Result};
use crate::forward_context::ForwardContext;
use crate::init::Init;
use crate::layers::{Auxiliary, Flatten, Layer, Reshape, Sigmoid};
use crate::network::Network;
use crate::noise::Latent;
use crate::params::Param;
use crate::shape;
use candle_core::{Device, Tensor};
use gan_base::messages::counted;
use gan_base::{Rng, memory};
use gan_kernels::Precision;
use gan_kernels::fused::{Linearized, Reuse};

/// Output of a discriminator for a batch.
#[derive(Clone, Debug)]
pub struct DiscriminatorOutput {
    /// `[N]`, the log-odds that each sample is real. Every loss works on these.
    pub logits: Tensor,
    /// `[N, …]`, the input of the last layer with weights, if the pass requests it or if it costs nothing.
    pub features: Option<Tensor>,
    /// `[N, classes]`, the logits of an auxiliary classifier, if D has one.
    pub classes: Option<Tensor>,
}

impl DiscriminatorOutput {
    /// Returns an output of logits `[N]` only.
    pub fn of(logits: Tensor) -> Self {
        Self { logits, features: None, classes: None }
    }
}

/// Network from noise to samples.
pub trait Generator: Send + Sync {
    /// Generates samples: z `[N, latent]` -> `[N, C, H, W]` (or `[N, D]`) in the data's range, of the pass' classes if it is conditional.
    ///
    /// # Errors
    /// If z has another width than the latent space, or the pass lacks classes that are needed.
    fn forward(&self, z: &Tensor, pass: &mut ForwardContext) -> candle_core::Result<Tensor>;

    /// Returns every parameter and running average, under stable names.
    fn params(&self) -> Vec<Param>;

    /// Returns the number of classes; `None` if the generator is not conditional.
    fn classes(&self) -> Option<usize> {
        None
    }

    /// Returns the shape of one input and the layer list, which a weight file needs; `None` for a generator that has no layer list.
    fn architecture(&self) -> Option<(&[usize], &[Layer])> {
        None
    }

    /// Returns the network that it consists of, if it is made of a layer list, for devices that run whole passes.
    fn layered(&self) -> Option<&Network> {
        None
    }
}

/// Returns uniformly random classes `[n]` u32, for a conditional generator.
pub fn draw_classes(
    generator: &dyn Generator,
    n: usize,
    rng: &mut Rng,
    device: &Device,
) -> candle_core::Result<Option<Tensor>> {
    let draw = |known: usize| Tensor::from_iter((0..n).map(|_| rng.below(known) as u32), device);
    generator.classes().map(draw).transpose()
}

/// Returns classes `[n]` u32 in turn, 0, 1, …, for a conditional generator.
pub fn classes_in_turn(generator: &dyn Generator, n: usize, device: &Device) -> candle_core::Result<Option<Tensor>> {
    let turn = |known: usize| Tensor::from_iter((0..n).map(|i| (i % known) as u32), device);
    generator.classes().map(turn).transpose()
}

/// Number of samples that [`samples`] generates at once, if memory allows.
const AT_ONCE: usize = 256;

/// Maximum number of values of one layer for all samples generated at once: 2 GiB, on every machine, so that all make the same samples.
const NUMBERS_AT_ONCE: usize = 1 << 29;

/// Returns how many samples [`samples`] generates at once: fewer of large ones, to bound memory.
///
/// # Errors
/// If not even one sample fits into memory.
pub fn samples_at_once(generator: &dyn Generator) -> candle_core::Result<usize> {
    let Some((input, layers)) = generator.architecture() else { return Ok(AT_ONCE) };
    let inferred = shape::infer("generator", input, layers).map_err(candle_core::Error::wrap)?;
    let one = shape::largest_working_set(&inferred);
    let on_cpu = generator.params().first().is_none_or(|param| param.var().device().is_cpu());
    if let (true, Err(shortage)) = (on_cpu, memory::check((one as u64).saturating_mul(4))) {
        candle_core::bail!(
            "for a single sample of this generator {shortage}: use a smaller generator or a larger machine"
        );
    }
    Ok((NUMBERS_AT_ONCE / one.max(1)).clamp(1, AT_ONCE))
}

/// Generates samples in evaluation mode, in parts and without a graph: z `[N, latent]` and, for a conditional generator, each sample's
/// class `[N]` u32 -> `[N, C, H, W]`.
///
/// # Errors
/// If z has another width than the latent space, N is 0, classes are needed and not given, or a sample does not fit into memory.
pub fn samples(generator: &dyn Generator, z: &Tensor, classes: Option<&Tensor>) -> candle_core::Result<Tensor> {
    let count = z.dim(0)?;
    let at_once = samples_at_once(generator)?;
    let part = |from: usize| {
        let n = at_once.min(count - from);
        let z = z.narrow(0, from, n)?;
        let classes = classes.map(|classes| classes.narrow(0, from, n)).transpose()?;
        Ok(generator.forward(&z, &mut ForwardContext::eval().of_classes(classes.as_ref()))?.detach())
    };
    let parts = (0..count).step_by(at_once).map(part).collect::<candle_core::Result<Vec<_>>>()?;
    Tensor::cat(&parts, 0)
}

/// Network from samples to logits.
pub trait Discriminator: Send + Sync {
    /// Returns the output for each sample: x `[N, C, H, W]` (or `[N, D]`).
    ///
    /// # Errors
    /// If x has another shape than the network expects.
    fn forward(&self, x: &Tensor, pass: &mut ForwardContext) -> candle_core::Result<DiscriminatorOutput>;

    /// Returns how each logit changes in a direction t at x, both `[N, C, H, W]` (or `[N, D]`) -> `[N]`, with gradients for the weights:
    /// what penalties on D's gradient are made of. Networks from layer lists and [`crate::discriminator_fn`] have it.
    ///
    /// # Errors
    /// If the network does not offer it, or x or t has another shape than it is for.
    fn jvp(&self, _x: &Tensor, _t: &Tensor, _pass: &mut ForwardContext) -> candle_core::Result<Tensor> {
        candle_core::bail!(
            "this discriminator has no derivative in a direction, which penalties on its gradient need: write it with \
             gan_core::discriminator_fn, implement Discriminator::jvp, or train without `penalties`"
        )
    }

    /// Runs D at x `[N, C, H, W]` (or `[N, D]`) as [`Discriminator::forward`], so that its logits, their gradient by x, and derivatives in
    /// directions share one pass, which a loss and penalties on the gradient can both use. `None` if D has no such pass, as here: penalties
    /// then run passes of their own.
    ///
    /// # Errors
    /// If x has another shape than the network expects.
    fn linearize(&self, _x: &Tensor, _pass: &mut ForwardContext) -> candle_core::Result<Option<Linearized>> {
        Ok(None)
    }

    /// Returns the number of classes; `None` if the discriminator is not conditional.
    fn classes(&self) -> Option<usize> {
        None
    }

    /// Returns every parameter and running average, under stable names.
    fn params(&self) -> Vec<Param>;

    /// Returns the network that it consists of, if it is made of a layer list, for devices that run whole passes.
    fn layered(&self) -> Option<&Network> {
        None
    }
}

/// A generator made from a layer list.
#[derive(Clone, Debug)]
pub struct LayeredGenerator {
    pub(crate) network: Network,
}

impl LayeredGenerator {
    /// Builds a generator for `latent`, whose width must equal the number of values of `input`.
    ///
    /// # Errors
    /// If the layers do not fit together, or the input does not fit the latent vectors.
    pub fn new(
        latent: &Latent,
        input: &[usize],
        layers: &[Layer],
        init: Init,
        rng: &mut Rng,
        device: &Device,
    ) -> Result<Self> {
        takes_latents(input, latent)?;
        Ok(Self { network: Network::new("generator", input, layers, init, Reuse::Never, rng, device)? })
    }

    /// Returns the same generator (the same variables) with another number format of its products.
    pub fn with_precision(self, precision: Precision) -> Result<Self> {
        Ok(Self { network: self.network.with_precision(precision)? })
    }

    /// Returns the network.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

/// Returns the error of a network that cannot be a discriminator.
fn unfit(problem: String) -> Error {
    Error::Network { network: "discriminator".into(), problem }
}

/// Checks that a generator's `input` has as many values as latent vectors.
pub(crate) fn takes_latents(input: &[usize], latent: &Latent) -> Result<()> {
    if shape::product(input) == Some(latent.dim) {
        return Ok(());
    }
    let numbers = counted(latent.dim, "number");
    let problem = format!("input {input:?} does not take latent vectors of {numbers} (latent.dim)");
    Err(Error::Network { network: "generator".into(), problem })
}

impl Generator for LayeredGenerator {
    fn forward(&self, z: &Tensor, pass: &mut ForwardContext) -> candle_core::Result<Tensor> {
        let shape = [&[z.dim(0)?], self.network.input()].concat();
        self.network.forward(&z.reshape(shape)?, pass)
    }

    fn params(&self) -> Vec<Param> {
        self.network.params().to_vec()
    }

    fn classes(&self) -> Option<usize> {
        self.network.layers().iter().find_map(Layer::classes)
    }

    fn architecture(&self) -> Option<(&[usize], &[Layer])> {
        Some((self.network.input(), self.network.layers()))
    }

    fn layered(&self) -> Option<&Network> {
        Some(&self.network)
    }
}

/// Discriminator built from a layer list that ends in one number per sample.
#[derive(Clone, Debug)]
pub struct LayeredDiscriminator {
    network: Network,
}

impl LayeredDiscriminator {
    /// Returns whether the last layer that computes anything is a sigmoid, so that the list outputs probabilities instead of logits.
    pub fn ends_in_sigmoid(layers: &[Layer]) -> bool {
        let computes = |layer: &&Layer| layer.downcast::<Flatten>().is_none() && layer.downcast::<Reshape>().is_none();
        layers.iter().rfind(computes).is_some_and(|last| last.downcast::<Sigmoid>().is_some())
    }

    /// Returns the number of classes of a list's last layer beside the logit, if it is an auxiliary classifier.
    pub fn auxiliary_classes(layers: &[Layer]) -> Option<usize> {
        layers.last()?.downcast::<Auxiliary>().map(|layer| layer.auxiliary)
    }

    /// Builds a discriminator for samples of shape `input`.
    ///
    /// # Errors
    /// If the layers do not fit together, or do not end in one number per sample without a sigmoid.
    pub fn new(input: &[usize], layers: &[Layer], init: Init, rng: &mut Rng, device: &Device) -> Result<Self> {
        Self::check_end(layers)?;
        Self::of_network(Network::new("discriminator", input, layers, init, Reuse::UntilChanged, rng, device)?)
    }

    /// Fails if the layers end in a sigmoid.
    fn check_end(layers: &[Layer]) -> Result<()> {
        if Self::ends_in_sigmoid(layers) {
            return Err(unfit("ends in \"sigmoid\", but losses work on logits: remove that layer".into()));
        }
        Ok(())
    }

    /// Returns the discriminator that consists of a network.
    ///
    /// # Errors
    /// If the network does not end in one number per sample without a sigmoid.
    pub(crate) fn of_network(network: Network) -> Result<Self> {
        let layers = network.layers();
        Self::check_end(layers)?;
        let wanted = 1 + Self::auxiliary_classes(layers).unwrap_or(0);
        match network.output().iter().product::<usize>() {
            made if made == wanted => Ok(Self { network }),
            _ => {
                let made = network.output();
                Err(unfit(format!("the last layer makes {made:?}, needs one number a sample (the logit)")))
            }
        }
    }

    /// Returns the same discriminator (the same variables) with another number format of its products.
    pub fn with_precision(self, precision: Precision) -> Result<Self> {
        Ok(Self { network: self.network.with_precision(precision)? })
    }

    /// Returns the network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Splits the network's output into logits `[N]` and an auxiliary classifier's logits `[N, classes]`.
    fn apart(&self, y: Tensor) -> candle_core::Result<(Tensor, Option<Tensor>)> {
        match Self::auxiliary_classes(self.network.layers()) {
            Some(classes) => Ok((y.narrow(1, 0, 1)?.flatten_all()?, Some(y.narrow(1, 1, classes)?.contiguous()?))),
            None => Ok((y.flatten_all()?, None)),
        }
    }
}

impl Discriminator for LayeredDiscriminator {
    fn forward(&self, x: &Tensor, pass: &mut ForwardContext) -> candle_core::Result<DiscriminatorOutput> {
        let (y, features) = match pass.features {
            true => self.network.forward_with_features(x, pass).map(|(y, features)| (y, Some(features)))?,
            false => (self.network.forward(x, pass)?, None),
        };
        let (logits, classes) = self.apart(y)?;
        Ok(DiscriminatorOutput { logits, features, classes })
    }

    fn jvp(&self, x: &Tensor, t: &Tensor, pass: &mut ForwardContext) -> candle_core::Result<Tensor> {
        Ok(self.apart(self.network.jvp(x, t, pass)?)?.0)
    }

    fn linearize(&self, x: &Tensor, pass: &mut ForwardContext) -> candle_core::Result<Option<Linearized>> {
        self.network.linearize(x, pass)
    }

    fn classes(&self) -> Option<usize> {
        self.network.layers().iter().find_map(Layer::classes)
    }

    fn params(&self) -> Vec<Param> {
        self.network.params().to_vec()
    }

    fn layered(&self) -> Option<&Network> {
        Some(&self.network)
    }
}
