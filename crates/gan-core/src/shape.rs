//! Shape inference: output and parameters of each layer of a list, without allocating anything.

use crate::error::{Error, Result};
use crate::layers::{Inferred, Layer, MOST_NESTED, ParamSpec};

/// Maximum number of values per sample: 4 GiB.
const LARGEST: usize = 1 << 30;

/// Maximum number of parameters in a network: 4 GiB, and four times that during training.
const MOST_PARAMETERS: usize = 1 << 30;

/// Maximum number of characters of a layer in a message.
const SHOWN: usize = 120;

/// Returns whether networks can work on samples with these sides: vectors `[F]` or images `[C, H, W]`.
pub(crate) fn is_shape(sides: &[usize]) -> bool {
    matches!(sides, [_] | [_, _, _])
}

/// Returns the product of `sides`, unless it overflows.
pub(crate) fn product(sides: &[usize]) -> Option<usize> {
    sides.iter().try_fold(1usize, |size, side| size.checked_mul(*side))
}

/// Calls `f` with the name of each layer of a list, which begins with `prefix`, the layer and its inference, in a network's order: a layer,
/// then those inside it.
pub fn each_named(prefix: &str, layers: &[Layer], list: &[Inferred], f: &mut impl FnMut(&str, &Layer, &Inferred)) {
    for (index, (layer, found)) in layers.iter().zip(list).enumerate() {
        let name = format!("{prefix}.{index}");
        f(&name, layer, found);
        for ((part, layers), list) in layer.branches().into_iter().zip(&found.branches) {
            each_named(&format!("{name}.{part}"), layers, list, f);
        }
    }
}

/// Folds over each layer of a list, and those inside it.
fn fold(list: &[Inferred], start: usize, f: fn(usize, &Inferred) -> usize) -> usize {
    list.iter().fold(start, |sum, found| found.branches.iter().fold(f(sum, found), |sum, list| fold(list, sum, f)))
}

/// Returns the number of values that a network certainly holds at once for one sample.
pub fn largest_working_set(list: &[Inferred]) -> usize {
    fold(list, 0, |largest, layer| largest.max(layer.working_set()))
}

/// Returns the number of values per sample that a training pass certainly saves for its backward pass.
pub fn saved_for_backward(list: &[Inferred]) -> usize {
    fold(list, 0, |saved, layer| saved.saturating_add(layer.saved_for_backward()))
}

/// Returns the number of parameters of a list, including those of layers inside it.
pub fn parameter_count(list: &[Inferred]) -> usize {
    fold(list, 0, |count, layer| layer.params.iter().map(ParamSpec::elem_count).fold(count, usize::saturating_add))
}

/// Returns the output and parameters of each layer of the network called `network` (for messages) for inputs `[N, input…]`.
///
/// # Errors
/// The first layer that does not fit, or is too large for any memory: its index, its input, and what it needs.
pub fn infer(network: &str, input: &[usize], layers: &[Layer]) -> Result<Vec<Inferred>> {
    if !is_shape(input) || product(input).is_none_or(|n| n == 0 || n > LARGEST) {
        let problem = format!(
            "input {} cannot be used: expected at least one side, none of them 0: [features] or [channels, height, width], at \
             most {LARGEST} numbers together",
            listed(input)
        );
        return Err(Error::Network { network: network.into(), problem });
    }
    infer_list(network, input, layers)
}

/// Like [`infer`], for a list whose input is known to be a shape.
pub(crate) fn infer_list(network: &str, input: &[usize], layers: &[Layer]) -> Result<Vec<Inferred>> {
    let mut inferred = Vec::with_capacity(layers.len());
    let mut shape = input.to_vec();
    let mut count = 0;
    for (index, layer) in layers.iter().enumerate() {
        let found = infer_layer(layer, &shape, &mut count).map_err(|needs| Error::Layer {
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

/// Infers one layer, or returns what it needs instead. Adds its parameters to the `count` of the list.
fn infer_layer(layer: &Layer, shape: &[usize], count: &mut usize) -> std::result::Result<Inferred, String> {
    if nests_deeper_than(layer, MOST_NESTED) {
        return Err(format!("residual blocks nested at most {MOST_NESTED} deep: make the list flatter"));
    }
    let inferred = layer.infer(shape)?;
    let within = |numbers: Option<usize>| numbers.is_some_and(|n| n <= LARGEST);
    if !within(product(&inferred.output)) {
        let output = &inferred.output;
        return Err(format!("an output of at most {LARGEST} numbers a sample, this would be {output:?}"));
    }
    if !within(inferred.workspace) {
        return Err(format!("a smaller image: it computes more than {LARGEST} numbers a sample in between"));
    }
    let own = inferred.params.iter().map(|param| product(&param.shape));
    let inside = inferred.branches.iter().map(|list| Some(parameter_count(list)));
    let total = own.chain(inside).try_fold(*count, |total, size| total.checked_add(size?));
    let Some(total) = total.filter(|n| *n <= MOST_PARAMETERS) else {
        let largest = inferred.params.first().map_or(&[][..], |param| &param.shape);
        return Err(format!(
            "at most {MOST_PARAMETERS} parameters in all layers, here are weights of {largest:?}: make it smaller"
        ));
    };
    *count = total;
    Ok(Inferred { input: shape.to_vec(), ..inferred })
}

/// Returns whether lists are nested more than `limit` deep in a layer, including itself. Looks no deeper than that.
fn nests_deeper_than(layer: &Layer, limit: usize) -> bool {
    let branches = layer.branches();
    let deeper =
        |limit: usize| branches.iter().flat_map(|(_, list)| *list).any(|layer| nests_deeper_than(layer, limit));
    !branches.is_empty() && limit.checked_sub(1).is_none_or(deeper)
}

/// Formats a layer for messages.
fn shown(layer: &Layer) -> String {
    // The contents of a block may be as long as the whole description.
    if !layer.branches().is_empty() {
        return format!("{{ {} = … }}", layer.name());
    }
    let written = layer.written();
    match written.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &written[..end]),
        None => written,
    }
}

/// Formats some sides for messages.
fn listed(sides: &[usize]) -> String {
    if sides.len() > 8 { format!("with {} sides", sides.len()) } else { format!("{sides:?}") }
}
