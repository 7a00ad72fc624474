//! Concatenation of the class.

use super::settings::{limit, several_classes};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::params::Role;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

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

    fn infer(&self, input: &[usize]) -> InferResult {
        let more = self.embedding.unwrap_or(self.concat_class);
        limit(&[self.concat_class, more])?;
        several_classes(self.concat_class)?;
        if more == 0 {
            return Err("an embedding of at least 1".into());
        }
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

    fn is_nonlinear(&self, _: bool) -> bool {
        false
    }

    fn classes(&self) -> Option<usize> {
        Some(self.concat_class)
    }
}

/// Returns the classes `[N]` as one-hot vectors `[N, known]`.
fn one_hot(classes: &Tensor, known: usize) -> Result<Tensor> {
    let places = Tensor::arange(0, known as u32, classes.device())?.unsqueeze(0)?;
    classes.unsqueeze(1)?.broadcast_eq(&places)
}
