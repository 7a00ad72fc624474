//! A graph in candle operations, on the CPU in f32 or f64.

use super::{Binary, Definition, Graph, Op, Reduce, Unary};
use crate::layers::{Dual, one_hot, upsample_bilinear};
use candle_core::{DType, Result, Tensor, bail};
use gan_kernels::{ConvSpec, Precision, ops};

impl Graph {
    /// Computes the outputs for inputs by name: f32 or f64 tensors `[N, …]`, and classes `[N]` u32.
    ///
    /// # Errors
    /// If an input is missing or has another shape than the graph expects.
    pub fn run(&self, inputs: &[(&str, &Tensor)]) -> Result<Vec<Tensor>> {
        let Some(dtype) = inputs.iter().map(|(_, tensor)| tensor.dtype()).find(|dtype| dtype.is_float()) else {
            bail!("a graph needs an input of f32 or f64")
        };
        let used = self.used();
        let last_reader = self.last_readers(&used);
        let mut values: Vec<Option<Tensor>> = vec![None; self.definitions.len()];
        for index in (0..self.definitions.len()).filter(|index| used[*index]) {
            let value = match &self.definitions[index] {
                Definition::Input { name, .. } | Definition::Class { name, .. } => {
                    let found = inputs.iter().find(|input| input.0 == name);
                    let Some((_, tensor)) = found else { bail!("the input \"{name}\" is missing") };
                    (*tensor).clone()
                }
                // Read where it is needed.
                Definition::Constant { .. } => continue,
                Definition::Node { name, op, inputs } => {
                    let argument = |value: &super::Value| match (&self.definitions[value.0], &values[value.0]) {
                        (Definition::Constant { tensor, .. }, _) => tensor.to_dtype(dtype),
                        (_, Some(tensor)) => Ok(tensor.clone()),
                        (other, None) => bail!("\"{name}\" reads \"{}\", which is not computed yet", other.name()),
                    };
                    let arguments = inputs.iter().map(argument).collect::<Result<Vec<_>>>()?;
                    let result = op.apply(&arguments)?;
                    inputs
                        .iter()
                        .filter(|value| last_reader[value.0] == index)
                        .for_each(|value| values[value.0] = None);
                    result
                }
            };
            values[index] = Some(value);
        }
        let output = |output: &super::Output| match &values[output.value.0] {
            Some(tensor) => Ok(tensor.clone()),
            None => bail!("the output \"{}\" is not computed", output.name),
        };
        self.outputs.iter().map(output).collect()
    }

    /// Returns for each value the last node that reads it; outputs are kept.
    fn last_readers(&self, used: &[bool]) -> Vec<usize> {
        let mut last = vec![usize::MAX; self.definitions.len()];
        for (index, definition) in self.definitions.iter().enumerate().filter(|(index, _)| used[*index]) {
            if let Definition::Node { inputs, .. } = definition {
                inputs.iter().for_each(|value| last[value.0] = index);
            }
        }
        self.outputs.iter().for_each(|output| last[output.value.0] = usize::MAX);
        last
    }
}

impl Op {
    /// Computes the operation in candle.
    fn apply(&self, arguments: &[Tensor]) -> Result<Tensor> {
        let x = &arguments[0];
        let accurate = |spec: &ConvSpec| ConvSpec { precision: Precision::F32Accurate, ..*spec };
        match self {
            Self::Conv { spec, groups } => {
                ops::grouped_conv2d(x, &arguments[1], arguments.get(2), &accurate(spec), *groups)
            }
            Self::ConvTranspose { spec, output_padding } => {
                ops::conv_transpose2d(x, &arguments[1], arguments.get(2), &accurate(spec), *output_padding)
            }
            Self::Linear => ops::linear(x, &arguments[1], arguments.get(2)),
            Self::BatchNorm { eps } => {
                let mut along = vec![1; x.rank()];
                along[1] = x.dim(1)?;
                let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|i| arguments[i].reshape(&along[..]));
                let normal = x.broadcast_sub(&mean?)?.broadcast_div(&(variance? + *eps)?.sqrt()?)?;
                normal.broadcast_mul(&gamma?)?.broadcast_add(&beta?)
            }
            Self::InstanceNorm { eps, .. } => {
                let centered = x.broadcast_sub(&x.mean_keepdim(2)?)?;
                let variance = centered.sqr()?.mean_keepdim(2)?;
                centered.broadcast_div(&(variance + *eps)?.sqrt()?)
            }
            Self::Unary(function) => function.apply(x),
            Self::Prelu => {
                let positive = ops::relu(x)?;
                let negative = (x - &positive)?;
                positive + negative.broadcast_mul(&arguments[1])?
            }
            Self::Softmax => Ok(Dual::constant(x.clone()).softmax()?.value),
            Self::Binary(Binary::Add) => x.broadcast_add(&arguments[1]),
            Self::Binary(Binary::Sub) => x.broadcast_sub(&arguments[1]),
            Self::Binary(Binary::Mul) => x.broadcast_mul(&arguments[1]),
            Self::Binary(Binary::Div) => x.broadcast_div(&arguments[1]),
            Self::MatMul => matmul(x, &arguments[1]),
            Self::Reshape(shape) => {
                let sample: usize = shape.iter().product();
                let batch = x.elem_count().checked_div(sample).unwrap_or(0);
                x.reshape([&[batch], shape.as_slice()].concat())
            }
            Self::SplitBatch { largest } => {
                let n = x.dim(0)?;
                let size = (1..=n.min(*largest)).rev().find(|size| n.is_multiple_of(*size)).unwrap_or(1);
                x.reshape((size, n / size, ()))
            }
            Self::Transpose(axes) => x.permute(axes.as_slice())?.contiguous(),
            Self::Pad(padding) => ops::zero_pad2d(x, *padding),
            Self::Slice { axis, start, end } => x.narrow(*axis, *start, end - start)?.contiguous(),
            Self::UpsampleNearest(factors) => ops::upsample_nearest2d(x, *factors),
            Self::UpsampleBilinear(factors) => Ok(upsample_bilinear(&Dual::constant(x.clone()), *factors)?.value),
            Self::AvgPool(window) => ops::avg_pool2d(x, *window),
            Self::Reduce(reduce, axes) => axes.iter().try_fold(x.clone(), |x, axis| match reduce {
                Reduce::Mean => x.mean_keepdim(*axis),
                Reduce::Sum => x.sum_keepdim(*axis),
                Reduce::Max => x.max_keepdim(*axis),
            }),
            Self::Gather => x.index_select(&arguments[1].to_dtype(DType::U32)?, 0),
            Self::OneHot { known } => one_hot(&x.to_dtype(DType::U32)?, *known)?.to_dtype(DType::F32),
            Self::RepeatGroups => x.repeat((arguments[1].dim(0)?, 1, 1)),
            // A one-hot vector may have another number type than the rest.
            Self::Concat { axis } => Tensor::cat(&[x.clone(), arguments[1].to_dtype(x.dtype())?], *axis),
        }
    }
}

impl Unary {
    fn apply(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Relu => ops::relu(x),
            Self::LeakyRelu(slope) => ops::leaky_relu(x, slope),
            Self::Elu(alpha) => x.elu(alpha),
            Self::Sigmoid => ops::sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::Erf => x.erf(),
            Self::Sqrt => x.sqrt(),
        }
    }
}

/// Computes a matrix product of `[N, a, b]` or `[a, b]` and `[N, b, c]`.
fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let a = match (a.dims(), b.dims()) {
        ([rows, columns], [n, ..]) => a.broadcast_as((*n, *rows, *columns))?.contiguous()?,
        _ => a.contiguous()?,
    };
    a.matmul(&b.contiguous()?)
}
