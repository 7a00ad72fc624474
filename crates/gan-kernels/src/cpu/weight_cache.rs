//! Convolution weights packed for their kernels, cached until they change.

use super::Cpu;
use super::conv::{self, Direction, Packed};
use super::simd::Level;
use crate::backend::ConvCall;
use crate::fused::Reuse;
use crate::spec::Problem;
use crate::storage::lock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Number of weights from which a training pass packs anew, which takes a hundredth of the pass, because packed weights are six times as
/// large.
const LARGE: usize = 1 << 20;

/// Packed weights by layer and direction, each with the numbers that it was packed from. Those are compared, so that weights may be changed
/// in any way.
#[derive(Debug)]
pub struct WeightCache {
    reuse: Reuse,
    kept: Mutex<HashMap<(usize, bool), Kept>>,
}

#[derive(Debug)]
struct Kept {
    weights: Arc<Vec<f32>>,
    packed: Arc<Packed>,
}

impl WeightCache {
    pub(crate) fn new(reuse: Reuse) -> Self {
        Self { reuse, kept: Mutex::default() }
    }

    /// Returns the call's weights packed for one direction of its problem.
    pub(crate) fn packed(&self, call: &ConvCall<Cpu>, direction: Direction) -> Arc<Packed> {
        let weights = call.weights;
        let key = (call.layer, direction == Direction::Forward);
        // Packed weights work for any number of samples.
        let problem = Problem { samples: 1, ..call.problem };
        let pack = || Arc::new(conv::pack(Level::current(), call.precision, &problem, direction, weights));
        let mut kept = lock(&self.kept);
        let never = self.reuse == Reuse::Never || weights.len() >= LARGE;
        if never && call.trains {
            // What another pass packed from the same weights is used again.
            let found = kept.remove(&key).filter(|k| k.weights[..] == *weights);
            drop(kept);
            return found.map_or_else(pack, |k| k.packed);
        }
        if let Some(found) = kept.get(&key).filter(|k| k.weights[..] == *weights) {
            return Arc::clone(&found.packed);
        }
        // Both directions share the numbers that they are compared with.
        let other = kept.get(&(call.layer, !key.1)).filter(|k| k.weights[..] == *weights);
        let other = other.map(|k| Arc::clone(&k.weights));
        kept.remove(&key);
        let packed = pack();
        let weights = other.unwrap_or_else(|| Arc::new(weights.to_vec()));
        kept.insert(key, Kept { weights, packed: Arc::clone(&packed) });
        packed
    }
}
