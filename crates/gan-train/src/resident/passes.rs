//! The segments of an update: passes over both networks, which only read what lies on the device.

use super::inputs::Input;
use super::pass::Pass;
use super::step::{Engine, Shape, nothing_made};
use crate::error::Result;
use gan_base::Rng;
use gan_core::{Side, Weights};
use gan_cuda::step::StepBackend;
use gan_kernels::fused::{NeedsGrad, Value};

pub(super) const PARAMETERS: NeedsGrad = NeedsGrad { input: false, parameters: true };
pub(super) const INPUT: NeedsGrad = NeedsGrad { input: true, parameters: false };
pub(super) const BOTH: NeedsGrad = NeedsGrad { input: true, parameters: true };
const NOTHING: NeedsGrad = NeedsGrad { input: false, parameters: false };

/// Generated samples.
pub(super) struct Made<B: StepBackend> {
    pub images: Value<B>,
    /// G's pass, if G learns from them.
    pub cx: Option<Pass<B>>,
}

/// A pass of D over the samples of one side, or of both in turn.
pub(super) struct Scored<B: StepBackend> {
    pub x: Value<B>,
    pub y: Value<B>,
    pub cx: Pass<B>,
    /// Sides and their numbers of samples.
    pub sides: Vec<(Side, usize)>,
}

impl<B: StepBackend> Scored<B> {
    pub fn count(&self) -> usize {
        self.sides.iter().map(|(_, count)| count).sum()
    }
}

impl<B: StepBackend> Engine<B> {
    /// Generates samples from the latents that were sent.
    pub fn make(&mut self, shape: &Shape, is_learned_from: bool, rng: &mut Rng) -> Result<()> {
        let count = shape.made;
        let needs = if is_learned_from { PARAMETERS } else { NOTHING };
        let z = self.generator.samples(self.input(Input::Latents));
        self.made = self.drawing(rng, 0, |engine, draw| -> Result<_> {
            let mut cx = engine.generator.context(needs, Weights::Trained, [1, count], shape.classes.as_ref(), draw)?;
            let images = engine.generator.forward(z, count, &mut cx)?;
            Ok(Some(Made { images, cx: is_learned_from.then_some(cx) }))
        })?;
        Ok(())
    }

    /// Generates samples with running averages, and copies them to where segments read them.
    pub fn make_by_averages(&mut self, shape: &Shape) -> Result<()> {
        let z = self.generator.samples(self.input(Input::Latents));
        let mut cx = self.generator.evaluation(shape.classes.as_ref());
        let images = self.generator.forward(z, shape.made, &mut cx)?;
        let backend = self.backend.clone();
        let images = backend.slice(&images);
        backend.copy_to(images, backend.slice_mut(self.place_of(Input::Fake, backend.len(images))));
        Ok(())
    }

    /// Runs D on both sides, in one pass if that is the same, and keeps the outputs. With spectral norm it differs: the power iteration of the
    /// second pass changes the kernels.
    pub fn score(&mut self, shape: &Shape, joint: bool, shared: [bool; 2], rng: &mut Rng) -> Result<()> {
        let fake = match &self.made {
            Some(made) => Value::<B>::clone(&made.images),
            None => self.narrow_input(Input::Fake).into(),
        };
        let real = self.seen(Side::Real, self.real());
        let fake = self.seen(Side::Fake, fake);
        let [n, m] = shape.counts;
        let sides = [(Side::Real, n), (Side::Fake, m)];
        let d = &self.discriminator;
        let in_one = joint || (n == m && d.plan.joins_batches() && !d.has_spectral_norm());
        let batches = match in_one {
            true => {
                let both = joined(&self.backend, [&real, &fake]);
                vec![(both.into(), sides.to_vec(), shared[0] || shared[1])]
            }
            false => vec![(real, vec![sides[0]], shared[0]), (fake, vec![sides[1]], shared[1])],
        };
        self.scored.clear();
        self.drawing(rng, 1, |engine, draw| -> Result<()> {
            for (x, sides, is_shared) in batches {
                let needs = if is_shared { BOTH } else { PARAMETERS };
                // One batch of both kinds has common statistics; otherwise each side has its own.
                let groups = if joint { 1 } else { sides.len() };
                let count: usize = sides.iter().map(|(_, count)| count).sum();
                let d = &mut engine.discriminator;
                let sizes = [groups, count / groups];
                let mut cx = d.context(needs, Weights::Trained, sizes, shape.classes.as_ref(), draw)?;
                let y = d.forward(Value::<B>::clone(&x), count, &mut cx)?;
                engine.scored.push(Scored { x, y, cx, sides });
            }
            Ok(())
        })?;
        let outputs: Vec<Value<B>> = self.scored.iter().map(|scored| Value::<B>::clone(&scored.y)).collect();
        self.keep(&outputs);
        Ok(())
    }

    /// Runs D on G's samples, and on real ones that the loss compares them with.
    pub fn judge(&mut self, shape: &Shape, rng: &mut Rng) -> Result<()> {
        let Some(made) = &self.made else { return Err(nothing_made()) };
        let images = self.seen(Side::Fake, Value::<B>::clone(&made.images));
        let [n, m] = shape.counts;
        let real = (n > 0).then(|| self.seen(Side::Real, self.real()));
        self.scored.clear();
        let outputs = self.drawing(rng, 8, |engine, draw| -> Result<_> {
            let mut outputs = vec![];
            let d = &mut engine.discriminator;
            if let Some(real) = real {
                let mut cx = d.context(NOTHING, Weights::Frozen, [1, n], shape.classes.as_ref(), draw)?;
                outputs.push(d.forward(real, n, &mut cx)?);
            }
            let mut cx = d.context(INPUT, Weights::Frozen, [1, m], shape.classes.as_ref(), draw)?;
            let x = Value::<B>::clone(&images);
            let y = d.forward(images, m, &mut cx)?;
            outputs.push(Value::<B>::clone(&y));
            engine.scored.push(Scored { x, y, cx, sides: vec![(Side::Fake, m)] });
            Ok(outputs)
        })?;
        self.keep(&outputs);
        Ok(())
    }

    /// Computes G's gradient from that of D's outputs.
    pub fn teach(&mut self, shape: &Shape) -> Result<()> {
        let made = self.made.take();
        let (Some(Scored { cx, .. }), Some(Made { cx: Some(of_generator), .. })) = (self.scored.pop(), made) else {
            return Err(nothing_made());
        };
        let slopes = self.narrow_input(Input::Slopes);
        let g = self.discriminator.backward(cx, shape.counts[1], slopes).ok_or_else(nothing_made)?;
        let g = self.seen_grad(Side::Fake, g);
        self.generator.forget_gradients();
        self.generator.backward(of_generator, shape.made, g);
        let mut squares = self.backend.slice_mut(&mut self.squares);
        self.generator.sum_gradients(self.backend.part_mut(&mut squares, 0..B::SQUARES));
        Ok(())
    }
}

/// Returns two arrays, one after the other.
pub(super) fn joined<B: StepBackend>(backend: &B, parts: [&B::Buffer; 2]) -> B::Buffer {
    let [first, second] = parts.map(|part| backend.slice(part));
    let mut both = backend.uninit(backend.len(first) + backend.len(second));
    let [to_first, to_second] = backend.split_mut(backend.slice_mut(&mut both), backend.len(first));
    backend.copy_to(first, to_first);
    backend.copy_to(second, to_second);
    both
}
