//! Output shape and parameters of a layer, inferred without allocating anything.

use crate::params::Role;
use crate::shape::product;

/// A parameter as its layer describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Name within the layer, as in PyTorch: `weight`.
    pub name: String,
    /// Shape, as in PyTorch: dense `[O, I]`, convolution `[O, I / groups, kh, kw]`, transposed `[I, O, kh, kw]`.
    pub shape: Vec<usize>,
    /// Role, which determines its initialization.
    pub role: Role,
    /// Factor of its initial values, if the layer has one.
    pub gain: Option<f64>,
    /// Axis of a kernel's outputs.
    pub output_axis: usize,
}

impl ParamSpec {
    /// Returns the number of values, saturating.
    pub fn elem_count(&self) -> usize {
        product(&self.shape).unwrap_or(usize::MAX)
    }
}

/// Output shape, parameters and cost of one layer.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub struct Inferred {
    /// Input shape, without the batch; the inference over the list sets it.
    pub input: Vec<usize>,
    /// Output shape, without the batch.
    pub output: Vec<usize>,
    /// Parameters of the layer, in order. Those of layers inside it are in `branches`.
    pub params: Vec<ParamSpec>,
    /// Multiply-adds for one sample, saturating.
    pub multiply_adds: usize,
    /// Number of intermediate values for one sample; `None` if it exceeds any memory.
    pub workspace: Option<usize>,
    /// Layers of each list inside it.
    pub branches: Vec<Vec<Inferred>>,
}

impl Inferred {
    /// Returns a layer without parameters and with this `output`.
    pub fn new(output: impl Into<Vec<usize>>) -> Self {
        let output = output.into();
        Self { input: vec![], output, params: vec![], multiply_adds: 0, workspace: Some(0), branches: vec![] }
    }

    /// Adds a parameter with the initialization of its role.
    pub fn with_param(mut self, name: &str, shape: &[usize], role: Role) -> Self {
        self.params.push(ParamSpec { name: name.into(), shape: shape.into(), role, gain: None, output_axis: 0 });
        self
    }

    fn kernels(&self) -> impl Iterator<Item = &ParamSpec> {
        self.params.iter().filter(|param| param.role == Role::Weight)
    }

    /// Adds a kernel, whose initial values are multiplied by `gain`.
    pub fn with_kernel(mut self, name: &str, shape: &[usize], gain: Option<f64>) -> Self {
        self.params.push(ParamSpec {
            name: name.into(),
            shape: shape.into(),
            role: Role::Weight,
            gain,
            output_axis: 0,
        });
        self
    }

    /// Adds a bias, if the layer `has` one.
    pub fn with_bias(self, outputs: usize, has: bool) -> Self {
        if has { self.with_param("bias", &[outputs], Role::Bias) } else { self }
    }

    /// Adds γ and β, if the layer `has` them.
    pub fn with_affine(self, shape: &[usize], has: bool) -> Self {
        match has {
            true => self.with_param("weight", shape, Role::Scale).with_param("bias", shape, Role::Shift),
            false => self,
        }
    }

    /// Adds running averages.
    pub fn with_running(self, channels: usize) -> Self {
        let mean = self.with_param("running_mean", &[channels], Role::RunningMean);
        mean.with_param("running_var", &[channels], Role::RunningVariance)
    }

    /// Sets the `axis` of the kernels' outputs, if it is not the first.
    pub fn with_output_axis(mut self, axis: usize) -> Self {
        let kernels = self.params.iter_mut().filter(|param| param.role == Role::Weight);
        kernels.for_each(|param| param.output_axis = axis);
        self
    }

    /// Adds the direction of spectral norm for each kernel, if the layer `has` it.
    pub fn with_spectral_norm(mut self, has: bool) -> Self {
        if has {
            for kernel in self.kernels().cloned().collect::<Vec<_>>() {
                let outputs = kernel.shape[kernel.output_axis];
                self = self.with_param(&format!("{}_u", kernel.name), &[outputs], Role::Direction);
            }
        }
        self
    }

    /// Sets the multiply-adds to the number of the kernels' parameters, times `times`.
    pub fn with_products(mut self, times: usize) -> Self {
        self.multiply_adds =
            self.kernels().map(ParamSpec::elem_count).fold(0, usize::saturating_add).saturating_mul(times);
        self
    }

    /// Returns the descriptions of all parameters, those of lists inside it first.
    pub(crate) fn all_params(&self) -> Vec<ParamSpec> {
        let inside = self.branches.iter().flatten().flat_map(Self::all_params);
        inside.chain(self.params.iter().cloned()).collect()
    }

    /// Returns the number of parameters, including those of lists inside it.
    pub(crate) fn param_count(&self) -> usize {
        self.params.len() + self.branches.iter().flatten().map(Self::param_count).sum::<usize>()
    }

    /// Returns the number of values held at once for one sample: input, output and intermediate values.
    pub(crate) fn working_set(&self) -> usize {
        let numbers = |sides: &[usize]| product(sides).unwrap_or(0);
        let ends = match self.branches.is_empty() {
            true => numbers(&self.input).saturating_add(numbers(&self.output)),
            false => 0,
        };
        ends.saturating_add(self.workspace.unwrap_or(usize::MAX))
    }

    /// Returns the number of values of one sample that its backward pass reads if its weights have gradients: its input.
    pub(crate) fn saved_for_backward(&self) -> usize {
        if self.kernels().next().is_some() { product(&self.input).unwrap_or(0) } else { 0 }
    }
}
