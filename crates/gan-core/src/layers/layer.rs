//! What a layer is: [`LayerSpec`], which each layer implements, and [`Layer`], which holds any of them.

use super::read::Entry;
use super::{BatchNormSettings, Dual, Inferred, LayerContext};
use crate::graph::{GraphContext, Value};
use crate::pytorch::TorchResult;
use candle_core::Result;
use gan_kernels::fused::FusedLayer;
use serde::{Serialize, Serializer, de::DeserializeOwned};
use std::any::Any;
use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;

/// Inferred output and parameters of a layer, or the input that it needs instead.
pub type InferResult = std::result::Result<Inferred, String>;

/// A layer. Its type contains the settings; a type without settings is written as its name alone.
///
/// A type with settings has a first field with the name of the layer: `struct Conv { conv: usize, kernel: Pair, … }`.
pub trait LayerSpec: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name of the layer in lists: `conv`, `tanh`, ….
    const NAME: &'static str;

    /// Whether the slope in training changes with the input, apart from jumps. Layers inside it do not count.
    const IS_NONLINEAR: bool;

    /// Returns the output shape for samples of shape `input` (`[F]` or `[C, H, W]`, without the batch), the parameters with their
    /// initialization, and the multiply-adds. Nothing is allocated for it. By default, the output shape is the input shape.
    ///
    /// # Errors
    /// What the layer needs instead, to complete "got [1, 28, 28], needs …".
    fn infer(&self, input: &[usize]) -> InferResult {
        Ok(Inferred::new(input))
    }

    /// Computes the layer's output for x `[N, …]` in candle operations, on any device and also in f64. The fused form must equal it, and it
    /// runs if there is none. Because it is written over [`Dual`]s, it also computes the directional derivative.
    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual>;

    /// Returns the layer in the fused engine, if it has a fused form; `place(i)` is the start of its i-th parameter.
    fn fused(&self, _input: &[usize], _place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        None
    }

    /// Appends the layer's operations in evaluation mode to a graph, from which exports are made, for x `[N, …]`, and returns the output.
    ///
    /// # Errors
    /// If the layer has no such operations, as by default.
    fn graph(&self, _x: Value, _cx: &mut GraphContext) -> Result<Value> {
        candle_core::bail!(
            "the layer \"{}\" cannot be exported: its type does not implement LayerSpec::graph, which appends its operations",
            Self::NAME
        )
    }

    /// Returns the layer as a PyTorch module for samples of shape `input`, whose parameters have the same names.
    ///
    /// # Errors
    /// If the layer has no such module, as by default.
    fn pytorch(&self, _input: &[usize]) -> TorchResult {
        Err(format!(
            "the layer \"{}\" cannot be exported: its type does not implement LayerSpec::pytorch, which returns its module",
            Self::NAME
        ))
    }

    /// Returns the number of classes that the layer expects, if it uses classes.
    fn classes(&self) -> Option<usize> {
        None
    }

    /// Returns the same layer, and all inside it, with spectral norm: every kernel is divided by its largest singular value.
    #[must_use]
    fn with_spectral_norm(self) -> Self {
        self
    }

    /// Returns the lists inside the layer, with the name prefixes of their parameters.
    fn branches(&self) -> Vec<(&'static str, &[Layer])> {
        vec![]
    }

    /// Returns how the layer's parameters `running_mean` and `running_var` follow a batch's statistics, if it has them.
    fn running(&self) -> Option<BatchNormSettings> {
        None
    }
}

/// One layer of a network.
#[derive(Clone, Debug)]
pub struct Layer(Arc<dyn AnyLayer>);

impl Deref for Layer {
    type Target = dyn AnyLayer;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl<T: LayerSpec> From<T> for Layer {
    fn from(layer: T) -> Self {
        Self(Arc::new(layer))
    }
}

impl PartialEq for Layer {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(other.0.as_any())
    }
}

impl Serialize for Layer {
    fn serialize<S: Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        match self.0.settings() {
            Some(settings) => erased_serde::serialize(settings, s),
            None => s.serialize_str(self.name()),
        }
    }
}

impl Layer {
    /// Returns the layer as `T`, if it is one.
    pub fn downcast<T: LayerSpec>(&self) -> Option<&T> {
        self.0.as_any().downcast_ref()
    }

    /// Returns the layer as it would be written in TOML, e.g. `{ conv = 64, kernel = 3 }`, for messages.
    pub fn written(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        let keys = json.replace("\":", " = ").replace("{\"", "{ ").replace(",\"", ",");
        keys.replace(',', ", ").replace('}', " }")
    }

    /// Returns whether its slope in training, or that of a layer inside it, changes with the input, apart from jumps.
    pub(crate) fn is_nonlinear(&self) -> bool {
        self.0.is_nonlinear() || self.inside().any(Self::is_nonlinear)
    }

    /// Returns the number of classes that it or a layer inside it expects.
    pub fn classes(&self) -> Option<usize> {
        self.0.classes().or_else(|| self.inside().find_map(Self::classes))
    }

    fn inside(&self) -> impl Iterator<Item = &Layer> {
        self.0.branches().into_iter().flat_map(|(_, list)| list)
    }
}

/// A [`LayerSpec`] whose type is not known, with the same functions.
pub trait AnyLayer: Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn as_any(&self) -> &dyn Any;
    fn equals(&self, other: &dyn Any) -> bool;
    /// Returns the settings; `None` for a layer without settings.
    fn settings(&self) -> Option<&dyn erased_serde::Serialize>;
    fn is_nonlinear(&self) -> bool;
    fn infer(&self, input: &[usize]) -> InferResult;
    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual>;
    fn fused(&self, input: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>>;
    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value>;
    fn pytorch(&self, input: &[usize]) -> TorchResult;
    fn classes(&self) -> Option<usize>;
    #[must_use]
    fn with_spectral_norm(&self) -> Layer;
    fn branches(&self) -> Vec<(&'static str, &[Layer])>;
    fn running(&self) -> Option<BatchNormSettings>;
}

impl<T: LayerSpec> AnyLayer for T {
    fn name(&self) -> &'static str {
        T::NAME
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
    fn settings(&self) -> Option<&dyn erased_serde::Serialize> {
        Entry::layer::<T>().has_settings.then_some(self)
    }
    fn is_nonlinear(&self) -> bool {
        T::IS_NONLINEAR
    }
    fn infer(&self, input: &[usize]) -> InferResult {
        LayerSpec::infer(self, input)
    }
    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        LayerSpec::forward(self, x, cx)
    }
    fn fused(&self, input: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        LayerSpec::fused(self, input, place)
    }
    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        LayerSpec::graph(self, x, cx)
    }
    fn pytorch(&self, input: &[usize]) -> TorchResult {
        LayerSpec::pytorch(self, input)
    }
    fn classes(&self) -> Option<usize> {
        LayerSpec::classes(self)
    }
    fn with_spectral_norm(&self) -> Layer {
        LayerSpec::with_spectral_norm(self.clone()).into()
    }
    fn branches(&self) -> Vec<(&'static str, &[Layer])> {
        LayerSpec::branches(self)
    }
    fn running(&self) -> Option<BatchNormSettings> {
        LayerSpec::running(self)
    }
}
