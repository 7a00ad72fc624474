//! Weights of a file in the layers of a list, as a weight file of gan.

use crate::contents::StateDict;
use crate::error::{Error, Result};
use crate::file::{FileKind, ForeignFile};
use crate::matching::{Expected, How, Match, Matching, expected, matching};
use crate::modules::{NetworkKind, SpectralVectors};
use crate::table::{Row, table};
use crate::tensor::ForeignTensor;
use candle_core::{DType, Device, Tensor, Var};
use gan_base::messages::counted;
use gan_core::layers::{Flatten, Reshape, Sigmoid, Tanh};
use gan_core::weights::{self, DataDescription, Description, FORMAT};
use gan_core::{Latent, Layer, LayeredDiscriminator, Param, Role};

/// Value of [`Description::preset`] and of the data set's name in imported files.
pub const IMPORTED: &str = "imported";

/// What to import.
#[derive(Clone, Debug)]
pub struct Import {
    /// The network.
    pub network: NetworkKind,
    /// Shape of one input, without the batch.
    pub input: Vec<usize>,
    /// Its layers.
    pub layers: Vec<Layer>,
    /// Latent space of the generator.
    pub latent: Latent,
    /// Whether the file may hold tensors that no layer takes.
    pub allows_unused: bool,
}

/// A network in gan's form.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Bytes of the weight file.
    pub bytes: Vec<u8>,
    /// Its description.
    pub description: Description,
    /// Each parameter and the tensor that it was read from, as a table.
    pub table: String,
    /// How the tensors were found and changed, in full sentences.
    pub notes: Vec<String>,
}

impl<'a> ForeignFile<'a> {
    /// Returns the state dict of a network: the one called `key`, the only one, or the only one whose key names the network.
    ///
    /// # Errors
    /// If there is no such state dict, or several, with all keys.
    pub fn state_dict(&self, network: NetworkKind, key: Option<&str>) -> Result<StateDict<'a>> {
        let all: Vec<StateDict<'a>> = self.state_dicts.iter().flat_map(split).collect();
        let keys = || {
            let key = |dict: &StateDict| {
                let key = if dict.key.is_empty() { "(the file)" } else { &dict.key };
                format!("{key} ({})", counted(dict.tensors.len(), "tensor"))
            };
            all.iter().map(key).collect::<Vec<_>>().join(", ")
        };
        if let Some(key) = key {
            let found = self.state_dicts.iter().chain(&all).find(|dict| dict.key == key).cloned();
            return found.ok_or_else(|| Error::Choice(format!("holds no state dict \"{key}\"; it holds {}", keys())));
        }
        if let [only] = &all[..] {
            return Ok(only.clone());
        }
        let mut named = all.iter().filter(|dict| NetworkKind::of_key(&dict.key) == Some(network));
        match (named.next(), named.next()) {
            (Some(only), None) => Ok(only.clone()),
            (None, _) => Err(Error::Choice(format!(
                "holds several state dicts, and no key names a {}: choose one of them with --key: {}",
                network.name(),
                keys()
            ))),
            _ => Err(Error::Choice(format!(
                "holds several state dicts of a {}: choose one with --key: {}",
                network.name(),
                keys()
            ))),
        }
    }
}

/// Returns the networks in a state dict as state dicts, if its names begin with those of several: `generator.main.0.weight`,
/// `discriminator.main.0.weight`.
fn split<'a>(dict: &StateDict<'a>) -> Vec<StateDict<'a>> {
    let first = |tensor: &ForeignTensor| tensor.name.split_once('.').map(|(first, _)| first.to_string());
    let mut names: Vec<String> = vec![];
    for tensor in &dict.tensors {
        let Some(name) = first(tensor) else { return vec![dict.clone()] };
        if !names.contains(&name) {
            names.push(name);
        }
        // A network has many modules at its top; a file of networks has few.
        if names.len() > 8 {
            return vec![dict.clone()];
        }
    }
    let has = |network| names.iter().any(|name| NetworkKind::of_key(name) == Some(network));
    if !has(NetworkKind::Generator) || !has(NetworkKind::Discriminator) {
        return vec![dict.clone()];
    }
    let part = |name: &String| {
        let own = dict.tensors.iter().filter(|tensor| first(tensor).as_ref() == Some(name));
        let tensors = own.map(|tensor| tensor.renamed(&tensor.name[name.len() + 1..]));
        let key = if dict.key.is_empty() { name.clone() } else { format!("{}.{name}", dict.key) };
        StateDict { key, class: None, tensors: tensors.collect() }
    };
    names.iter().map(part).collect()
}

/// Imports a network from a state dict of `file`.
///
/// # Errors
/// If the layers do not fit together, a parameter has no tensor or one of another shape, a tensor is left over, or a value is not finite.
pub fn import(file: &ForeignFile, dict: &StateDict, import: Import) -> Result<Imported> {
    let Import { network, input, mut layers, latent, allows_unused } = import;
    let all = expected(network.name(), &input, &layers)?;
    let is_sorted = file.kind == FileKind::Safetensors;
    let Matching { matches, how, is_ambiguous, unused } = matching(dict, all, is_sorted, allows_unused)?;
    let mut notes = vec![matched(how, &matches)];
    if is_ambiguous {
        notes.push("Several modules of the file have the same shapes, and nothing but their order tells which is which: check the samples.".into());
    }
    if !unused.is_empty() {
        notes.push(format!("Not used: {}.", unused.join(", ")));
    }
    let divided = matches.iter().filter(|found| found.divided.is_some()).count();
    if divided > 0 {
        let kernels = counted(divided, "kernel");
        notes.push(format!("{kernels} with spectral norm divided by the largest singular value; with spectral_norm = true in the layers, it is kept."));
    }
    let halved = end(network, &mut layers, &matches, &mut notes);
    let mut params = vec![];
    for found in &matches {
        let mut values = values(found)?;
        if halved.contains(&found.expected.name) {
            values = (values * 0.5)?;
        }
        params.push(Param::whole(&found.expected.name, Var::from_tensor(&values)?, found.expected.role));
    }
    let output = match gan_core::shape::infer(network.name(), &input, &layers)?.pop() {
        Some(last) => last.output,
        None => input.clone(),
    };
    let description = Description {
        format: FORMAT,
        network: network.name().into(),
        data: DataDescription {
            name: IMPORTED.into(),
            shape: if network == NetworkKind::Generator { output } else { input.clone() },
            range: [-1.0, 1.0],
            classes: vec![],
            units: vec![],
        },
        input,
        layers,
        custom: false,
        latent,
        preset: IMPORTED.into(),
        step: 0,
        seed: 0,
        library: env!("CARGO_PKG_VERSION").into(),
    };
    let bytes = weights::to_bytes(&params, &description)?;
    // Whatever other commands refuse is refused here, before a file is written.
    match network {
        NetworkKind::Generator => drop(weights::generator_from_bytes(&bytes, &Device::Cpu)?),
        NetworkKind::Discriminator => drop(weights::discriminator_from_bytes(&bytes, &Device::Cpu)?),
    }
    let rows: Vec<Row> = matches.iter().map(Row::matched).collect();
    Ok(Imported { bytes, description, table: table(&rows), notes })
}

/// Describes how the tensors were found.
fn matched(how: How, matches: &[Match]) -> String {
    let count = counted(matches.len(), "tensor");
    match how {
        How::Names => format!("Matched {count} by name."),
        How::Order => format!("Matched {count} by order and shape."),
        How::Shapes => format!("Matched {count} by shape; their order in the file differs from that of the layers."),
    }
}

/// Replaces a sigmoid at the end of a list, because images of gan are in [−1, 1] and its discriminators end in logits. Returns the names of the
/// parameters to halve.
fn end(network: NetworkKind, layers: &mut Vec<Layer>, matches: &[Match], notes: &mut Vec<String>) -> Vec<String> {
    if network == NetworkKind::Discriminator {
        if LayeredDiscriminator::ends_in_sigmoid(layers) {
            let last = layers.iter().rposition(|layer| layer.downcast::<Sigmoid>().is_some());
            last.map(|last| layers.remove(last));
            notes.push("The sigmoid at the end is left out, because discriminators of gan end in logits.".into());
        }
        return vec![];
    }
    let is_shape = |layer: &Layer| layer.downcast::<Reshape>().is_some() || layer.downcast::<Flatten>().is_some();
    let Some(last) = layers.iter().rposition(|layer| !is_shape(layer)) else { return vec![] };
    if layers[last].downcast::<Sigmoid>().is_none() {
        return vec![];
    }
    let before = layers[..last].iter().rposition(|layer| !is_shape(layer));
    let own: Vec<&Expected> = before.map_or(vec![], |before| {
        let found = matches.iter().map(|found| &found.expected);
        found.filter(|param| param.number == before + 1).collect()
    });
    let is_linear = own.iter().any(|param| param.role == Role::Weight)
        && own.iter().all(|param| matches!(param.role, Role::Weight | Role::Bias));
    if !is_linear {
        notes.push("The samples are in [0, 1] because of the sigmoid at the end, but gan takes samples for numbers in [−1, 1].".into());
        return vec![];
    }
    layers[last] = Tanh.into();
    notes.push("The sigmoid at the end is written as tanh with its input halved, 2σ(x) − 1 = tanh(x/2), because images of gan are in [−1, 1].".into());
    own.iter().map(|param| param.name.clone()).collect()
}

/// Returns the values of a parameter, in its shape, as f32.
fn values(found: &Match) -> Result<Tensor> {
    let tensor = found.tensor.to_tensor()?.to_dtype(DType::F32)?.reshape(&found.expected.shape[..])?;
    gan_core::check_finite(&tensor, |_| format!("the tensor \"{}\"", found.tensor.name))?;
    match found.divided {
        Some(vectors) => divided(&tensor, vectors, found.expected.output_axis),
        None => Ok(tensor),
    }
}

/// Divides a kernel by uᵀ·W·v, as PyTorch does in evaluation, with the kernel as a matrix W of one row for each output. v is computed from u if the file
/// has none.
fn divided(kernel: &Tensor, vectors: SpectralVectors, axis: usize) -> Result<Tensor> {
    let matrix = if axis == 0 { kernel.clone() } else { kernel.transpose(0, axis)?.contiguous()? };
    let matrix = matrix.flatten_from(1)?.to_dtype(DType::F64)?;
    let (rows, columns) = matrix.dims2()?;
    let vector = |tensor: &ForeignTensor, length: usize| -> Result<Tensor> {
        if tensor.elem_count() != length {
            let problem =
                format!("\"{}\" is {:?}, expected {length} numbers for spectral norm", tensor.name, tensor.shape);
            return Err(Error::Mismatch(problem));
        }
        Ok(tensor.to_tensor()?.to_dtype(DType::F64)?.reshape((length, 1))?)
    };
    let Some(u) = vectors.u else {
        return Err(Error::Mismatch("a kernel has spectral norm, but the file lacks its vector weight_u".into()));
    };
    let u = vector(u, rows)?;
    let v = match vectors.v {
        Some(v) => vector(v, columns)?,
        None => {
            let v = matrix.t()?.contiguous()?.matmul(&u)?;
            v.broadcast_div(&(v.sqr()?.sum_all()?.sqrt()? + 1e-12)?)?
        }
    };
    let sigma = u.t()?.contiguous()?.matmul(&matrix.matmul(&v)?)?.sum_all()?.to_scalar::<f64>()?;
    if sigma == 0.0 || !sigma.is_finite() {
        return Err(Error::Mismatch(format!(
            "the largest singular value of a kernel is {sigma}, expected a positive number"
        )));
    }
    Ok((kernel.to_dtype(DType::F64)? / sigma)?.to_dtype(DType::F32)?)
}
