//! Convolution weights packed for their kernels, kept until they change.

use super::{Chain, Link, Reuse, Stage};
use crate::conv::kernel::{self, Packed};
use crate::conv::problem::Problem;
use crate::conv::winograd::Direction;
use crate::simd::Level;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Weights from which on a training pass packs anew, which takes a hundredth of the pass: packed they are six times as large.
const LARGE: usize = 1 << 20;

/// Packed weights by stage and direction, each beside the numbers that it was made from: those are compared, so that weights
/// may be changed in any way.
#[derive(Debug)]
pub(crate) struct PackedWeights {
    reuse: Reuse,
    kept: Mutex<HashMap<(usize, bool), Kept>>,
}

#[derive(Debug)]
struct Kept {
    weights: Arc<Vec<f32>>,
    packed: Arc<Packed>,
}

impl PackedWeights {
    pub(super) fn new(reuse: Reuse) -> Self {
        Self { reuse, kept: Mutex::default() }
    }
}

/// Numbers of a stage's kernel.
fn weight_len(stage: &Stage) -> usize {
    match &stage.link {
        Link::Conv { outputs, kernel, .. } | Link::ConvTranspose { outputs, kernel, .. } => {
            outputs * kernel[0] * kernel[1] * stage.input[2]
        }
        _ => 0,
    }
}

/// A convolution stage's kernel.
pub(super) fn weights<'a>(stage: &Stage, theta: &'a [f32]) -> &'a [f32] {
    match &stage.link {
        Link::Conv { weights, .. } | Link::ConvTranspose { weights, .. } => {
            &theta[weights.weight..weights.weight + weight_len(stage)]
        }
        _ => &[],
    }
}

/// A convolution stage as a problem; a transposed one is the input gradient of the problem.
pub(super) fn problem(stage: &Stage, samples: usize) -> Problem {
    let ([h, w, c], [oh, ow, o]) = (stage.input, stage.output);
    match &stage.link {
        Link::Conv { kernel, spec, .. } => Problem {
            spec: *spec,
            samples,
            in_channels: c,
            out_channels: o,
            input: [h, w],
            output: [oh, ow],
            kernel: *kernel,
        },
        Link::ConvTranspose { kernel, spec, .. } => Problem {
            spec: *spec,
            samples,
            in_channels: o,
            out_channels: c,
            input: [oh, ow],
            output: [h, w],
            kernel: *kernel,
        },
        other => unreachable!("{other:?} is no convolution"),
    }
}

impl Chain {
    /// Stage `index`'s weights packed for one direction of its problem.
    pub(super) fn packed(&self, index: usize, theta: &[f32], direction: Direction, trains: bool) -> Arc<Packed> {
        let stage = &self.stages[index];
        let weights = weights(stage, theta);
        let key = (index, direction == Direction::Forward);
        let pack = || Arc::new(kernel::pack(Level::current(), self.precision, &problem(stage, 1), direction, weights));
        let mut kept = self.packed.kept.lock().unwrap_or_else(|e| e.into_inner());
        let never = self.packed.reuse == Reuse::Never || weights.len() >= LARGE;
        if never && trains {
            // What another pass packed from the same weights serves once more.
            let found = kept.remove(&key).filter(|k| k.weights[..] == *weights);
            drop(kept);
            return found.map_or_else(pack, |k| k.packed);
        }
        if let Some(found) = kept.get(&key).filter(|k| k.weights[..] == *weights) {
            return Arc::clone(&found.packed);
        }
        // Both directions share the numbers that they are compared with.
        let other = kept.get(&(index, !key.1)).filter(|k| k.weights[..] == *weights).map(|k| Arc::clone(&k.weights));
        kept.remove(&key);
        let packed = pack();
        let weights = other.unwrap_or_else(|| Arc::new(weights.to_vec()));
        kept.insert(key, Kept { weights, packed: Arc::clone(&packed) });
        packed
    }
}
