//! A layer list turned into a network: parameters allocated and initialised, ready to run.

use crate::error::Result;
use crate::init::Init;
use crate::layer::{Layer, RunningVariance};
use crate::params::{self, Param};
use crate::rng::Rng;
use crate::shape::{self, Shape};
use candle_core::{Device, Tensor, Var};
use gan_kernels::BatchStatistics;

/// Whether a network trains or is used; decides batch norm's statistics and dropout.
#[derive(Debug)]
pub enum Mode<'a> {
    /// By the batch's statistics, running averages updated, dropout drawn from this generator.
    Train(&'a mut Rng),
    /// By the running averages, nothing dropped.
    Eval,
}

/// Whether a pass leads to gradients of the network's own weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// They get gradients.
    Trained,
    /// They get none, and none is computed; gradients still flow through to the input.
    Frozen,
}

/// How a network runs once.
#[derive(Debug)]
pub struct Pass<'a> {
    /// Training or use.
    pub mode: Mode<'a>,
    /// Gradients for the weights or not.
    pub weights: Weights,
}

impl<'a> Pass<'a> {
    /// A training pass with gradients for the weights.
    pub fn train(rng: &'a mut Rng) -> Self {
        Self { mode: Mode::Train(rng), weights: Weights::Trained }
    }

    /// A training pass through a network whose weights stay as they are while another one learns from it. Its running averages
    /// follow the batch, as in PyTorch.
    pub fn frozen(rng: &'a mut Rng) -> Self {
        Self { mode: Mode::Train(rng), weights: Weights::Frozen }
    }

    /// Use, without gradients for the weights.
    pub fn eval() -> Self {
        Self { mode: Mode::Eval, weights: Weights::Frozen }
    }
}

/// A network made from a layer list.
#[derive(Clone, Debug)]
pub struct Network {
    layers: Vec<Layer>,
    input: Shape,
    shapes: Vec<Shape>,
    params: Vec<Param>,
    /// Where each layer's parameters start in `params`.
    starts: Vec<usize>,
}

impl Network {
    /// Allocates and initialises the network called `name` (for messages) for inputs `[N, input…]`.
    ///
    /// # Errors
    /// If the layers do not fit together.
    pub fn new(
        name: &str,
        input: &[usize],
        layers: &[Layer],
        init: Init,
        rng: &mut Rng,
        device: &Device,
    ) -> Result<Self> {
        let shapes = shape::infer(name, input, layers)?;
        let (mut all, mut starts) = (vec![], vec![]);
        let mut shape = input;
        for (index, (layer, after)) in layers.iter().zip(&shapes).enumerate() {
            starts.push(all.len());
            let own = params::of_layer(layer, shape);
            let kernel = own.first().map(|(_, shape, _)| shape.clone()).unwrap_or_default();
            for (suffix, shape, role) in own {
                let start = init.tensor(role, &shape, &kernel, rng, device)?;
                all.push(Param { name: format!("main.{index}.{suffix}"), var: Var::from_tensor(&start)?, role });
            }
            shape = after;
        }
        Ok(Self { layers: layers.to_vec(), input: input.to_vec(), shapes, params: all, starts })
    }

    /// The layer list.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The shape of one input, without the batch.
    pub fn input(&self) -> &[usize] {
        &self.input
    }

    /// The shape of one output, without the batch.
    pub fn output(&self) -> &[usize] {
        self.shapes.last().unwrap_or(&self.input)
    }

    /// Every parameter and running average, in the list's order.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// x `[N, input…]` -> `[N, output…]`.
    ///
    /// # Errors
    /// If x has another shape than the network is for.
    pub fn forward(&self, x: &Tensor, pass: &mut Pass) -> candle_core::Result<Tensor> {
        self.run(0..self.layers.len(), x, pass)
    }

    /// x `[N, input…]` -> (`[N, output…]`, what reaches the last layer with weights).
    ///
    /// # Errors
    /// If x has another shape than the network is for.
    pub fn forward_with_features(&self, x: &Tensor, pass: &mut Pass) -> candle_core::Result<(Tensor, Tensor)> {
        let last = |layer: &Layer| matches!(layer, Layer::Dense(_) | Layer::Conv(_) | Layer::ConvTranspose(_));
        let head = self.layers.iter().rposition(last).unwrap_or(0);
        let features = self.run(0..head, x, pass)?;
        let y = self.run(head..self.layers.len(), &features, pass)?;
        Ok((y, features))
    }

    fn run(&self, range: std::ops::Range<usize>, x: &Tensor, pass: &mut Pass) -> candle_core::Result<Tensor> {
        let mut x = x.clone();
        for index in range {
            x = self.layer(index, &x, pass)?;
        }
        Ok(x)
    }

    fn layer(&self, index: usize, x: &Tensor, pass: &mut Pass) -> candle_core::Result<Tensor> {
        let size = || -> candle_core::Result<[usize; 2]> {
            let (_, _, h, w) = x.dims4()?;
            Ok([h, w])
        };
        let p = |i: usize| {
            let var = &self.params[self.starts[index] + i].var;
            if pass.weights == Weights::Frozen { var.as_detached_tensor() } else { var.as_tensor().clone() }
        };
        let bias = |has: bool| has.then(|| p(1));
        match &self.layers[index] {
            Layer::Dense(l) => gan_kernels::linear(x, &p(0), bias(l.bias).as_ref()),
            Layer::Conv(l) => gan_kernels::conv2d(x, &p(0), bias(l.bias).as_ref(), &shape::conv_spec(l, size()?)),
            Layer::ConvTranspose(l) => {
                let (spec, extra) = shape::transpose_spec(l, size()?);
                gan_kernels::conv_transpose2d(x, &p(0), bias(l.bias).as_ref(), &spec, extra)
            }
            Layer::BatchNorm(_) => self.batch_norm(index, x, [p(0), p(1)], &pass.mode),
            Layer::LeakyRelu(l) => gan_kernels::leaky_relu(x, l.leaky_relu),
            Layer::Relu => gan_kernels::relu(x),
            Layer::Tanh => gan_kernels::tanh(x),
            Layer::Sigmoid => gan_kernels::sigmoid(x),
            Layer::Dropout(l) => match &mut pass.mode {
                Mode::Train(rng) => {
                    let numbers = rng.uniform_tensor(0.0, 1.0, x.shape(), x.device())?;
                    gan_kernels::dropout(x, &numbers, l.dropout)
                }
                Mode::Eval => Ok(x.clone()),
            },
            Layer::Reshape(l) => x.reshape([&[x.dim(0)?], l.reshape.as_slice()].concat()),
            Layer::Flatten => x.flatten_from(1),
            Layer::Upsample(l) => gan_kernels::upsample_nearest2d(x, l.upsample.get()),
            Layer::ZeroPad(l) => gan_kernels::zero_pad2d(x, shape::pad_sides(l.zero_pad)),
            Layer::AvgPool(l) => gan_kernels::avg_pool2d(x, l.avg_pool.get()),
            Layer::GlobalMaxPool => gan_kernels::global_max_pool2d(x),
            Layer::GlobalAvgPool => gan_kernels::global_avg_pool2d(x),
        }
    }

    fn batch_norm(
        &self,
        index: usize,
        x: &Tensor,
        [gamma, beta]: [Tensor; 2],
        mode: &Mode,
    ) -> candle_core::Result<Tensor> {
        let Layer::BatchNorm(layer) = &self.layers[index] else { unreachable!("called for batch norm only") };
        let settings = &layer.batch_norm;
        let start = self.starts[index];
        let (mean, variance) = (&self.params[start + 2].var, &self.params[start + 3].var);
        if let Mode::Eval = mode {
            let (mean, variance) = (mean.as_detached_tensor(), variance.as_detached_tensor());
            return gan_kernels::batch_norm_eval(x, &gamma, &beta, &mean, &variance, settings.eps);
        }
        let (y, batch) = gan_kernels::batch_norm_train(x, &gamma, &beta, settings.eps)?;
        let BatchStatistics { mean: new_mean, variance: biased, count } = batch;
        let correction = match settings.running_variance {
            RunningVariance::Unbiased => count as f64 / (count as f64 - 1.0),
            RunningVariance::Biased => 1.0,
        };
        blend(mean, &new_mean, settings.momentum)?;
        blend(variance, &(biased * correction)?, settings.momentum)?;
        Ok(y)
    }
}

/// average ← (1 − weight)·average + weight·new
fn blend(average: &Var, new: &Tensor, weight: f64) -> candle_core::Result<()> {
    average.set(&((average.as_detached_tensor() * (1.0 - weight))? + (new * weight)?)?)
}
