//! What a layer appends its operations to: the graph, with the layer's name, shapes and parameters.

use super::{Binary, Graph, Op, Unary, Value};
use crate::forward_context::ForwardContext;
use crate::layers::LayerContext;
use crate::network::{Engine, Network};
use candle_core::{Device, Result, Tensor};

/// A graph, for the layer that appends to it.
pub struct GraphContext<'a> {
    pub(crate) graph: &'a mut Graph,
    /// Name of the layer: `main.0`.
    pub(crate) name: String,
    /// Names of the lists inside the layer.
    pub(crate) parts: Vec<&'static str>,
    /// The network that the layer belongs to, and its index there.
    pub(crate) network: &'a Network,
    pub(crate) index: usize,
}

impl GraphContext<'_> {
    /// Returns the shape of the layer's input, without the batch.
    pub fn input(&self) -> &[usize] {
        self.network.shape_before(self.index)
    }

    /// Returns the shape of the layer's output, without the batch.
    pub fn output(&self) -> &[usize] {
        self.network.shape_before(self.index + 1)
    }

    /// Appends an operation and returns its result.
    pub fn node(&mut self, op: Op, inputs: &[Value]) -> Value {
        let name = format!("{}/{}", self.name, op.name());
        self.graph.node(&name, op, inputs)
    }

    /// Appends a function of each number.
    pub fn unary(&mut self, function: Unary, x: Value) -> Value {
        self.node(Op::Unary(function), &[x])
    }

    /// Appends a function of two values, with broadcasting.
    pub fn binary(&mut self, function: Binary, a: Value, b: Value) -> Value {
        self.node(Op::Binary(function), &[a, b])
    }

    /// Appends a reshape of each sample.
    pub fn reshape(&mut self, x: Value, shape: &[usize]) -> Value {
        self.node(Op::Reshape(shape.to_vec()), &[x])
    }

    /// Appends a product with a number.
    ///
    /// # Errors
    /// From candle.
    pub fn times(&mut self, x: Value, factor: f64) -> Result<Value> {
        let factor = self.number(factor)?;
        Ok(self.binary(Binary::Mul, x, factor))
    }

    /// Appends a sum with a number.
    ///
    /// # Errors
    /// From candle.
    pub fn plus(&mut self, x: Value, term: f64) -> Result<Value> {
        let term = self.number(term)?;
        Ok(self.binary(Binary::Add, x, term))
    }

    /// Adds a constant `[1]`.
    fn number(&mut self, number: f64) -> Result<Value> {
        Ok(self.constant(Tensor::new(&[number as f32], &Device::Cpu)?))
    }

    /// Adds a constant.
    pub fn constant(&mut self, tensor: Tensor) -> Value {
        let name = format!("{}/constant", self.name);
        self.graph.constant(&name, tensor)
    }

    /// Returns each sample's class `[N]`, for a layer with `known` classes.
    pub fn class(&mut self, known: usize) -> Value {
        self.graph.class(known)
    }

    /// Returns the layer's parameter `name`.
    ///
    /// # Errors
    /// If the layer has no such parameter.
    pub fn param(&mut self, name: &str) -> Result<Value> {
        let tensor = self.with_layer(|layer| layer.param(name))?;
        self.param_with_value(name, &tensor)
    }

    /// Returns the layer's parameter `name` in another shape.
    ///
    /// # Errors
    /// If the layer has no such parameter.
    pub fn param_as(&mut self, name: &str, shape: &[usize]) -> Result<Value> {
        let tensor = self.with_layer(|layer| layer.param(name))?.reshape(shape)?;
        self.param_with_value(name, &tensor)
    }

    /// Returns the layer's kernel `name`, divided by its largest singular value if the layer has spectral norm.
    ///
    /// # Errors
    /// If the layer has no such kernel.
    pub fn kernel(&mut self, name: &str) -> Result<Value> {
        let tensor = self.with_layer(|layer| layer.kernel(name))?;
        self.param_with_value(name, &tensor)
    }

    /// Returns the arguments of a convolution or dense layer of x: x, the kernel `weight`, and `bias` if it has one.
    ///
    /// # Errors
    /// If the layer has no such parameters.
    pub fn kernel_and_bias(&mut self, x: Value, has_bias: bool) -> Result<Vec<Value>> {
        let mut inputs = vec![x, self.kernel("weight")?];
        if has_bias {
            inputs.push(self.param("bias")?);
        }
        Ok(inputs)
    }

    fn param_with_value(&mut self, name: &str, tensor: &Tensor) -> Result<Value> {
        let name = format!("{}.{name}", self.name);
        Ok(self.graph.constant(&name, tensor.to_device(&Device::Cpu)?.detach()))
    }

    /// Appends the operations of the layer's list number `index`.
    ///
    /// # Errors
    /// If a layer in it has no operations for graphs.
    pub fn branch(&mut self, index: usize, x: Value) -> Result<Value> {
        let name = format!("{}.{}", self.name, self.parts[index]);
        let branch = &self.network.placed_branches(self.index)[index];
        self.graph.append_list(branch, &name, x)
    }

    /// Gives `f` the layer's parameters as an evaluation pass sees them.
    fn with_layer<R>(&self, f: impl FnOnce(&LayerContext) -> Result<R>) -> Result<R> {
        let mut pass = ForwardContext::eval();
        f(&self.network.layer_context(self.index, Engine::Reference, false, &mut pass))
    }
}

impl Graph {
    /// Appends a network to the value x.
    pub(super) fn append(&mut self, network: &Network, x: Value) -> Result<Value> {
        self.append_list(network, "main", x)
    }

    /// Appends the layers of a network whose names begin with `name`.
    fn append_list(&mut self, network: &Network, name: &str, x: Value) -> Result<Value> {
        let mut x = x;
        for (index, layer) in network.layers().iter().enumerate() {
            let parts = layer.branches().into_iter().map(|(part, _)| part).collect();
            let name = format!("{name}.{index}");
            x = layer.graph(x, &mut GraphContext { graph: self, name, parts, network, index })?;
        }
        Ok(x)
    }
}

impl Op {
    /// Returns the name of the operation, as ONNX calls it where it has one.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv { .. } => "Conv",
            Self::ConvTranspose { .. } => "ConvTranspose",
            Self::Linear => "Gemm",
            Self::BatchNorm { .. } => "BatchNormalization",
            Self::InstanceNorm { .. } => "InstanceNormalization",
            Self::Unary(Unary::Relu) => "Relu",
            Self::Unary(Unary::LeakyRelu(_)) => "LeakyRelu",
            Self::Unary(Unary::Elu(_)) => "Elu",
            Self::Unary(Unary::Sigmoid) => "Sigmoid",
            Self::Unary(Unary::Tanh) => "Tanh",
            Self::Unary(Unary::Erf) => "Erf",
            Self::Unary(Unary::Sqrt) => "Sqrt",
            Self::Prelu => "PRelu",
            Self::Softmax => "Softmax",
            Self::Binary(Binary::Add) => "Add",
            Self::Binary(Binary::Sub) => "Sub",
            Self::Binary(Binary::Mul) => "Mul",
            Self::Binary(Binary::Div) => "Div",
            Self::MatMul => "MatMul",
            Self::Reshape(_) => "Reshape",
            Self::SplitBatch { .. } => "SplitBatch",
            Self::Transpose(_) => "Transpose",
            Self::Pad(_) => "Pad",
            Self::Slice { .. } => "Slice",
            Self::UpsampleNearest(_) | Self::UpsampleBilinear(_) => "Resize",
            Self::AvgPool(_) => "AveragePool",
            Self::Reduce(super::Reduce::Mean, _) => "ReduceMean",
            Self::Reduce(super::Reduce::Sum, _) => "ReduceSum",
            Self::Reduce(super::Reduce::Max, _) => "ReduceMax",
            Self::Gather => "Gather",
            Self::OneHot { .. } => "OneHot",
            Self::RepeatGroups => "Tile",
            Self::Concat { .. } => "Concat",
        }
    }
}
