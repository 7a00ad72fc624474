//! A layer list as the links of a fused chain.

use super::Network;
use crate::layer::Layer;
use crate::shape;
use gan_kernels::ConvSpec;
use gan_kernels::chain::{Act, Link, Weights};
use std::ops::Range;

impl Network {
    /// The links of some layers.
    pub(super) fn links(&self, range: Range<usize>) -> Vec<Link> {
        range.flat_map(|index| self.link(index)).collect()
    }

    fn link(&self, index: usize) -> Vec<Link> {
        let before = self.before(index);
        let size = || [before[1], before[2]];
        let at = |i: usize| self.params[self.starts[index] + i].start();
        let weights = |bias: bool| Weights { weight: at(0), bias: bias.then(|| at(1)) };
        let link = match &self.layers[index] {
            Layer::Dense(l) => {
                let spec = ConvSpec::default();
                Link::Conv { weights: weights(l.bias), outputs: l.dense, kernel: [1, 1], spec }
            }
            Layer::Conv(l) => {
                let spec = shape::conv_spec(l, size());
                Link::Conv { weights: weights(l.bias), outputs: l.conv, kernel: l.kernel.get(), spec }
            }
            Layer::ConvTranspose(l) => {
                let (spec, output_padding) = shape::transpose_spec(l, size());
                let (weights, outputs, kernel) = (weights(l.bias), l.conv_transpose, l.kernel.get());
                Link::ConvTranspose { weights, outputs, kernel, spec, output_padding }
            }
            Layer::BatchNorm(l) => Link::BatchNorm { scale: at(0), shift: at(1), eps: l.batch_norm.eps },
            Layer::LeakyRelu(l) if l.leaky_relu < 0.0 => Link::Leaky(l.leaky_relu as f32),
            Layer::LeakyRelu(l) => Link::Act(Act::LeakyRelu(l.leaky_relu as f32)),
            Layer::Relu => Link::Act(Act::LeakyRelu(0.0)),
            Layer::Tanh => Link::Act(Act::Tanh),
            Layer::Sigmoid => Link::Sigmoid,
            Layer::Dropout(l) => Link::Dropout(l.dropout),
            Layer::Reshape(l) => Link::Reshape(l.reshape.clone()),
            Layer::Flatten => Link::Reshape(vec![before.iter().product()]),
            Layer::Upsample(l) => Link::Upsample(l.upsample.get()),
            Layer::ZeroPad(l) => Link::Pad(shape::pad_sides(l.zero_pad)),
            Layer::AvgPool(l) => Link::AvgPool(l.avg_pool.get()),
            Layer::GlobalMaxPool => Link::GlobalMax,
            Layer::GlobalAvgPool => return vec![Link::AvgPool(size()), Link::Reshape(vec![before[0]])],
            // The others run alone.
            _ => return vec![],
        };
        vec![link]
    }
}
