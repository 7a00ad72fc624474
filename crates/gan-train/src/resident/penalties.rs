//! Penalties on D's gradient on a device.

use super::inputs::Input;
use super::passes::{BOTH, INPUT, PARAMETERS, Scored, joined};
use super::step::{Engine, Shape, nothing_made};
use crate::error::Result;
use crate::step::Objective;
use candle_core::{Device, Tensor};
use gan_base::Rng;
use gan_core::penalties::{Effect, GradientPenalty, Penalty};
use gan_core::{Side, Weights};
use gan_cuda::step::StepBackend;
use gan_kernels::backend::size;
use gan_kernels::fused::Value;
use std::ops::Range;
use std::sync::Arc;

/// Passes of a penalty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Those of the loss at the samples of a side.
    Shared(Side),
    /// Passes of its own.
    Alone,
}

/// A penalty of an update.
pub(super) struct Due<'a> {
    pub penalty: &'a Penalty,
    function: GradientPenalty,
    pub way: Way,
}

impl<'a> Due<'a> {
    /// Returns the penalties on D's gradient of an update. If D is linear around each sample, those at all samples of one side share the
    /// passes of the loss.
    pub fn all(objective: &'a Objective, is_linear: bool) -> Vec<Self> {
        let one = |penalty: &'a Penalty| {
            let Effect::Gradient(function) = penalty.kind.effect() else { return None };
            let shares = is_linear && penalty.share == 1.0 && function.is_half_square();
            let way = function.side().filter(|_| shares).map_or(Way::Alone, Way::Shared);
            Some(Self { penalty, function, way })
        };
        objective.penalties.iter().filter_map(one).collect()
    }

    /// Returns what determines its work.
    pub fn signature(&self) -> (&'static str, u64, Way) {
        (self.penalty.kind.name(), self.penalty.share.to_bits(), self.way)
    }

    /// Returns whether its points and directions are computed on the device.
    pub fn stays_there(&self) -> bool {
        self.function.side().is_some() && self.function.is_half_square()
    }

    /// Returns the number of samples that it is applied to.
    pub fn count(&self, shape: &Shape) -> usize {
        let [n, m] = shape.counts;
        let all = match self.function.side() {
            Some(Side::Real) => n,
            Some(Side::Fake) => m,
            None => n.min(m),
        };
        ((all as f64 * self.penalty.share).round() as usize).clamp(1, all)
    }
}

impl<B: StepBackend> Engine<B> {
    /// Sends what the derivative of each output counts, for the passes that penalties share and for those of their own.
    pub fn send_weights(&mut self, due: &[Due], shape: &Shape) {
        let width = size(self.discriminator.plan.output());
        for (index, due) in due.iter().enumerate().filter(|(_, due)| due.way == Way::Alone) {
            let count = due.count(shape);
            // With an auxiliary classifier, the logit is the first of several outputs.
            let mut weights = vec![0.0; count * width];
            weights.iter_mut().step_by(width).for_each(|to| *to = (due.penalty.weight / count as f64) as f32);
            self.send_input(Input::Weights(1 + index), &weights);
        }
        let sides = [Side::Real, Side::Fake];
        let weight = |side: Side| -> f64 {
            due.iter().filter(|due| due.way == Way::Shared(side)).map(|due| due.penalty.weight).sum()
        };
        if sides.iter().any(|side| weight(*side) != 0.0) {
            let of = |(side, count): (Side, usize)| vec![(weight(side) / count as f64) as f32; count];
            let both: Vec<f32> = sides.into_iter().zip(shape.counts).flat_map(of).collect();
            self.send_input(Input::Weights(0), &both);
        }
    }

    /// Computes D's gradient from that of its outputs, with the penalties. Returns the sum of those that do not stay on the device.
    pub fn learn(&mut self, due: &[Due], shape: &Shape, rng: &mut Rng) -> Result<f64> {
        let backend = self.backend.clone();
        self.discriminator.forget_gradients();
        let width = size(self.discriminator.plan.output());
        let slopes = self.narrow_input(Input::Slopes);
        let len = size(self.discriminator.plan.input());
        let mut from = 0;
        let mut samples = vec![];
        for scored in std::mem::take(&mut self.scored) {
            let count = scored.count();
            let rows = from..from + count;
            let own = backend.part(backend.slice(&slopes), rows.start * width..rows.end * width);
            let own = backend.copy(own);
            let mut start = 0;
            for (side, count) in &scored.sides {
                samples.push((*side, Value::<B>::clone(&scored.x), start * len));
                start += count;
            }
            let shares = |due: &Due| scored.sides.iter().any(|(side, _)| due.way == Way::Shared(*side));
            if due.iter().any(shares) {
                self.learn_linear(scored, own, rows.clone(), due)?;
            } else {
                self.discriminator.backward(scored.cx, count, own);
            }
            from = rows.end;
        }
        let mut penalty = 0.0;
        for (index, due) in due.iter().enumerate().filter(|(_, due)| due.way == Way::Alone) {
            penalty += self.learn_alone(1 + index, due, &samples, shape, rng)?;
        }
        let mut squares = backend.slice_mut(&mut self.squares);
        self.discriminator.sum_gradients(backend.part_mut(&mut squares, 0..B::SQUARES));
        Ok(penalty)
    }

    /// Computes the gradient of the outputs and of penalties γ/2·E‖∇ₓ‖² in the passes of the loss.
    fn learn_linear(&mut self, scored: Scored<B>, slopes: B::Buffer, rows: Range<usize>, due: &[Due]) -> Result<()> {
        let backend = self.backend.clone();
        let (count, sides, mut cx) = (scored.count(), scored.sides, scored.cx);
        let gradient = self.discriminator.adjoints(&mut cx, count).ok_or_else(nothing_made)?;
        let len = size(self.discriminator.plan.input());
        let mut start = 0;
        for (side, count) in sides {
            for (index, _) in due.iter().enumerate().filter(|(_, due)| due.way == Way::Shared(side)) {
                let part = backend.part(backend.slice(&gradient), start * len..(start + count) * len);
                self.square(1 + index, part);
            }
            start += count;
        }
        let mut directions = gradient;
        let weights = self.narrow_input(Input::Weights(0));
        let weights = backend.part(backend.slice(&weights), rows);
        backend.scale_samples(weights, None, backend.slice_mut(&mut directions));
        self.discriminator.linear_grads(cx, count, directions, Some(&slopes))
    }

    /// Keeps a sum of squares for the host.
    fn square(&mut self, index: usize, x: B::Slice<'_>) {
        let place = index * B::SQUARES..(index + 1) * B::SQUARES;
        let mut squares = self.backend.slice_mut(&mut self.squares);
        self.backend.squares_to(x, self.backend.part_mut(&mut squares, place));
    }

    /// Computes the gradient of a penalty in passes of its own. `samples` are where each side's lie. Returns the penalty if it does not stay on
    /// the device.
    fn learn_alone(
        &mut self,
        index: usize,
        due: &Due,
        samples: &[(Side, Value<B>, usize)],
        shape: &Shape,
        rng: &mut Rng,
    ) -> Result<f64> {
        let backend = self.backend.clone();
        let [h, w, c] = self.discriminator.plan.input();
        let len = h * w * c;
        let count = due.count(shape);
        let of_side = |wanted: Side| {
            let (_, x, start) = samples.iter().find(|(side, ..)| *side == wanted).expect("both sides were scored");
            backend.copy(backend.part(backend.slice(x), *start..start + count * len))
        };
        // The host's samples are channels-first.
        let host = |x: &B::Buffer| -> Result<Tensor> {
            let values = Tensor::new(backend.get(backend.slice(x)), &Device::Cpu)?;
            Ok(values.reshape((count, h, w, c))?.permute((0, 3, 1, 2))?.contiguous()?)
        };
        let x = match due.function.side() {
            Some(side) => of_side(side),
            None => {
                let points = due.function.points(&host(&of_side(Side::Real))?, &host(&of_side(Side::Fake))?, rng)?;
                self.discriminator.samples_of_host(&points.flatten_all()?.to_vec1::<f32>()?)
            }
        };
        let x = Value::<B>::from(x);
        let classes = shape.classes.as_ref().map(|all| match all.len() == count {
            true => Arc::clone(all),
            false => Arc::new(all[..count].to_vec()),
        });
        let is_linear = self.discriminator.plan.linearizes();
        // Dropout drops the same elements in all passes.
        let mut same = rng.clone();
        let needs = if is_linear { BOTH } else { INPUT };
        let pass = 16 * index as u32;
        let mut cx = self.drawing(rng, pass, |engine, draw| -> Result<_> {
            let d = &mut engine.discriminator;
            let mut cx = d.context(needs, Weights::Steady, [1, count], classes.as_ref(), draw)?;
            d.forward(Value::<B>::clone(&x), count, &mut cx)?;
            Ok(cx)
        })?;
        let (gradient, cx) = match is_linear {
            true => (self.discriminator.adjoints(&mut cx, count), Some(cx)),
            false => (self.discriminator.backward(cx, count, self.discriminator.ones(count)), None),
        };
        let gradient = gradient.ok_or_else(nothing_made)?;
        let (value, mut direction) = match due.stays_there() {
            true => {
                self.square(index, backend.slice(&gradient));
                (0.0, gradient)
            }
            false => {
                let (value, direction) = due.function.value(&host(&gradient)?)?;
                let direction = self.discriminator.samples_of_host(&direction.flatten_all()?.to_vec1::<f32>()?);
                (due.penalty.weight * value, direction)
            }
        };
        let weights = self.narrow_input(Input::Weights(index));
        match cx {
            Some(cx) => {
                backend.scale_samples(backend.slice(&weights), None, backend.slice_mut(&mut direction));
                self.discriminator.linear_grads(cx, count, direction, None)?;
            }
            None => {
                let both = joined(&backend, [&x, &direction]);
                self.drawing(&mut same, pass, |engine, draw| -> Result<()> {
                    let d = &mut engine.discriminator;
                    let cx = d.context(PARAMETERS, Weights::Steady, [1, count], classes.as_ref(), draw)?;
                    d.jvp(both, count, cx, weights)
                })?;
            }
        }
        Ok(value)
    }
}
