//! Running a network: consecutive layers fused, the others in candle operations.

use super::{Network, PlacedLayer, SpectralKernel};
use crate::forward_context::{ForwardContext, Mode, Weights};
use crate::layers::{BatchNormSettings, Dual, Layer, LayerContext, checked_classes, follow, running};
use crate::params::{Param, Role};
use crate::random::RandomTensors;
use candle_core::{Device, Result, Tensor};
use gan_base::Rng;
use gan_kernels::fused::{FusedSequential, Layout, Noise, Run, Statistics};
use gan_kernels::ops::{self, SpectralNorm};
use std::ops::Range;
use std::sync::Arc;

/// Unit of execution.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Layers as one operation over the parameters of a group.
    Fused { layers: Range<usize>, group: usize, network: Arc<FusedSequential> },
    /// A layer with lists inside, which run fused themselves.
    Branches(usize),
    /// A layer in candle operations.
    Alone(usize),
}

/// Engine for the lists inside a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine {
    /// Candle operations.
    Reference,
    /// Fused, with these layouts of the input and the output.
    Fused([Layout; 2]),
}

impl Network {
    /// Plans the steps of some layers.
    pub(super) fn steps(&self, range: Range<usize>) -> Result<Vec<Step>> {
        let mut steps = vec![];
        for (group, found) in self.groups.iter().enumerate() {
            let layers = found.layers.start.max(range.start)..found.layers.end.min(range.end);
            if layers.is_empty() {
                continue;
            }
            let first = layers.start;
            let mut fused = vec![];
            for index in layers.clone() {
                let place = |i: usize| self.params[self.placed[index].params.start + i].start();
                fused.extend(self.layers[index].fused(self.shape_before(index), &place).unwrap_or_default());
            }
            steps.push(match fused.is_empty() {
                false => {
                    let network = FusedSequential::new(self.shape_before(first), fused, self.precision, self.reuse)?;
                    Step::Fused { layers, group, network: Arc::new(network) }
                }
                true if !self.placed[first].branches.is_empty() => Step::Branches(first),
                true => Step::Alone(first),
            });
        }
        Ok(steps)
    }

    /// Runs steps over x, with these layouts of the input and the output. Between steps, images keep the layout of the last one.
    pub(super) fn run(
        &self,
        steps: &[Step],
        x: &Tensor,
        [from, to]: [Layout; 2],
        pass: &mut ForwardContext,
    ) -> Result<Tensor> {
        let mut x = x.clone();
        let mut layout = from;
        for (i, step) in steps.iter().enumerate() {
            let next = if i + 1 == steps.len() { to } else { Layout::ChannelsLast };
            let layouts = [layout, next];
            match step {
                Step::Fused { layers, group, network } => {
                    let theta = self.flat_params(*group, pass)?;
                    x = self.run_fused(layers.clone(), network, &theta, &x, layouts, pass)?;
                    layout = next;
                }
                Step::Branches(index) => {
                    x = self.layer(*index, &Dual::constant(x), Engine::Fused(layouts), false, pass)?.value;
                    layout = next;
                }
                Step::Alone(index) => {
                    let images = Dual::constant(turned(&x, layout, Layout::ChannelsFirst)?);
                    x = self.layer(*index, &images, Engine::Reference, false, pass)?.value;
                    layout = Layout::ChannelsFirst;
                }
            }
        }
        turned(&x, layout, to)
    }

    fn run_fused(
        &self,
        layers: Range<usize>,
        network: &Arc<FusedSequential>,
        theta: &Tensor,
        x: &Tensor,
        [from, to]: [Layout; 2],
        pass: &mut ForwardContext,
    ) -> Result<Tensor> {
        let norms = self.norms(layers.clone());
        let given = norms.iter().map(|(params, _)| running(params)).collect::<Result<Vec<_>>>()?;
        let (statistics, noise) = match &mut pass.mode {
            Mode::Train(rng) => (Statistics::Batch(&pass.ranks), noise(network, x.dim(0)?, rng)?),
            Mode::Eval => (Statistics::Given(&given), vec![]),
        };
        let classes = self.classes(layers, x.dim(0)?, pass.classes)?;
        let (y, found) = network.apply(x, theta, Run { statistics, noise, classes, from, to })?;
        for ((params, settings), batch) in norms.into_iter().zip(found) {
            follow(params, settings, &batch)?;
        }
        Ok(y)
    }

    /// Returns the samples' classes if some layers use them.
    pub(super) fn classes(
        &self,
        layers: Range<usize>,
        samples: usize,
        classes: Option<&Tensor>,
    ) -> Result<Option<Vec<u32>>> {
        let known = self.layers[layers].iter().find_map(Layer::classes);
        known.map(|known| checked_classes(classes, known, samples)?.to_vec1()).transpose()
    }

    /// Returns the parameters and settings of each batch norm in some layers, in the order in which they run.
    pub(super) fn norms(&self, layers: Range<usize>) -> Vec<(&[Param], BatchNormSettings)> {
        let mut found = vec![];
        for index in layers {
            let placed = &self.placed[index];
            if let Some(settings) = self.layers[index].running() {
                found.push((&self.params[placed.params.clone()], settings));
            }
            found.extend(placed.branches.iter().rev().flat_map(|branch| branch.norms(0..branch.layers.len())));
        }
        found
    }

    /// Runs some layers in candle operations.
    pub(super) fn reference(
        &self,
        range: Range<usize>,
        x: &Dual,
        detach_values: bool,
        pass: &mut ForwardContext,
    ) -> Result<Dual> {
        let mut x = x.clone();
        for index in range {
            x = self.layer(index, &x, Engine::Reference, detach_values, pass)?;
            if detach_values {
                x.value = x.value.detach();
            }
        }
        Ok(x)
    }

    /// Runs one layer in candle operations.
    fn layer(
        &self,
        index: usize,
        x: &Dual,
        engine: Engine,
        detach_values: bool,
        pass: &mut ForwardContext,
    ) -> Result<Dual> {
        self.layers[index].forward(x, &mut self.layer_context(index, engine, detach_values, pass))
    }

    /// Returns what a layer reads in a pass.
    pub(crate) fn layer_context<'a, 'p>(
        &'a self,
        index: usize,
        engine: Engine,
        detach_values: bool,
        pass: &'a mut ForwardContext<'p>,
    ) -> LayerContext<'a, 'p> {
        let PlacedLayer { params, specs, own, branches, .. } = &self.placed[index];
        let params = &self.params[params.clone()];
        let specs = &specs[specs.len() - own..];
        LayerContext { params, specs, branches, engine, detach_values, pass }
    }

    /// Returns the networks of the lists inside a layer.
    pub(crate) fn placed_branches(&self, index: usize) -> &[Network] {
        &self.placed[index].branches
    }

    /// Runs the network as a list inside a layer.
    pub(crate) fn run_branch(
        &self,
        x: &Dual,
        engine: Engine,
        detach_values: bool,
        pass: &mut ForwardContext,
    ) -> Result<Dual> {
        match engine {
            Engine::Reference => self.reference(0..self.layers.len(), x, detach_values, pass),
            Engine::Fused(layouts) => self.run(&self.whole, &x.value, layouts, pass).map(Dual::constant),
        }
    }

    /// Returns the trainable parameters of some layers, with kernels with spectral norm divided by their largest singular values.
    pub(super) fn with_spectral_norm(
        &self,
        layers: Range<usize>,
        theta: Tensor,
        pass: &ForwardContext,
    ) -> Result<Tensor> {
        let iterates = pass.weights == Weights::Trained && matches!(pass.mode, Mode::Train(_));
        let mut kernels = vec![];
        for SpectralKernel { start, sides, direction } in self.spectral_kernels(layers) {
            let norm = SpectralNorm::of(&theta.detach(), start, sides, &direction.tensor()?, iterates)?;
            if iterates {
                direction.set(&Tensor::from_slice(norm.direction(), sides[1], theta.device())?)?;
            }
            kernels.push(norm);
        }
        ops::spectrally_normalized(&theta, kernels)
    }

    /// Returns the kernels with spectral norm of some layers, which are in one group.
    pub(super) fn spectral_kernels(&self, layers: Range<usize>) -> Vec<SpectralKernel> {
        let mut kernels = vec![];
        for placed in &self.placed[layers] {
            let own = &self.params[placed.params.clone()];
            for (kernel, spec) in own.iter().zip(&placed.specs).filter(|(param, _)| param.role == Role::Weight) {
                let name = format!("{}_u", kernel.name);
                let Some(direction) = own.iter().find(|param| param.name == name) else { continue };
                let outputs = kernel.dims()[spec.output_axis];
                let before = kernel.dims()[..spec.output_axis].iter().product();
                let sides = [before, outputs, kernel.elem_count() / (before * outputs)];
                kernels.push(SpectralKernel { start: kernel.start(), sides, direction: direction.clone() });
            }
        }
        kernels
    }
}

/// Converts images to another layout; vectors have only one.
fn turned(x: &Tensor, from: Layout, to: Layout) -> Result<Tensor> {
    match (from, to) {
        _ if x.rank() != 4 || from == to => Ok(x.clone()),
        (Layout::ChannelsLast, _) => x.permute((0, 3, 1, 2))?.contiguous(),
        _ => x.permute((0, 2, 3, 1))?.contiguous(),
    }
}

/// Returns random numbers for a network's dropout layers.
pub(super) fn noise(network: &FusedSequential, n: usize, rng: &mut Rng) -> Result<Noise> {
    let draw = |shape: [usize; 4]| rng.uniform_tensor(0.0, 1.0, shape.to_vec(), &Device::Cpu);
    network.noise_shapes(n).into_iter().map(draw).collect()
}
