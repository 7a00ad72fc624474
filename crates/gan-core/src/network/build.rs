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
        let mut network = self.filled("main", input, layers, inferred)?;
        network.set_precision(Precision::F32)?;
        Ok(network)
    }

    /// Returns the network with parameters, whose names begin with `name`, before fusion.
    fn filled(&mut self, name: &str, input: &[usize], layers: &[Layer], inferred: Vec<Inferred>) -> Result<Network> {
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
        let groups = groups(layers, &inferred);
        let mut inferred = inferred.into_iter();
        for range in groups {
            let mut own = vec![];
            for (index, found) in range.clone().zip(&mut inferred) {
                let prefix = format!("{name}.{index}.");
                let mut branches = vec![];
                for ((part, list), inside) in layers[index].branches().into_iter().zip(found.branches) {
                    branches.push(self.filled(&format!("{prefix}{part}"), &found.input, list, inside)?);
                }
                let start = network.params.len() + own.len();
                network.params.extend(branches.iter().flat_map(|branch: &Network| branch.params.clone()));
                own.extend(self.init_params(&prefix, &found.params)?);
                let end = network.params.len() + own.len();
                let params = start..end;
                network.placed.push(PlacedLayer { output: found.output, params, specs: found.params, branches });
            }
            let flat_params = network.pack_params(own, self.device)?;
            network.groups.push(FusedGroup { layers: range, flat_params });
        }
        Ok(network)
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

/// Groups consecutive layers that have a fused form; each other layer is a group of its own.
fn groups(layers: &[Layer], inferred: &[Inferred]) -> Vec<Range<usize>> {
    let fuses = |index: usize| layers[index].fused(&inferred[index].input, &|_| 0).is_some();
    let mut found = Vec::<Range<usize>>::new();
    for index in 0..layers.len() {
        match found.last_mut() {
            Some(last) if fuses(index) && fuses(last.start) => last.end = index + 1,
            _ => found.push(index..index + 1),
        }
    }
    found
}

/// Returns the index of the last layer with a kernel called `weight`.
fn head(inferred: &[Inferred]) -> usize {
    let is_kernel = |param: &ParamSpec| param.role == Role::Weight && param.name == "weight";
    inferred.iter().rposition(|found| found.params.iter().any(is_kernel)).unwrap_or(0)
}
