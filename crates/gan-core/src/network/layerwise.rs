//! Layer by layer, each an operation on candle's tape: for CUDA and Metal, and where gradients are differentiated again.

use super::dual::Dual;
use super::{Mode, Network, Pass};
use crate::layer::{Conv, Layer};
use crate::random::RandomTensors;
use crate::shape;
use candle_core::{Result, Tensor};
use gan_base::Rng;
use std::ops::Range;

impl Network {
    pub(super) fn layerwise(&self, range: Range<usize>, x: &Tensor, pass: &mut Pass) -> Result<Tensor> {
        let mut x = x.clone();
        for index in range {
            x = self.layer(index, &x, pass)?;
        }
        Ok(x)
    }

    pub(super) fn layer(&self, index: usize, x: &Tensor, pass: &mut Pass) -> Result<Tensor> {
        let size = || -> Result<[usize; 2]> {
            let (_, _, h, w) = x.dims4()?;
            Ok([h, w])
        };
        let weights = pass.weights;
        let p = |i: usize| self.weight(index, i, weights);
        let bias = |has: bool| has.then(|| p(1)).transpose();
        match &self.layers[index] {
            Layer::Dense(l) => gan_kernels::linear(x, &self.kernel(index, 0, pass)?, bias(l.bias)?.as_ref()),
            Layer::Conv(l) => convolved(l, x, &self.kernel(index, 0, pass)?, bias(l.bias)?.as_ref()),
            Layer::ConvTranspose(l) => {
                let (spec, extra) = shape::transpose_spec(l, size()?);
                gan_kernels::conv_transpose2d(x, &self.kernel(index, 0, pass)?, bias(l.bias)?.as_ref(), &spec, extra)
            }
            Layer::BatchNorm(l) => self.batch_norm(index, l.batch_norm.eps, x, [p(0)?, p(1)?], pass),
            Layer::LeakyRelu(l) => gan_kernels::leaky_relu(x, l.leaky_relu),
            Layer::Relu => gan_kernels::relu(x),
            Layer::Tanh => gan_kernels::tanh(x),
            Layer::Sigmoid => gan_kernels::sigmoid(x),
            Layer::Dropout(l) => match &mut pass.mode {
                Mode::Train(rng) => gan_kernels::dropout(x, &dropout_numbers(x, rng)?, l.dropout),
                Mode::Eval => Ok(x.clone()),
            },
            Layer::Reshape(l) => x.reshape([&[x.dim(0)?], l.reshape.as_slice()].concat()),
            Layer::Flatten => x.flatten_from(1),
            Layer::Upsample(l) => gan_kernels::upsample_nearest2d(x, l.upsample.get()),
            Layer::ZeroPad(l) => gan_kernels::zero_pad2d(x, shape::pad_sides(l.zero_pad)),
            Layer::AvgPool(l) => gan_kernels::avg_pool2d(x, l.avg_pool.get()),
            Layer::GlobalMaxPool => gan_kernels::global_max_pool2d(x),
            Layer::GlobalAvgPool => gan_kernels::global_avg_pool2d(x),
            _ => Ok(self.modern(index, &Dual::constant(x.clone()), weights, pass)?.value),
        }
    }

    /// Kernel `i` of layer `index` as it enters the computation.
    pub(super) fn kernel(&self, index: usize, i: usize, pass: &Pass) -> Result<Tensor> {
        match self.layers[index].has_spectral_norm() {
            true => self.normed(index, self.starts[index] + i, pass),
            false => self.weight(index, i, pass.weights),
        }
    }

    fn batch_norm(
        &self,
        index: usize,
        eps: f64,
        x: &Tensor,
        [gamma, beta]: [Tensor; 2],
        pass: &Pass,
    ) -> Result<Tensor> {
        if let Mode::Eval = pass.mode {
            let running = self.running(index..index + 1)?;
            let [mean, variance] = &running[0];
            return gan_kernels::batch_norm_eval(x, &gamma, &beta, mean, variance, eps);
        }
        let (y, batch) = gan_kernels::batch_norm_train(x, &gamma, &beta, eps, &pass.ranks)?;
        self.follow(index, batch)?;
        Ok(y)
    }
}

/// A convolution, group by group.
pub(super) fn convolved(l: &Conv, x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (_, c, h, w) = x.dims4()?;
    let spec = shape::conv_spec(l, [h, w]);
    if l.groups == 1 {
        return gan_kernels::conv2d(x, kernel, bias, &spec);
    }
    let (inputs, outputs) = (c / l.groups, l.conv / l.groups);
    let one = |group: usize| {
        let x = x.narrow(1, group * inputs, inputs)?.contiguous()?;
        let kernel = kernel.narrow(0, group * outputs, outputs)?.contiguous()?;
        let bias = bias.map(|bias| bias.narrow(0, group * outputs, outputs)?.contiguous()).transpose()?;
        gan_kernels::conv2d(&x, &kernel, bias.as_ref(), &spec)
    };
    Tensor::cat(&(0..l.groups).map(one).collect::<Result<Vec<_>>>()?, 1)
}

/// Random numbers for a dropout over x, in channels-last order, as the fused pass draws them.
pub(super) fn dropout_numbers(x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
    let numbers = match *x.dims() {
        [n, c, h, w] => rng.uniform_tensor(0.0, 1.0, (n, h, w, c), x.device())?.permute((0, 3, 1, 2))?,
        _ => rng.uniform_tensor(0.0, 1.0, x.shape(), x.device())?,
    };
    numbers.contiguous()
}
