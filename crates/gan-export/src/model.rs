//! A trained network with its description, and the check of its graph.

use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use gan_base::{Rng, memory};
use gan_core::graph::{CLASS, Definition, Graph};
use gan_core::weights::Description;
use gan_core::{
    Discriminator, ForwardContext, Generator, Layer, LayeredDiscriminator, LayeredGenerator, RandomTensors, shape,
};
use gan_kernels::Precision;

/// A trained network with the description of its weight file.
#[derive(Clone, Debug)]
pub struct Model {
    /// The network.
    pub network: Network,
    /// Its description.
    pub description: Description,
}

/// A generator or a discriminator.
#[derive(Clone, Debug)]
pub enum Network {
    /// A generator.
    Generator(LayeredGenerator),
    /// A discriminator.
    Discriminator(LayeredDiscriminator),
}

/// Number of samples of the check.
const CHECKED: usize = 4;

/// Largest difference that the check allows, relative to the largest output, or to 1 if that is larger. Rounding alone stays well below it.
const MOST: f32 = 1e-5;

impl Model {
    /// Returns the network of layers.
    pub fn layers(&self) -> &gan_core::Network {
        match &self.network {
            Network::Generator(generator) => generator.network(),
            Network::Discriminator(discriminator) => discriminator.network(),
        }
    }

    /// Returns the number of classes, if the network's layers read each sample's class.
    pub fn classes(&self) -> Option<usize> {
        self.layers().layers().iter().find_map(Layer::classes)
    }

    /// Returns the network as a graph, with batch norm folded into the kernels before it where that is possible, after comparing what it computes
    /// for a few samples with the network's own output.
    ///
    /// # Errors
    /// If a layer has no operations for graphs, or the outputs differ.
    pub fn graph(&self) -> Result<Graph> {
        let graph = match &self.network {
            Network::Generator(generator) => Graph::of_generator(generator)?,
            Network::Discriminator(discriminator) => Graph::of_discriminator(discriminator)?,
        };
        let graph = graph.with_folded_batch_norm()?;
        let difference = self.difference(&graph)?;
        // Not a number is no agreement either.
        if difference <= MOST { Ok(graph) } else { Err(Error::Differs { difference, most: MOST }) }
    }

    /// Returns the largest difference between the outputs of the graph and those of the network for a few random samples, relative to the
    /// largest output, or to 1 if that is larger.
    ///
    /// # Errors
    /// From candle.
    pub fn difference(&self, graph: &Graph) -> Result<f32> {
        let (x, classes) = self.example_inputs(self.checked()?)?;
        let own = self.outputs(&x, classes.as_ref())?;
        let found = run(graph, &x, classes.as_ref())?;
        let mut difference = 0f32;
        for (own, found) in own.iter().zip(&found) {
            let largest = own.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?.max(1.0);
            let apart = (own - found)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
            let relative = apart / largest;
            difference = if relative.is_nan() { f32::NAN } else { difference.max(relative) };
        }
        Ok(difference)
    }

    /// Returns the number of samples of the check: fewer if memory is short.
    fn checked(&self) -> Result<usize> {
        let network = self.layers();
        let inferred = shape::infer("network", network.input(), network.layers())?;
        // The network and the graph hold the inputs and outputs of an operation, and copies of both.
        let one = (shape::largest_working_set(&inferred) as u64).saturating_mul(4 * size_of::<f32>() as u64);
        if memory::check(one.saturating_mul(CHECKED as u64)).is_ok() {
            return Ok(CHECKED);
        }
        memory::check(one).map_err(|shortage| Error::Unsupported(format!("to check the export {shortage}")))?;
        Ok(1)
    }

    /// Returns inputs for `count` samples on the CPU: latent vectors `[N, latent]` or samples `[N, …]` in [−1, 1], and classes `[N]` u32.
    ///
    /// # Errors
    /// From candle.
    pub fn example_inputs(&self, count: usize) -> Result<(Tensor, Option<Tensor>)> {
        let mut rng = Rng::stream(0, "export");
        let x = match &self.network {
            Network::Generator(_) => self.description.latent.sample(count, &mut rng, &Device::Cpu)?,
            Network::Discriminator(discriminator) => {
                let shape = [&[count], discriminator.network().input()].concat();
                rng.uniform_tensor(-1.0, 1.0, shape, &Device::Cpu)?
            }
        };
        let turn = |known: usize| Tensor::from_iter((0..count).map(|i| (i % known) as u32), &Device::Cpu);
        Ok((x, self.classes().map(turn).transpose()?))
    }

    /// Returns the network's own outputs in evaluation mode, with accurate kernels.
    ///
    /// # Errors
    /// From candle.
    pub fn outputs(&self, x: &Tensor, classes: Option<&Tensor>) -> Result<Vec<Tensor>> {
        let mut pass = ForwardContext::eval().of_classes(classes);
        Ok(match &self.network {
            Network::Generator(generator) => {
                vec![generator.clone().with_precision(Precision::F32Accurate)?.forward(x, &mut pass)?]
            }
            Network::Discriminator(discriminator) => {
                let accurate = discriminator.clone().with_precision(Precision::F32Accurate)?;
                let output = accurate.forward(x, &mut pass)?;
                [Some(output.logits), output.classes].into_iter().flatten().collect()
            }
        })
    }
}

/// Computes a graph's outputs for x, and the classes if the graph reads them.
///
/// # Errors
/// From candle.
pub fn run(graph: &Graph, x: &Tensor, classes: Option<&Tensor>) -> Result<Vec<Tensor>> {
    let inputs = graph.definitions().iter().find_map(|definition| match definition {
        Definition::Input { name, .. } => Some((name.as_str(), x)),
        _ => None,
    });
    let classes = classes.map(|classes| (CLASS, classes));
    let inputs: Vec<(&str, &Tensor)> = inputs.into_iter().chain(classes).collect();
    debug_assert!(x.dtype() == DType::F32 || x.dtype() == DType::F64);
    Ok(graph.run(&inputs)?)
}
