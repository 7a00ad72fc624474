//! One walk over a list and all blocks in it: shapes, parameters and working memory of each layer.

use super::{LARGEST, Shape, add_parameters, after, check_settings, is_shape, product};
use crate::error::{Error, Result};
use crate::layer::{Layer, MOST_NESTED, Residual};
use crate::params::{self, Described, Role};

/// Characters of a layer that a message shows.
const SHOWN: usize = 120;

/// What one layer of a network makes and learns, worked out without allocating any of it.
#[derive(Clone, Debug, PartialEq)]
pub struct InferredLayer {
    /// The shape after it, without the batch.
    pub output: Shape,
    /// Its own parameters, in order. Those of layers inside it are in `inside`.
    pub params: Vec<Described>,
    /// Numbers that it holds at once for one sample: its input, its output and what it computes in between.
    pub working_set: usize,
    /// Numbers of one sample that its backward pass reads wherever its weights get gradients: its input.
    pub saved_for_backward: usize,
    /// The layers inside a residual block: the body's and the skip's.
    pub inside: Option<Box<[Vec<InferredLayer>; 2]>>,
}

impl InferredLayer {
    /// Calls `f` with the name and the shape of each parameter, those of layers inside it included, in a network's order. The
    /// layer is called `name`.
    fn each_param(&self, name: &str, f: &mut impl FnMut(String, &Described)) {
        self.params.iter().for_each(|own| f(format!("{name}.{}", own.0), own));
        for (list, part) in self.inside.iter().flat_map(|both| both.iter()).zip(["body", "skip"]) {
            each_param(list, &format!("{name}.{part}"), f);
        }
    }

    /// The largest working set of a layer, itself or inside it.
    fn largest_working_set(&self) -> usize {
        let inside = self.inside.iter().flat_map(|both| both.iter().flatten());
        inside.map(Self::largest_working_set).fold(self.working_set, usize::max)
    }
}

/// Calls `f` with the name and the description of each parameter of a list whose layers' names begin with `prefix`.
pub(crate) fn each_param(list: &[InferredLayer], prefix: &str, f: &mut impl FnMut(String, &Described)) {
    for (index, layer) in list.iter().enumerate() {
        layer.each_param(&format!("{prefix}.{index}"), f);
    }
}

/// The numbers that a network certainly holds at once while one sample goes through it.
pub fn largest_working_set(list: &[InferredLayer]) -> usize {
    list.iter().map(InferredLayer::largest_working_set).max().unwrap_or(0)
}

/// The numbers of one sample that a training pass certainly keeps for its backward pass.
pub fn saved_for_backward(list: &[InferredLayer]) -> usize {
    let own = |layer: &InferredLayer| {
        let inside = layer.inside.iter().flat_map(|both| both.iter()).map(|list| saved_for_backward(list));
        inside.fold(layer.saved_for_backward, usize::saturating_add)
    };
    list.iter().map(own).fold(0, usize::saturating_add)
}

/// How many parameters a list has, those of layers inside it included.
pub fn parameter_count(list: &[InferredLayer]) -> usize {
    let mut count = 0usize;
    each_param(list, "", &mut |_, (_, sides, _)| count = count.saturating_add(sides.iter().product()));
    count
}

/// The shape after each layer of the network called `network` (for messages) that is fed `[N, input…]`.
///
/// # Errors
/// The first layer that does not fit, or is too large for any memory: its index, what reaches it, what it needs.
pub fn infer(network: &str, input: &[usize], layers: &[Layer]) -> Result<Vec<Shape>> {
    Ok(infer_layers(network, input, layers)?.into_iter().map(|layer| layer.output).collect())
}

/// What each layer of the network called `network` (for messages) makes and learns, where it is fed `[N, input…]`.
///
/// # Errors
/// As [`infer`].
pub fn infer_layers(network: &str, input: &[usize], layers: &[Layer]) -> Result<Vec<InferredLayer>> {
    if !is_shape(input) || product(input).is_none_or(|n| n == 0 || n > LARGEST) {
        let problem = format!(
            "input {} cannot be used: expected at least one side, none of them 0: [features] or [channels, height, width], at \
             most {LARGEST} numbers together",
            listed(input)
        );
        return Err(Error::Network { network: network.into(), problem });
    }
    infer_list(network, input, layers, 0, &mut 0)
}

/// Infers a list inside `depth` residual blocks, and counts its parameters in `count`.
fn infer_list(
    network: &str,
    input: &[usize],
    layers: &[Layer],
    depth: usize,
    count: &mut usize,
) -> Result<Vec<InferredLayer>> {
    let mut inferred = Vec::with_capacity(layers.len());
    let mut shape = input.to_vec();
    for (index, layer) in layers.iter().enumerate() {
        let found = infer_layer(layer, &shape, depth, count).map_err(|needs| Error::Layer {
            network: network.into(),
            index,
            layer: shown(layer),
            got: format!("{shape:?}"),
            needs,
        })?;
        shape.clone_from(&found.output);
        inferred.push(found);
    }
    Ok(inferred)
}

/// One layer, or what it needs instead.
fn infer_layer(
    layer: &Layer,
    shape: &[usize],
    depth: usize,
    count: &mut usize,
) -> std::result::Result<InferredLayer, String> {
    // Deeper levels were looked at with the first.
    if depth == 0 && layer.nests_deeper_than(MOST_NESTED) {
        return Err(format!("residual blocks nested at most {MOST_NESTED} deep: make the list flatter"));
    }
    check_settings(layer)?;
    let (output, inside) = match layer {
        Layer::Residual(block) => {
            let (output, inside) = residual(block, shape, depth, count)?;
            (output, Some(Box::new(inside)))
        }
        _ => (after(layer, shape)?, None),
    };
    let within = |numbers: Option<usize>| numbers.filter(|n| *n <= LARGEST);
    if within(product(&output)).is_none() {
        return Err(format!("an output of at most {LARGEST} numbers a sample, this would be {output:?}"));
    }
    let Some(between) = within(between(layer, shape)) else {
        return Err(format!("a smaller image: it computes more than {LARGEST} numbers a sample in between"));
    };
    let params = params::of_layer(layer, shape);
    add_parameters(&params, count)?;
    let numbers = |sides: &[usize]| product(sides).unwrap_or(0);
    let ends = if inside.is_some() { 0 } else { numbers(shape).saturating_add(numbers(&output)) };
    let has_weights = params.iter().any(|(_, _, role)| *role == Role::Weight);
    let saved_for_backward = if has_weights { numbers(shape) } else { 0 };
    Ok(InferredLayer { output, params, working_set: ends.saturating_add(between), saved_for_backward, inside })
}

/// What both ways of a residual block make, and their layers.
fn residual(
    block: &Residual,
    shape: &[usize],
    depth: usize,
    count: &mut usize,
) -> std::result::Result<(Shape, [Vec<InferredLayer>; 2]), String> {
    if block.residual.is_empty() {
        return Err("at least one layer in residual".into());
    }
    let mut list = |name: &str, layers: &[Layer]| {
        infer_list(name, shape, layers, depth + 1, count).map_err(|error| format!("layers inside that fit ({error})"))
    };
    let inside = [list("residual", &block.residual)?, list("skip", &block.skip)?];
    let [body, skip] = [0, 1].map(|i| inside[i].last().map_or(shape, |layer: &InferredLayer| &layer.output[..]));
    if body != skip {
        return Err(format!("both ways to make the same, but residual makes {body:?} and skip {skip:?}"));
    }
    Ok((body.to_vec(), inside))
}

/// Numbers that a layer computes between its input and its output: for one sample, or for all where they are fixed.
fn between(layer: &Layer, shape: &[usize]) -> Option<usize> {
    match (layer, shape) {
        // Each pixel attends to every other.
        (Layer::Attention(_), [_, h, w]) => h.checked_mul(*w)?.checked_pow(2),
        // Each row and column as a sum of others is a matrix.
        (Layer::Bilinear(l), [_, h, w]) => {
            let [down, across] = l.bilinear.get();
            product(&[*h, *h, down])?.checked_add(product(&[*w, *w, across])?)
        }
        (Layer::BlurPool(_), [_, h, w]) => product(&[*h, *h])?.checked_add(product(&[*w, *w])?),
        _ => Some(0),
    }
}

/// A layer as messages show it.
fn shown(layer: &Layer) -> String {
    // What stands inside a block may be as long as the whole description.
    if let Layer::Residual(_) = layer {
        return "{ residual = … }".into();
    }
    let written = layer.written();
    match written.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &written[..end]),
        None => written,
    }
}

/// Some sides as messages show them.
fn listed(sides: &[usize]) -> String {
    if sides.len() > 8 { format!("with {} sides", sides.len()) } else { format!("{sides:?}") }
}
