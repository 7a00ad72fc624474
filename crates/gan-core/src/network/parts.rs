//! A layer list cut into what runs fused and what does not, and run.

use super::{Mode, Network, Pass, Weights};
use crate::layer::Layer;
use crate::random::RandomTensors;
use candle_core::{Device, Result, Tensor};
use gan_base::Rng;
use gan_kernels::chain::{Chain, Layout, Noise, Run, Statistics};
use std::ops::Range;
use std::sync::Arc;

/// What runs at once.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// Layers as one operation over the parameters of segment `segment`.
    Fused { layers: Range<usize>, segment: usize, chain: Arc<Chain> },
    /// A residual block.
    Block(usize),
    /// A layer on candle's tape.
    Alone(usize),
}

/// Runs of layers that fuse, and each other layer alone.
pub(super) fn segments(layers: &[Layer]) -> Vec<Range<usize>> {
    let mut found = Vec::<Range<usize>>::new();
    for (index, layer) in layers.iter().enumerate() {
        match found.last_mut() {
            Some(last) if fuses(layer) && fuses(&layers[last.start]) => last.end = index + 1,
            _ => found.push(index..index + 1),
        }
    }
    found
}

/// Whether a layer can be a link of a chain.
pub(super) fn fuses(layer: &Layer) -> bool {
    match layer {
        Layer::Conv(l) => l.groups == 1,
        Layer::Dense(_)
        | Layer::ConvTranspose(_)
        | Layer::BatchNorm(_)
        | Layer::LeakyRelu(_)
        | Layer::Relu
        | Layer::Tanh
        | Layer::Sigmoid
        | Layer::Dropout(_)
        | Layer::Reshape(_)
        | Layer::Flatten
        | Layer::Upsample(_)
        | Layer::ZeroPad(_)
        | Layer::AvgPool(_)
        | Layer::GlobalMaxPool
        | Layer::GlobalAvgPool => true,
        _ => false,
    }
}

impl Network {
    /// Some layers in parts.
    pub(super) fn parts(&self, range: Range<usize>) -> Result<Vec<Part>> {
        let mut parts = vec![];
        for (segment, found) in self.segments.iter().enumerate() {
            let layers = found.layers.start.max(range.start)..found.layers.end.min(range.end);
            if layers.is_empty() {
                continue;
            }
            let first = layers.start;
            parts.push(match &self.layers[first] {
                Layer::Residual(_) => Part::Block(first),
                layer if fuses(layer) => {
                    let links = self.links(layers.clone());
                    let chain = Chain::new(self.before(first), links, self.fused.precision, self.fused.reuse)?;
                    Part::Fused { layers, segment, chain: Arc::new(chain) }
                }
                _ => Part::Alone(first),
            });
        }
        Ok(parts)
    }

    /// Runs parts over x, which comes and goes in these layouts. Between parts images stay as the last one left them.
    pub(super) fn run(&self, parts: &[Part], x: &Tensor, [from, to]: [Layout; 2], pass: &mut Pass) -> Result<Tensor> {
        let (mut x, mut layout) = (x.clone(), from);
        for (i, part) in parts.iter().enumerate() {
            let next = if i + 1 == parts.len() { to } else { Layout::ChannelsLast };
            match part {
                Part::Fused { layers, segment, chain } => {
                    x = self.run_fused(layers, *segment, chain, &x, [layout, next], pass)?;
                    layout = next;
                }
                Part::Block(index) => {
                    let [body, skip] = self.blocks[index].as_ref();
                    let other = skip.run(&skip.fused.whole, &x, [layout, next], pass)?;
                    x = (body.run(&body.fused.whole, &x, [layout, next], pass)? + other)?;
                    layout = next;
                }
                Part::Alone(index) => {
                    x = self.layer(*index, &turned(&x, layout, Layout::ChannelsFirst)?, pass)?;
                    layout = Layout::ChannelsFirst;
                }
            }
        }
        turned(&x, layout, to)
    }

    fn run_fused(
        &self,
        layers: &Range<usize>,
        segment: usize,
        chain: &Arc<Chain>,
        x: &Tensor,
        [from, to]: [Layout; 2],
        pass: &mut Pass,
    ) -> Result<Tensor> {
        let theta = self.theta(segment, pass)?;
        let given = self.running(layers.clone())?;
        let (statistics, noise) = match &mut pass.mode {
            Mode::Train(rng) => (Statistics::Batch(&pass.ranks), noise(chain, x.dim(0)?, rng)?),
            Mode::Eval => (Statistics::Given(&given), vec![]),
        };
        let (y, found) = chain.apply(x, &theta, Run { statistics, noise, from, to })?;
        let norms = layers.clone().filter(|i| matches!(self.layers[*i], Layer::BatchNorm(_)));
        norms.zip(found).try_for_each(|(index, found)| self.follow(index, found))?;
        Ok(y)
    }

    /// All trained parameters of a segment as they enter the computation.
    pub(super) fn theta(&self, segment: usize, pass: &Pass) -> Result<Tensor> {
        let found = &self.segments[segment];
        let theta = match pass.weights {
            Weights::Frozen => found.theta.as_detached_tensor(),
            Weights::Trained | Weights::Steady => found.theta.as_tensor().clone(),
        };
        let normed: Vec<usize> = found.layers.clone().filter(|i| self.layers[*i].has_spectral_norm()).collect();
        if normed.is_empty() {
            return Ok(theta);
        }
        let (mut pieces, mut at) = (vec![], 0);
        for index in normed {
            for (i, param) in self.kernels(index) {
                if param.start() > at {
                    pieces.push(theta.narrow(0, at, param.start() - at)?);
                }
                pieces.push(self.normed(index, i, pass)?.flatten_all()?);
                at = param.start() + param.elem_count();
            }
        }
        if theta.dim(0)? > at {
            pieces.push(theta.narrow(0, at, theta.dim(0)? - at)?);
        }
        Tensor::cat(&pieces, 0)
    }
}

/// Images in another layout; vectors have but one.
fn turned(x: &Tensor, from: Layout, to: Layout) -> Result<Tensor> {
    match (from, to) {
        _ if x.rank() != 4 || from == to => Ok(x.clone()),
        (Layout::ChannelsLast, _) => x.permute((0, 3, 1, 2))?.contiguous(),
        _ => x.permute((0, 2, 3, 1))?.contiguous(),
    }
}

/// Random numbers for a chain's dropouts.
fn noise(chain: &Chain, n: usize, rng: &mut Rng) -> Result<Noise> {
    let draw = |shape: [usize; 4]| rng.uniform_tensor(0.0, 1.0, shape.to_vec(), &Device::Cpu);
    chain.noise_shapes(n).into_iter().map(draw).collect()
}
