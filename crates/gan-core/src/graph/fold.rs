//! Batch norm as a part of the kernel before it.
//!
//! In evaluation mode, y = s·(W·x + b − μ) + β with s = γ/√(σ² + ε), which is the convolution with the kernel s·W and the bias s·(b − μ) + β.

use super::{Definition, Graph, Op, Value};
use candle_core::{DType, Result, Tensor};

impl Graph {
    /// Returns the graph with each batch norm folded into the convolution or dense layer before it, if nothing else reads that one's result.
    /// The numbers differ by rounding only.
    ///
    /// # Errors
    /// From candle.
    pub fn with_folded_batch_norm(mut self) -> Result<Self> {
        let used = self.used();
        let mut readers = vec![0; self.definitions.len()];
        for (definition, _) in self.definitions.iter().zip(&used).filter(|(_, used)| **used) {
            if let Definition::Node { inputs, .. } = definition {
                inputs.iter().for_each(|value| readers[value.0] += 1);
            }
        }
        for index in 0..self.definitions.len() {
            if let Some((name, op, inputs)) = self.folded(index, &readers)? {
                self.definitions[index] = Definition::Node { name, op, inputs };
            }
        }
        Ok(self)
    }

    /// Returns the convolution that batch norm number `index` and the one before it are together, if they can be one.
    fn folded(&mut self, index: usize, readers: &[usize]) -> Result<Option<(String, Op, Vec<Value>)>> {
        let Definition::Node { op: Op::BatchNorm { eps }, inputs, .. } = &self.definitions[index] else {
            return Ok(None);
        };
        let eps = *eps;
        let [x, gamma, beta, mean, variance] = inputs[..] else { return Ok(None) };
        let Definition::Node { name, op, inputs } = &self.definitions[x.0] else { return Ok(None) };
        let axis = match op {
            Op::Conv { .. } | Op::Linear => 0,
            Op::ConvTranspose { .. } => 1,
            _ => return Ok(None),
        };
        if readers[x.0] != 1 {
            return Ok(None);
        }
        let name = name.clone();
        let op = op.clone();
        let inputs = inputs.clone();
        let scale = (self.f64(gamma)? / (self.f64(variance)? + eps)?.sqrt()?)?;
        let kernel = self.f64(inputs[1])?;
        let mut along = vec![1; kernel.rank()];
        along[axis] = scale.elem_count();
        let folded_kernel = kernel.broadcast_mul(&scale.reshape(along)?)?.to_dtype(DType::F32)?;
        let bias = match inputs.get(2) {
            Some(bias) => (self.f64(*bias)? - self.f64(mean)?)?,
            None => self.f64(mean)?.neg()?,
        };
        let folded_bias = ((bias * &scale)? + self.f64(beta)?)?.to_dtype(DType::F32)?;
        let of_norm = |what: &str, graph: &Self| format!("{}_folded_{what}", graph.definitions[inputs[1].0].name());
        let kernel_name = of_norm("kernel", self);
        let bias_name = of_norm("bias", self);
        let kernel = self.constant(&kernel_name, folded_kernel);
        let bias = self.constant(&bias_name, folded_bias);
        Ok(Some((format!("{name}+BatchNormalization"), op, vec![inputs[0], kernel, bias])))
    }

    /// Returns a constant in f64.
    fn f64(&self, value: Value) -> Result<Tensor> {
        match &self.definitions[value.0] {
            Definition::Constant { tensor, .. } => tensor.to_dtype(DType::F64),
            other => candle_core::bail!("\"{}\" is not a constant", other.name()),
        }
    }
}
