//! Networks as graphs of tensor operations in evaluation mode: the neutral form from which exports are made.
//!
//! Each layer appends its own operations ([`LayerSpec::graph`](crate::layers::LayerSpec::graph)). An exporter translates the few
//! [`Op`]s and knows no layers. Spectral norm is part of the kernels, and dropout is absent.
//!
//! In reading order: this file (the graph), `context` (what a layer appends to), `fold` (batch norm as a part of the kernel before it), `names`, `run`
//! (a graph in candle operations, which tests what the layers appended).

mod context;
mod fold;
mod names;
mod run;

pub use context::GraphContext;
pub use names::Names;

use crate::gan::{LayeredDiscriminator, LayeredGenerator};
use crate::network::Network;
use candle_core::{Result, Tensor};
use gan_kernels::{ConvSpec, Padding};

/// A value of a graph: an input, a constant, or the result of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(usize);

impl Value {
    /// Returns its index among the graph's values.
    pub fn index(self) -> usize {
        self.0
    }
}

/// Definition of a value.
#[derive(Clone, Debug)]
pub enum Definition {
    /// f32 input `[N, shape…]`.
    Input {
        /// Name.
        name: String,
        /// Shape without the batch.
        shape: Vec<usize>,
    },
    /// Each sample's class, a whole number: input `[N]`.
    Class {
        /// Name.
        name: String,
        /// Number of classes.
        known: usize,
    },
    /// A parameter or another constant.
    Constant {
        /// Name: that of the parameter, `main.0.weight`, or of the layer and a number.
        name: String,
        /// Value, f32.
        tensor: Tensor,
    },
    /// Result of an operation.
    Node {
        /// Name: that of the layer and the operation, `main.0/Conv`.
        name: String,
        /// The operation.
        op: Op,
        /// Its arguments, in the order in which [`Op`] lists them.
        inputs: Vec<Value>,
    },
}

/// An operation. Images are `[N, C, H, W]`; the first axis is the batch, whose size is not known in advance.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Convolution of x with a kernel `[O, C / groups, kh, kw]`, and a bias `[O]` if there is a third argument.
    Conv {
        /// Stride, padding and dilation.
        spec: ConvSpec,
        /// Groups of channels.
        groups: usize,
    },
    /// Transposed convolution of x with a kernel `[C, O, kh, kw]`, and a bias `[O]` if there is a third argument.
    ConvTranspose {
        /// Stride, and the padding that is cropped.
        spec: ConvSpec,
        /// Rows and columns added at the bottom and right.
        output_padding: [usize; 2],
    },
    /// x·Wᵀ of x `[N, I]` and W `[O, I]`, plus a bias `[O]` if there is a third argument.
    Linear,
    /// γ·(x − μ)/√(σ² + ε) + β for each channel: x `[N, C, …]`, γ, β, μ, σ² `[C]`.
    BatchNorm {
        /// ε.
        eps: f64,
    },
    /// (x − μ)/√(σ² + ε) with the mean and variance of each row of x `[N, groups, K]`.
    InstanceNorm {
        /// Number of rows of each sample.
        groups: usize,
        /// ε.
        eps: f64,
    },
    /// A function of each number.
    Unary(Unary),
    /// x where x > 0, else slope·x: x and a slope `[1]`.
    Prelu,
    /// exp(x) / Σ exp(x) over the last axis.
    Softmax,
    /// A function of two values, with broadcasting.
    Binary(Binary),
    /// Matrix product over the last two axes, with broadcasting.
    MatMul,
    /// Reshapes each sample; the batch takes what remains: `[…] -> [N, shape…]`.
    Reshape(Vec<usize>),
    /// Divides the batch into groups of the largest size up to `largest` that divides N: `[N, …] -> [size, N / size, F]`.
    SplitBatch {
        /// Maximum size.
        largest: usize,
    },
    /// Permutes the axes.
    Transpose(Vec<usize>),
    /// Adds zeros around an image.
    Pad(Padding),
    /// The part of x from `start` to before `end` along an axis.
    Slice {
        /// Axis.
        axis: usize,
        /// First index.
        start: usize,
        /// Index after the last.
        end: usize,
    },
    /// Repeats each pixel.
    UpsampleNearest([usize; 2]),
    /// Enlarges images by bilinear interpolation between pixels' centers (PyTorch's `align_corners=False`).
    UpsampleBilinear([usize; 2]),
    /// Mean of adjacent windows; rows and columns that fill none are left out.
    AvgPool([usize; 2]),
    /// Reduces axes, which stay with length 1.
    Reduce(Reduce, Vec<usize>),
    /// Rows of a table `[K, E]` by class `[N]`: `-> [N, E]`.
    Gather,
    /// Classes `[N]` as one-hot vectors `[N, known]`.
    OneHot {
        /// Number of classes.
        known: usize,
    },
    /// Repeats x `[1, M, 1]` along its first axis to the length of that of the second argument `[size, M, F]`: `-> [size, M, 1]`.
    RepeatGroups,
    /// Joins two values along an axis.
    Concat {
        /// Axis.
        axis: usize,
    },
}

/// A function of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// max(x, 0).
    Relu,
    /// x where x > 0, else slope·x.
    LeakyRelu(f64),
    /// x where x > 0, else α·(eˣ − 1).
    Elu(f64),
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// The error function.
    Erf,
    /// √x.
    Sqrt,
}

/// A function of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// a + b.
    Add,
    /// a − b.
    Sub,
    /// a·b.
    Mul,
    /// a / b.
    Div,
}

/// A reduction of axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduce {
    /// Mean.
    Mean,
    /// Sum.
    Sum,
    /// Maximum.
    Max,
}

/// An output of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Name.
    pub name: String,
    /// Value.
    pub value: Value,
    /// Shape without the batch.
    pub shape: Vec<usize>,
}

/// A network in evaluation mode.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    definitions: Vec<Definition>,
    outputs: Vec<Output>,
    names: Names,
}

/// Name of the latent vectors.
pub const LATENT: &str = "z";
/// Name of the samples' classes.
pub const CLASS: &str = "class";
/// Name of a discriminator's logits.
pub const LOGITS: &str = "logits";
/// Name of an auxiliary classifier's logits.
pub const CLASS_LOGITS: &str = "class_logits";

/// Returns the name of samples of this shape: `images`, or `points` for vectors.
pub fn samples_name(shape: &[usize]) -> &'static str {
    if shape.len() == 1 { "points" } else { "images" }
}

impl Graph {
    /// Returns the graph of a generator: latent vectors `z` `[N, latent]`, and `class` `[N]` if it is conditional, to `images` `[N, C, H, W]`
    /// or `points` `[N, D]`.
    ///
    /// # Errors
    /// If a layer has no operations for graphs; the message names it.
    pub fn of_generator(generator: &LayeredGenerator) -> Result<Self> {
        let network = generator.network();
        let mut graph = Self::default();
        let z = graph.input(LATENT, &[network.input().iter().product()]);
        let x = match network.input() {
            [_] => z,
            input => graph.node("z/Reshape", Op::Reshape(input.to_vec()), &[z]),
        };
        let y = graph.append(network, x)?;
        graph.output(samples_name(network.output()), y, network.output());
        Ok(graph)
    }

    /// Returns the graph of a discriminator: `images` `[N, C, H, W]` or `points` `[N, D]`, and `class` `[N]` if its layers read it, to `logits`
    /// `[N]`, and `class_logits` `[N, classes]` if it has an auxiliary classifier.
    ///
    /// # Errors
    /// If a layer has no operations for graphs; the message names it.
    pub fn of_discriminator(discriminator: &LayeredDiscriminator) -> Result<Self> {
        let network = discriminator.network();
        let mut graph = Self::default();
        let x = graph.input(samples_name(network.input()), network.input());
        let y = graph.append(network, x)?;
        let Some(classes) = LayeredDiscriminator::auxiliary_classes(network.layers()) else {
            let logits = graph.node("logits/Reshape", Op::Reshape(vec![]), &[y]);
            graph.output(LOGITS, logits, &[]);
            return Ok(graph);
        };
        let logit = graph.node("logits/Slice", Op::Slice { axis: 1, start: 0, end: 1 }, &[y]);
        let logits = graph.node("logits/Reshape", Op::Reshape(vec![]), &[logit]);
        let of_classes = Op::Slice { axis: 1, start: 1, end: 1 + classes };
        let of_classes = graph.node("class_logits/Slice", of_classes, &[y]);
        graph.output(LOGITS, logits, &[]);
        graph.output(CLASS_LOGITS, of_classes, &[classes]);
        Ok(graph)
    }

    /// Returns the graph of any network: its input `x` `[N, …]`, and `class` `[N]` if its layers read it, to its output `y`.
    ///
    /// # Errors
    /// If a layer has no operations for graphs; the message names it.
    pub fn of_network(network: &Network) -> Result<Self> {
        let mut graph = Self::default();
        let x = graph.input("x", network.input());
        let y = graph.append(network, x)?;
        graph.output("y", y, network.output());
        Ok(graph)
    }

    /// Returns the values' definitions. A node comes after its arguments, apart from constants.
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// Returns the definition of a value.
    pub fn definition(&self, value: Value) -> &Definition {
        &self.definitions[value.0]
    }

    /// Returns the outputs.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Returns for each value whether an output depends on it.
    pub fn used(&self) -> Vec<bool> {
        let mut used = vec![false; self.definitions.len()];
        let mut open: Vec<Value> = self.outputs.iter().map(|output| output.value).collect();
        while let Some(value) = open.pop() {
            if std::mem::replace(&mut used[value.0], true) {
                continue;
            }
            if let Definition::Node { inputs, .. } = &self.definitions[value.0] {
                open.extend(inputs);
            }
        }
        used
    }

    /// Adds an input.
    fn input(&mut self, name: &str, shape: &[usize]) -> Value {
        let name = self.names.take(name);
        self.define(Definition::Input { name, shape: shape.to_vec() })
    }

    /// Returns the input for classes, which is added at its first use.
    fn class(&mut self, known: usize) -> Value {
        let found = self.definitions.iter().position(|definition| matches!(definition, Definition::Class { .. }));
        match found {
            Some(index) => Value(index),
            None => self.define(Definition::Class { name: CLASS.into(), known }),
        }
    }

    /// Adds a node with a name that no other has.
    pub fn node(&mut self, name: &str, op: Op, inputs: &[Value]) -> Value {
        let name = self.names.take(name);
        self.define(Definition::Node { name, op, inputs: inputs.to_vec() })
    }

    /// Adds a constant with a name that no other has.
    pub fn constant(&mut self, name: &str, tensor: Tensor) -> Value {
        let name = self.names.take(name);
        self.define(Definition::Constant { name, tensor })
    }

    /// Adds an output.
    fn output(&mut self, name: &str, value: Value, shape: &[usize]) {
        self.outputs.push(Output { name: name.into(), value, shape: shape.to_vec() });
    }

    /// Replaces the value of an output.
    pub fn set_output(&mut self, index: usize, value: Value, shape: &[usize]) {
        self.outputs[index].value = value;
        self.outputs[index].shape = shape.to_vec();
    }

    fn define(&mut self, definition: Definition) -> Value {
        self.definitions.push(definition);
        Value(self.definitions.len() - 1)
    }
}

impl Definition {
    /// Returns its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Input { name, .. }
            | Self::Class { name, .. }
            | Self::Constant { name, .. }
            | Self::Node { name, .. } => name,
        }
    }
}
