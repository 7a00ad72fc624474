//! Which tensor of a state dict is which parameter of a layer list.
//!
//! Modules of the file are compared with layers as wholes: both must have the same kinds of tensors (`weight`, `bias`, `running_mean`, …) with the
//! same shapes. Modules with the names of the layers come first; otherwise the order decides, and if the order differs, modules whose shapes
//! agree are matched in order among themselves.

use crate::contents::StateDict;
use crate::error::{Error, Result};
use crate::modules::{DIRECTION, Module, SpectralVectors, WEIGHT, modules, without_prefix};
use crate::table::{Row, table};
use crate::tensor::ForeignTensor;
use gan_base::messages::counted;
use gan_core::{Layer, Role, shape};
use std::collections::BTreeMap;

/// A parameter of a layer list.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Number of the layer in the list, from 1; the outermost of nested lists.
    pub number: usize,
    /// The layer as its name in lists.
    pub layer: &'static str,
    /// Name of the parameter: `main.0.weight`.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Role in the layer.
    pub role: Role,
    /// Axis of a kernel's outputs.
    pub output_axis: usize,
}

/// Returns the parameters of a layer list in their order.
///
/// # Errors
/// If the layers do not fit together.
pub fn expected(network: &str, input: &[usize], layers: &[Layer]) -> Result<Vec<Expected>> {
    let inferred = shape::infer(network, input, layers)?;
    let mut all = vec![];
    shape::each_named("main", layers, &inferred, &mut |name, layer, found| {
        let number = name.split('.').nth(1).and_then(|index| index.parse::<usize>().ok()).map_or(0, |index| index + 1);
        all.extend(found.params.iter().map(|param| Expected {
            number,
            layer: layer.name(),
            name: format!("{name}.{}", param.name),
            shape: param.shape.clone(),
            role: param.role,
            output_axis: param.output_axis,
        }));
    });
    Ok(all)
}

/// A parameter with the tensor that has its values.
#[derive(Clone, Debug)]
pub struct Match<'f, 'a> {
    /// The parameter.
    pub expected: Expected,
    /// Its values.
    pub tensor: &'f ForeignTensor<'a>,
    /// Vectors of spectral norm, if the values must be divided by the largest singular value because the layer has no spectral norm.
    pub(crate) divided: Option<SpectralVectors<'f, 'a>>,
}

/// How a file was matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The modules have the names of the layers.
    Names,
    /// The modules have the order of the layers.
    Order,
    /// The order differs, and the shapes decide.
    Shapes,
}

/// A file matched with a layer list.
#[derive(Clone, Debug)]
pub struct Matching<'f, 'a> {
    /// Every parameter of the layers.
    pub matches: Vec<Match<'f, 'a>>,
    /// How they were found.
    pub how: How,
    /// Whether two modules could be exchanged: they have the same shapes and the file does not keep their order.
    pub is_ambiguous: bool,
    /// Names of tensors that no layer takes.
    pub unused: Vec<String>,
}

/// The parameters of one layer, or of a part of it.
#[derive(Debug)]
pub(crate) struct Part {
    /// Name, with which those of its parameters begin.
    pub name: String,
    /// The parameters and their kinds.
    pub params: Vec<(String, Expected)>,
}

/// Returns the parameters by the modules to which they belong.
fn parts(expected: Vec<Expected>) -> Vec<Part> {
    let mut parts: Vec<Part> = vec![];
    for param in expected {
        let (module, kind) = param.name.rsplit_once('.').unwrap_or(("", &param.name));
        let (module, kind) = (module.to_string(), kind.to_string());
        match parts.last_mut() {
            Some(last) if last.name == module => last.params.push((kind, param)),
            _ => parts.push(Part { name: module, params: vec![(kind, param)] }),
        }
    }
    parts
}

/// Returns whether shapes are the same but for sides of 1 at the end: a 1×1 kernel, a number alone.
pub(crate) fn same_shape(a: &[usize], b: &[usize]) -> bool {
    let trimmed = |shape: &[usize]| shape.iter().rposition(|side| *side != 1).map_or(0, |last| last + 1);
    a[..trimmed(a)] == b[..trimmed(b)]
}

impl Part {
    /// Returns whether a module of the file has exactly these parameters.
    fn fits(&self, module: &Module) -> bool {
        let own = self.params.iter().filter(|(kind, _)| kind != DIRECTION);
        let has_all = own.clone().all(|(kind, param)| {
            module.get(kind).is_some_and(|tensor| tensor.element.is_float() && same_shape(&param.shape, &tensor.shape))
        });
        let directions = self.params.iter().filter(|(kind, _)| kind == DIRECTION);
        let u = module.spectral.and_then(|vectors| vectors.u);
        let has_directions = directions.clone().all(|(_, param)| u.is_some_and(|u| same_shape(&param.shape, &u.shape)));
        has_all && has_directions && own.count() == module.tensors.len() && !module.has_weight_norm
    }

    fn matches<'f, 'a>(self, module: &Module<'f, 'a>, matches: &mut Vec<Match<'f, 'a>>) {
        let has_norm = self.params.iter().any(|(kind, _)| kind == DIRECTION);
        for (kind, expected) in self.params {
            let found =
                if kind == DIRECTION { module.spectral.and_then(|vectors| vectors.u) } else { module.get(&kind) };
            let divided = module.spectral.filter(|_| kind == WEIGHT && !has_norm);
            // `fits` was true.
            matches.extend(found.map(|tensor| Match { expected, tensor, divided }));
        }
    }
}

/// Finds the tensor of each parameter. `is_sorted` tells that the file does not keep the order of the network.
///
/// # Errors
/// If a parameter has no tensor, with a table of both; or tensors are left over, unless `may_be_unused`.
pub fn matching<'f, 'a>(
    dict: &'f StateDict<'a>,
    expected: Vec<Expected>,
    is_sorted: bool,
    may_be_unused: bool,
) -> Result<Matching<'f, 'a>> {
    let modules = modules(dict);
    let parts = parts(expected);
    let found = by_names(&parts, &modules).map(|found| (How::Names, found));
    let found = found.or_else(|| Some((How::Order, in_order(&parts, &modules)?)));
    let found = found.or_else(|| Some((How::Shapes, by_shapes(&parts, &modules)?)));
    let Some((how, places)) = found else { return Err(Error::Mismatch(mismatch(&parts, &modules))) };
    let unused: Vec<&Module> =
        modules.iter().enumerate().filter(|(at, _)| !places.contains(at)).map(|(_, module)| module).collect();
    if !unused.is_empty() && !may_be_unused {
        return Err(Error::Mismatch(left_over(&unused, &parts, &places, &modules)));
    }
    let unused: Vec<String> =
        unused.iter().flat_map(|module| module.tensors.iter().map(|(_, tensor)| tensor.name.clone())).collect();
    let repeats =
        |a: &Part| parts.iter().filter(|b| modules.iter().any(|module| a.fits(module) && b.fits(module))).count() > 1;
    let has_choice = how == How::Shapes || (how == How::Order && (is_sorted || !unused.is_empty()));
    let is_ambiguous = has_choice && parts.iter().any(repeats);
    let mut matches = vec![];
    for (part, at) in parts.into_iter().zip(places) {
        part.matches(&modules[at], &mut matches);
    }
    Ok(Matching { matches, how, is_ambiguous, unused })
}

/// Returns the module with the name of each part, but for prefixes.
fn by_names(parts: &[Part], modules: &[Module]) -> Option<Vec<usize>> {
    let whole = modules.iter().enumerate().map(|(at, module)| (module.name.as_str(), at));
    let shortened = without_prefix(modules).into_iter().enumerate().map(|(at, name)| (name, at));
    let find = |places: &BTreeMap<&str, usize>, shorten: bool| {
        let place = |part: &Part| {
            let name = if shorten { part.name.strip_prefix("main.")? } else { &part.name };
            places.get(name).copied().filter(|at| part.fits(&modules[*at]))
        };
        parts.iter().map(place).collect::<Option<Vec<usize>>>()
    };
    find(&whole.collect(), false).or_else(|| find(&shortened.collect(), true))
}

/// Returns the first modules that fit the parts in their order. Modules may be left out.
fn in_order(parts: &[Part], modules: &[Module]) -> Option<Vec<usize>> {
    let mut next = 0;
    let place = |part: &Part| {
        let at = next + modules[next..].iter().position(|module| part.fits(module))?;
        next = at + 1;
        Some(at)
    };
    parts.iter().map(place).collect()
}

/// Returns a module for each part, in whatever order; modules with the same shapes keep theirs.
fn by_shapes(parts: &[Part], modules: &[Module]) -> Option<Vec<usize>> {
    let mut is_taken = vec![false; modules.len()];
    let place = |part: &Part| {
        let at = modules.iter().zip(&is_taken).position(|(module, taken)| !taken && part.fits(module))?;
        is_taken[at] = true;
        Some(at)
    };
    parts.iter().map(place).collect()
}

/// Maximum number of names in a message.
const NAMED: usize = 6;

fn left_over(unused: &[&Module], parts: &[Part], places: &[usize], modules: &[Module]) -> String {
    let names = unused
        .iter()
        .flat_map(|module| module.tensors.iter().map(|(_, tensor)| format!("\"{}\" {:?}", tensor.name, tensor.shape)));
    let all: Vec<String> = names.collect();
    let more = if all.len() > NAMED { format!(" and {} more", all.len() - NAMED) } else { String::new() };
    let pairs = modules.iter().enumerate().map(|(at, module)| {
        let part = places.iter().position(|place| *place == at).map(|part| &parts[part]);
        rows(part, Some(module))
    });
    let rows: Vec<Vec<Row>> = pairs.collect();
    format!(
        "no layer takes {} of the file: {}{more}. Add the layers that are missing; if the network does not use these tensors, allow it with \
         --allow-unused\n{}",
        counted(all.len(), "tensor"),
        all[..all.len().min(NAMED)].join(", "),
        table(&rows.concat())
    )
}

/// Describes the first difference, above a table of both sides.
fn mismatch(parts: &[Part], modules: &[Module]) -> String {
    if let Some(module) = modules.iter().find(|module| module.has_weight_norm) {
        return format!(
            "\"{}\" has weight norm, which no layer has: remove it before saving, with torch.nn.utils.remove_weight_norm or \
             torch.nn.utils.parametrize.remove_parametrizations",
            module.name
        );
    }
    let pairs = parts.iter().zip(modules.iter().map(Some).chain(std::iter::repeat(None)));
    let first = pairs.filter_map(|(part, module)| difference(part, module)).next();
    let problem =
        first.unwrap_or_else(|| "the layers are fewer than the file's modules, and their shapes differ".into());
    let length = parts.len().max(modules.len());
    let rows: Vec<Vec<Row>> = (0..length).map(|at| rows(parts.get(at), modules.get(at))).collect();
    format!("{problem}\n{}", table(&rows.concat()))
}

/// Describes how a part differs from the module at its place.
fn difference(part: &Part, module: Option<&Module>) -> Option<String> {
    let describe = |param: &Expected| format!("layer {} ({}, {})", param.number, param.layer, param.name);
    let (_, first) = part.params.first()?;
    let Some(module) = module else {
        return Some(format!("{} expects {:?}, the file has no more tensors", describe(first), first.shape));
    };
    if part.fits(module) {
        return None;
    }
    for (kind, param) in &part.params {
        let expects = format!("{} expects {:?}", describe(param), param.shape);
        let named = || module.tensors.first().map_or(module.name.as_str(), |(_, tensor)| tensor.name.as_str());
        let Some(tensor) = module.get(kind) else {
            let advice = match param.role {
                Role::Bias => ": if the layer has none, set bias = false",
                Role::Direction => ": leave out spectral_norm",
                Role::RunningMean | Role::RunningVariance => {
                    ": the norm there keeps no running averages, or it is another layer"
                }
                _ => "",
            };
            if kind == DIRECTION && module.spectral.is_some_and(|vectors| vectors.u.is_some()) {
                continue;
            }
            return Some(format!("{expects}, the file has no {kind} beside \"{}\"{advice}", named()));
        };
        if !tensor.element.is_float() {
            let found = tensor.element.name();
            return Some(format!(
                "{expects}, \"{}\" holds numbers of the type {found}, expected floating point numbers",
                tensor.name
            ));
        }
        if !same_shape(&param.shape, &tensor.shape) {
            let is_swapped = matches!((&param.shape[..], &tensor.shape[..]), ([a, b, x @ ..], [c, d, y @ ..]) if a == d && b == c && x == y && param.role == Role::Weight);
            let advice = if is_swapped {
                ": its inputs and outputs are exchanged, so it is another kind of layer, or its order of axes is not PyTorch's"
            } else {
                ""
            };
            return Some(format!("{expects}, the file has {:?} in \"{}\"{advice}", tensor.shape, tensor.name));
        }
    }
    let is_more = |tensor: &&(&str, &ForeignTensor)| part.params.iter().all(|(kind, _)| kind != tensor.0);
    let (kind, tensor) = module.tensors.iter().find(is_more)?;
    let advice = if *kind == "bias" { ": set bias = true" } else { "" };
    let known: Vec<&str> = part.params.iter().map(|(kind, _)| kind.as_str()).collect();
    let layer = format!("layer {} ({}, {})", first.number, first.layer, part.name);
    Some(format!(
        "{layer} expects {}, the file has \"{}\" {:?} too{advice}",
        known.join(" and "),
        tensor.name,
        tensor.shape
    ))
}

/// Returns both sides of a layer and a module, row by row.
fn rows(part: Option<&Part>, module: Option<&Module>) -> Vec<Row> {
    let mut rows = vec![];
    let mut found: Vec<_> = module.map(|module| module.tensors.clone()).unwrap_or_default();
    let u = module.and_then(|module| module.spectral).and_then(|vectors| vectors.u);
    for (kind, param) in part.map(|part| &part.params[..]).unwrap_or_default() {
        let own = found.iter().position(|(found, _)| found == kind).map(|at| found.remove(at).1);
        rows.push(Row::of(Some(param), own.or(u.filter(|_| kind == DIRECTION))));
    }
    rows.extend(found.iter().map(|(_, tensor)| Row::of(None, Some(tensor))));
    rows
}
