//! Allocation and initialization of a network.

use super::{FusedGroup, Network, PlacedLayer};
use crate::error::{Error, Result};
use crate::init::Init;
use crate::layers::{Inferred, Layer, ParamSpec};
use crate::params::{Param, Role};
use crate::shape;
use candle_core::{DType, Device, Tensor, Var};
use gan_base::{Rng, memory};
use gan_kernels::Precision;
use gan_kernels::fused::Reuse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// A parameter with its initial values.
struct InitialParam {
    name: String,
    role: Role,
    start: Tensor,
}

impl Network {
    /// Allocates and initializes the network called `name` (for messages) for inputs `[N, input…]`.
    ///
    /// # Errors
    /// If the layers do not fit together.
    pub fn new(
        name: &str,
        input: &[usize],
        layers: &[Layer],
        init: Init,
        reuse: Reuse,
        rng: &mut Rng,
        device: &Device,
    ) -> Result<Self> {
        Builder { rule: Some((init, rng)), reuse, device }.network(name, input, layers)
    }

    /// Returns the network called `name` (for messages) with the values of `tensors`, by the names of [`Network::params`].
    ///
    /// # Errors
    /// If the layers do not fit together, or a tensor is missing, left over or has another shape.
    pub(crate) fn from_tensors(
        name: &str,
        input: &[usize],
        layers: &[Layer],
        tensors: &BTreeMap<String, Tensor>,
        reuse: Reuse,
        device: &Device,
    ) -> Result<Self> {
        let network = Builder { rule: None, reuse, device }.network(name, input, layers)?;
        Param::load(&network.params, tensors, Path::new(name))?;
        Ok(network)
    }

    /// Allocates the parameters, which are those of every layer in turn, with a variable for each group.
    fn allocate(&mut self, initial: Vec<InitialParam>, device: &Device) -> candle_core::Result<()> {
        let mut initial = initial.into_iter();
        for layers in self.fusible_layers() {
            let is_fused = self.is_fusible(layers.start);
            if !is_fused {
                for branch in &mut self.placed[layers.start].branches {
                    branch.allocate(initial.by_ref().take(branch.param_count()).collect(), device)?;
                    self.params.extend(branch.params.clone());
                }
            }
            let end = self.placed[layers.end - 1].params.end;
            let own = initial.by_ref().take(end - self.params.len()).collect();
            let flat_params = self.pack_params(own, device)?;
            if is_fused {
                for placed in &mut self.placed[layers.clone()] {
                    placed.share(&self.params[placed.params.clone()]);
                }
            }
            self.groups.push(FusedGroup { layers, flat_params });
        }
        Ok(())
    }

    /// Packs the trainable parameters of `own` into one variable, and adds all to the parameters.
    fn pack_params(&mut self, own: Vec<InitialParam>, device: &Device) -> candle_core::Result<Var> {
        let trained = own.iter().filter(|param| param.role.is_trained()).map(|param| param.start.flatten_all());
        let trained = trained.collect::<candle_core::Result<Vec<Tensor>>>()?;
        let flat = match trained.is_empty() {
            // Candle has no empty variables.
            true => Var::zeros(1, DType::F32, device)?,
            false => Var::from_tensor(&Tensor::cat(&trained, 0)?)?,
        };
        let mut at = 0;
        for InitialParam { name, role, start } in own {
            if role.is_trained() {
                self.params.push(Param::window(name, &flat, at, start.dims(), role));
                at += start.elem_count();
            } else {
                self.params.push(Param::whole(name, Var::from_tensor(&start)?, role));
            }
        }
        Ok(flat)
    }

    /// Returns consecutive layers that have a fused form, together; each other layer alone.
    fn fusible_layers(&self) -> Vec<Range<usize>> {
        let mut found = Vec::<Range<usize>>::new();
        for index in 0..self.layers.len() {
            match found.last_mut() {
                Some(last) if self.is_fusible(index) && self.is_fusible(last.start) => last.end = index + 1,
                _ => found.push(index..index + 1),
            }
        }
        found
    }

    pub(super) fn is_fusible(&self, index: usize) -> bool {
        self.layers[index].fused(self.shape_before(index), &|_| 0).is_some()
    }

    /// Returns the number of parameters and running averages.
    fn param_count(&self) -> usize {
        self.placed.last().map_or(0, |last| last.params.end)
    }

    pub(super) fn set_precision(&mut self, precision: Precision) -> candle_core::Result<()> {
        self.precision = precision;
        let branches = self.placed.iter_mut().flat_map(|placed| &mut placed.branches);
        branches.into_iter().try_for_each(|branch| branch.set_precision(precision))?;
        self.plan()
    }

    /// Plans the steps of all layers.
    pub(super) fn plan(&mut self) -> candle_core::Result<()> {
        let end = self.layers.len();
        self.whole = self.steps(0..end)?;
        self.halves = [self.steps(0..self.head)?, self.steps(self.head..end)?];
        Ok(())
    }
}

/// What the networks of a list and of the lists inside it have in common.
struct Builder<'a> {
    /// Initial values; without, all are zeros.
    rule: Option<(Init, &'a mut Rng)>,
    reuse: Reuse,
    device: &'a Device,
}

impl Builder<'_> {
    fn network(mut self, name: &str, input: &[usize], layers: &[Layer]) -> Result<Network> {
        let inferred = shape::infer(name, input, layers)?;
        let numbers = shape::parameter_count(&inferred) as u64;
        if let (true, Err(shortage)) = (self.device.is_cpu(), memory::check(numbers * 4)) {
            let problem = format!("for its {numbers} parameters {shortage}: use fewer or narrower layers");
            return Err(Error::Network { network: name.into(), problem });
        }
        let (mut network, initial) = self.filled("main", input, layers, inferred)?;
        network.allocate(initial, self.device)?;
        network.set_precision(Precision::F32)?;
        Ok(network)
    }

    /// Returns the network before allocation, and the initial values of its parameters, whose names begin with `name`.
    fn filled(
        &mut self,
        name: &str,
        input: &[usize],
        layers: &[Layer],
        inferred: Vec<Inferred>,
    ) -> Result<(Network, Vec<InitialParam>)> {
        let mut initial = vec![];
        let mut network = Network {
            layers: layers.to_vec(),
            input: input.to_vec(),
            placed: vec![],
            params: vec![],
            groups: vec![],
            head: head(&inferred),
            precision: Precision::F32,
            reuse: self.reuse,
            whole: vec![],
            halves: [vec![], vec![]],
        };
        for (index, found) in inferred.into_iter().enumerate() {
            let prefix = format!("{name}.{index}.");
            let start = initial.len();
            let specs = found.all_params();
            let mut branches = vec![];
            for ((part, list), inside) in layers[index].branches().into_iter().zip(found.branches) {
                let (branch, values) = self.filled(&format!("{prefix}{part}"), &found.input, list, inside)?;
                branches.push(branch);
                initial.extend(values);
            }
            initial.extend(self.init_params(&prefix, &found.params)?);
            let params = start..initial.len();
            let own = found.params.len();
            network.placed.push(PlacedLayer { output: found.output, params, specs, own, branches });
        }
        Ok((network, initial))
    }

    /// Returns the initial values of a layer's own parameters, whose names begin with `prefix`.
    fn init_params(&mut self, prefix: &str, params: &[ParamSpec]) -> candle_core::Result<Vec<InitialParam>> {
        let first = params.first().map(|param| &param.shape[..]).unwrap_or_default();
        let one = |ParamSpec { name, shape, role, gain, .. }: &ParamSpec| {
            let start = match &mut self.rule {
                Some((init, rng)) => {
                    let kernel = if *role == Role::Weight { shape } else { first };
                    init.tensor(*role, shape, kernel, rng, self.device)?
                }
                None => Tensor::zeros(&shape[..], DType::F32, self.device)?,
            };
            let start = if let Some(gain) = gain { (start * *gain)? } else { start };
            Ok(InitialParam { name: format!("{prefix}{name}"), role: *role, start })
        };
        params.iter().map(one).collect()
    }
}

impl PlacedLayer {
    /// Gives the networks inside a fused layer their parts of its parameters.
    fn share(&mut self, mut params: &[Param]) {
        for branch in &mut self.branches {
            let (own, others) = params.split_at(branch.param_count());
            branch.params = own.to_vec();
            for placed in &mut branch.placed {
                placed.share(&own[placed.params.clone()]);
            }
            params = others;
        }
    }
}

/// Returns the index of the last layer with a kernel called `weight`.
fn head(inferred: &[Inferred]) -> usize {
    let is_kernel = |param: &ParamSpec| param.role == Role::Weight && param.name == "weight";
    inferred.iter().rposition(|found| found.params.iter().any(is_kernel)).unwrap_or(0)
}
