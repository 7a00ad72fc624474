//! Norms whose factors differ between samples, followed by a leaky ReLU: instance, group and layer norm, and batch norm whose scale and
//! shift depend on the class.

use super::batch_norm::{jvp_statistics, slope, statistics, with_grads};
use super::{Operation, classes};
use crate::backend::{Activation, Backend, SampleNormCall, SampleStatistics, Sides};
use crate::fused::pass::{Adjoint, At, Dtheta, NeedsGrad, PassContext, Value};
use crate::spec::product;
use candle_core::{Result, bail};

/// A norm whose statistics, or whose scale and shift, are those of each sample.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleNorm {
    /// What each sample has of its own.
    pub of: OwnFactors,
    /// Indices of γ's and of β's first number in the parameters; without, they are 1 and 0.
    pub affine: Option<[usize; 2]>,
    /// Added to the variance.
    pub eps: f64,
}

/// What each sample has of its own in a [`SampleNorm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnFactors {
    /// The statistics, of each of several equal groups of its channels. γ and β have one number per channel.
    Statistics {
        /// Number of groups.
        groups: usize,
    },
    /// γ and β, one row for each class. The statistics are those of the batch.
    Affine {
        /// Number of classes.
        classes: usize,
    },
}

impl SampleNorm {
    /// Returns the number of values of γ, and of β.
    fn affine_len(&self, channels: usize) -> usize {
        match self.of {
            OwnFactors::Statistics { .. } => channels,
            OwnFactors::Affine { classes } => product(&[classes, channels]),
        }
    }

    fn call<'a, B: Backend>(&self, at: &'a At<B>, cx: &'a PassContext<B>) -> Result<SampleNormCall<'a, B>> {
        let channels = at.planned().input[2];
        let len = self.affine_len(channels);
        let (statistics, classes) = match self.of {
            OwnFactors::Statistics { groups } => (SampleStatistics::Groups(groups), None),
            OwnFactors::Affine { .. } => {
                let Some(norm) = &cx.norms[at.index] else { bail!("a batch norm without statistics") };
                (SampleStatistics::Batch(norm, &cx.ranks), Some(classes::classes(cx)?))
            }
        };
        let rows = |start: usize| at.backend().part(at.theta, start..start + len);
        Ok(SampleNormCall {
            samples: at.samples,
            channels,
            statistics,
            affine: self.affine.map(|starts| starts.map(rows)),
            classes,
            eps: self.eps,
            slope: slope(at),
        })
    }
}

impl<B: Backend> Operation<B> for SampleNorm {
    fn output(&self, [h, w, c]: Sides) -> Result<Sides> {
        if let OwnFactors::Statistics { groups } = self.of
            && c.checked_rem(groups) != Some(0)
        {
            bail!("{groups} groups do not divide {c} channels");
        }
        Ok([h, w, c])
    }

    fn parameters(&self, [_, _, c]: Sides) -> Vec<(usize, usize)> {
        self.affine.into_iter().flatten().map(|start| (start, self.affine_len(c))).collect()
    }

    fn classes(&self) -> Option<usize> {
        match self.of {
            OwnFactors::Statistics { .. } => None,
            OwnFactors::Affine { classes } => Some(classes),
        }
    }

    fn fuses(&self, act: Activation) -> bool {
        matches!(act, Activation::LeakyRelu(_))
    }

    fn reads_input(&self, _: NeedsGrad) -> bool {
        true
    }

    fn forward(&self, at: &At<B>, x: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let x = backend.slice(&x);
        if let OwnFactors::Affine { .. } = self.of {
            cx.norms[at.index] = Some(statistics(at, x, cx)?);
        }
        let mut y = backend.uninit(backend.len(x));
        backend.sample_norm(&self.call(at, cx)?, x, backend.slice_mut(&mut y));
        Ok(y.into())
    }

    fn backward(
        &self,
        at: &At<B>,
        mut g: B::Buffer,
        cx: &mut PassContext<B>,
        dtheta: Dtheta<B>,
        _: bool,
    ) -> Option<B::Buffer> {
        let backend = at.backend();
        let x = at.input(cx)?;
        let x = backend.slice(&x);
        let call = self.call(at, cx).ok()?;
        let to = backend.slice_mut(&mut g);
        match (self.affine, dtheta) {
            (Some(starts), Some(dtheta)) => {
                let len = self.affine_len(call.channels);
                with_grads(backend, starts, len, dtheta, |grads| {
                    backend.sample_norm_grad(&call, x, to, Some(grads));
                });
            }
            _ => backend.sample_norm_grad(&call, x, to, None),
        }
        Some(g)
    }

    fn jvp(&self, at: &At<B>, both: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let half = at.output_len();
        let x = backend.part(backend.slice(&both), 0..half);
        if let OwnFactors::Affine { .. } = self.of {
            cx.norms[at.index] = Some(jvp_statistics(at, x)?);
        }
        let mut y = backend.copy(backend.slice(&both));
        {
            let call = self.call(at, cx)?;
            let [values, tangents] = backend.split_mut(backend.slice_mut(&mut y), half);
            backend.sample_norm_jvp(&call, x, tangents);
            backend.sample_norm(&call, x, values);
        }
        // The activation was already applied to the values.
        cx.save_and_differentiate(at, at.planned().act, &mut y);
        cx.values[at.index] = Some(both);
        Ok(y.into())
    }

    fn jvp_backward(
        &self,
        at: &At<B>,
        cx: &mut PassContext<B>,
        adjoint: Adjoint<B>,
        dtheta: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        let backend = at.backend();
        let input = cx.values[at.index].take()?;
        let call = self.call(at, cx).ok()?;
        Some(adjoint.before(backend, &input, |after, to| match self.affine {
            Some(starts) => {
                let len = self.affine_len(call.channels);
                with_grads(backend, starts, len, dtheta, |grads| {
                    backend.sample_norm_jvp_grad(&call, after, to, Some(grads));
                });
            }
            None => backend.sample_norm_jvp_grad(&call, after, to, None),
        }))
    }
}
