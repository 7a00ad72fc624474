//! Layers that use the sample's class: concatenation to the input, and two heads of discriminators.

use super::dense::SPECTRAL;
use super::settings::{limit, require, several_classes, vector};
use super::{Dense, Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::graph::{Binary, GraphContext, Op, Reduce, Value};
use crate::params::Role;
use crate::pytorch::{Call, Helper, TorchResult};
use candle_core::{Result, Tensor};
use gan_kernels::fused::{self, FusedLayer};
use serde::{Deserialize, Serialize};
use std::ops::Not;

/// Concatenates the class to the input, as a one-hot vector (Mirza & Osindero 2014, arXiv:1411.1784) or as a learned vector: `[F] -> [F +
/// E]`, `[C, H, W] -> [C + E, H, W]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcatClass {
    /// Number of classes.
    pub concat_class: usize,
    /// Size E of a learned vector per class; without it E is the number of classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<usize>,
}

impl LayerSpec for ConcatClass {
    const NAME: &'static str = "concat_class";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        let more = self.embedding.unwrap_or(self.concat_class);
        limit(&[more])?;
        several_classes(self.concat_class)?;
        require(more > 0, "an embedding of at least 1")?;
        let layer = Inferred::new(match input {
            [f] => vec![f.saturating_add(more)],
            [c, h, w] => vec![c.saturating_add(more), *h, *w],
            _ => return Err("a vector [features] or an image [channels, height, width]".into()),
        });
        Ok(match self.embedding {
            Some(size) => layer.with_param("weight", &[self.concat_class, size], Role::Embedding),
            None => layer,
        })
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        let classes = cx.classes(self.concat_class, x.value.dim(0)?)?;
        let rows = match self.embedding {
            Some(_) => cx.param("weight")?.index_select(&classes, 0)?,
            None => one_hot(&classes, self.concat_class)?.to_dtype(x.value.dtype())?,
        };
        let joined = match *x.value.dims() {
            [n, _, h, w] => {
                let more = rows.dim(1)?;
                rows.reshape((n, more, 1, 1))?.broadcast_as((n, more, h, w))?.contiguous()?
            }
            _ => rows,
        };
        x.join(&Dual::constant(joined), 1)
    }

    fn fused(&self, _: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        let embedding = self.embedding.map(|size| (place(0), size));
        Some(vec![FusedLayer::ConcatClass(fused::ConcatClass { known: self.concat_class, embedding })])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let class = cx.class(self.concat_class);
        let rows = match self.embedding {
            Some(_) => {
                let table = cx.param("weight")?;
                cx.node(Op::Gather, &[table, class])
            }
            None => cx.node(Op::OneHot { known: self.concat_class }, &[class]),
        };
        let more = self.embedding.unwrap_or(self.concat_class);
        let joined = match *cx.input() {
            [_, h, w] => {
                let pixel = cx.reshape(rows, &[more, 1, 1]);
                cx.node(Op::UpsampleNearest([h, w]), &[pixel])
            }
            _ => rows,
        };
        Ok(cx.node(Op::Concat { axis: 1 }, &[x, joined]))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        let known = self.concat_class;
        let (module, helper) = match self.embedding {
            Some(size) => (Call::new("ConcatEmbedding").with(known).with(size).module(), CONCAT_EMBEDDING),
            None => (Call::new("ConcatOneHot").with(known).module(), CONCAT_ONE_HOT),
        };
        Ok(module.with_helpers(&[CONCAT, helper]).with_class())
    }

    fn classes(&self) -> Option<usize> {
        Some(self.concat_class)
    }
}

/// D's head ψ(h) + ⟨e(class), h⟩, with ψ a dense layer (Miyato & Koyama 2018, arXiv:1802.05637): `[F] -> [1]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Projection {
    /// Number of classes.
    pub projection: usize,
    /// Whether to divide both kernels by their largest singular values.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub spectral_norm: bool,
}

impl LayerSpec for Projection {
    const NAME: &'static str = "projection";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        let features = vector(input)?;
        several_classes(self.projection)?;
        let layer = Inferred::new([1]).with_kernel("weight", &[1, features], None);
        let layer = layer.with_bias(1, true).with_kernel("embed.weight", &[self.projection, features], None);
        let multiply_adds = features.saturating_mul(2);
        Ok(Inferred { multiply_adds, ..layer.with_spectral_norm(self.spectral_norm) })
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        let classes = cx.classes(self.projection, x.value.dim(0)?)?;
        let psi = cx.kernel("weight")?;
        let embed = cx.kernel("embed.weight")?;
        let direction = Dual::constant(embed.index_select(&classes, 0)?.broadcast_add(&psi)?);
        let bias = Dual::constant(cx.param("bias")?.reshape((1, 1))?);
        x.mul(&direction)?.linear(|y| y.sum_keepdim(1))?.add(&bias)
    }

    fn fused(&self, _: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        let [weight, bias, embed] = [0, 1, 2].map(place);
        Some(vec![FusedLayer::Projection(fused::Projection { known: self.projection, weight, bias, embed })])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let class = cx.class(self.projection);
        let psi = cx.kernel("weight")?;
        let embed = cx.kernel("embed.weight")?;
        let bias = cx.param("bias")?;
        let rows = cx.node(Op::Gather, &[embed, class]);
        let direction = cx.binary(Binary::Add, rows, psi);
        let products = cx.binary(Binary::Mul, x, direction);
        let sum = cx.node(Op::Reduce(Reduce::Sum, vec![1]), &[products]);
        Ok(cx.binary(Binary::Add, sum, bias))
    }

    fn pytorch(&self, input: &[usize]) -> TorchResult {
        let call = Call::new("Projection").with(self.projection).with(vector(input)?);
        let call = call.with_key("spectral_norm", self.spectral_norm, &false);
        Ok(call.module().with_helpers(&[SPECTRAL, PROJECTION]).with_class())
    }

    fn classes(&self) -> Option<usize> {
        Some(self.projection)
    }

    fn with_spectral_norm(self) -> Self {
        Self { spectral_norm: true, ..self }
    }
}

/// D's head of an auxiliary classifier: one dense layer to the logit and to one logit per class (Odena et al. 2016,
/// arXiv:1610.09585): `[F] -> [1 + classes]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auxiliary {
    /// Number of classes.
    pub auxiliary: usize,
    /// Whether to divide the kernel by its largest singular value.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub spectral_norm: bool,
}

impl Auxiliary {
    /// Returns the dense layer that it is.
    fn dense(&self) -> Dense {
        Dense { spectral_norm: self.spectral_norm, ..Dense::new(self.auxiliary.saturating_add(1)) }
    }
}

impl LayerSpec for Auxiliary {
    const NAME: &'static str = "auxiliary";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        several_classes(self.auxiliary)?;
        self.dense().infer(input)
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        self.dense().forward(x, cx)
    }

    fn fused(&self, input: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        self.dense().fused(input, place)
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        self.dense().graph(x, cx)
    }

    fn pytorch(&self, input: &[usize]) -> TorchResult {
        self.dense().pytorch(input)
    }

    fn classes(&self) -> Option<usize> {
        Some(self.auxiliary)
    }

    fn with_spectral_norm(self) -> Self {
        Self { spectral_norm: true, ..self }
    }
}

const CONCAT: Helper = Helper(
    r#"def concat(x, rows):
    """Concatenates a vector of each sample to its features, or to the channels of each of its pixels."""
    rows = rows.to(x.dtype).view(*rows.shape, *[1] * (x.dim() - 2))
    return torch.cat([x, rows.expand(-1, -1, *x.shape[2:])], dim=1)
"#,
);

const CONCAT_ONE_HOT: Helper = Helper(
    r#"class ConcatOneHot(nn.Module):
    """Concatenates each sample's class as a one-hot vector."""

    takes_class = True

    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, x, classes):
        return concat(x, F.one_hot(classes, self.classes))
"#,
);

const CONCAT_EMBEDDING: Helper = Helper(
    r#"class ConcatEmbedding(nn.Embedding):
    """Concatenates a learned vector of each sample's class."""

    takes_class = True

    def forward(self, x, classes):
        return concat(x, super().forward(classes))
"#,
);

const PROJECTION: Helper = Helper(
    r#"class Projection(nn.Linear):
    """A discriminator's head: a linear layer plus the inner product of the features with a learned vector of the class."""

    takes_class = True

    def __init__(self, classes, features, spectral_norm=False):
        super().__init__(features, 1)
        self.embed = nn.Embedding(classes, features)
        self.spectral_norm = spectral_norm
        if spectral_norm:
            self.register_buffer("weight_u", torch.ones(1))
            self.embed.register_buffer("weight_u", torch.ones(classes))

    def forward(self, x, classes):
        weight = self.weight
        embed = self.embed.weight
        if self.spectral_norm:
            weight = spectrally_normalized(weight, self.weight_u)
            embed = spectrally_normalized(embed, self.embed.weight_u)
        return F.linear(x, weight, self.bias) + (x * embed[classes]).sum(dim=1, keepdim=True)
"#,
);

/// Returns the classes `[N]` as one-hot vectors `[N, known]`.
pub(crate) fn one_hot(classes: &Tensor, known: usize) -> Result<Tensor> {
    let places = Tensor::arange(0, known as u32, classes.device())?.unsqueeze(0)?;
    classes.unsqueeze(1)?.broadcast_eq(&places)
}
