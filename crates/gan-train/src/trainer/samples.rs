//! G's samples for the updates: in micro-batches, with classes, from fresh noise.

use super::{Parts, Trainer};
use crate::config::FakesMode;
use crate::error::Result;
use crate::step::{Batch, MicroBatches};
use candle_core::Tensor;
use gan_core::ForwardContext;
use gan_core::draw_classes;
use std::time::Instant;

/// Network whose update the samples are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Samples {
    OfD,
    OfG,
}

/// Last input of D in a step.
pub(super) struct Last {
    /// Number of samples of the batch over all processes.
    pub whole: usize,
    /// All of it, where G may learn from the same samples.
    pub seen: Option<MicroBatches>,
    pub real: Option<Tensor>,
    pub classes: Option<Tensor>,
}

impl Trainer {
    /// Returns classes for new samples: those of the last real ones, or uniformly random ones if there are none.
    pub(super) fn classes(&mut self, last: &Last) -> Result<Option<Tensor>> {
        match &last.classes {
            Some(classes) => Ok(Some(classes.clone())),
            None => {
                let drawn = draw_classes(self.generator.as_ref(), last.whole, &mut self.noise, &self.device)?;
                Ok(drawn.map(|all| self.own(&all)).transpose()?)
            }
        }
    }

    /// This process's real samples, and as many of G's of the same classes, in the parts that the settings ask for.
    pub(super) fn make_fakes(
        &mut self,
        whose: Samples,
        (real, classes): (Option<&Tensor>, Option<&Tensor>),
        whole: usize,
        mode: FakesMode,
        parts: &mut Parts,
    ) -> Result<MicroBatches> {
        let z = self.latents(whole)?;
        let size = z.dim(0)?;
        let train = self.plan.config().train.clone();
        let (pack, keeps) = (train.pacgan, whose == Samples::OfG || train.reuse_fakes);
        // Micro-batches differ by at most one pack, so that none is too small for batch norm alone.
        let units = size / pack;
        let count = train.accumulate.clamp(1, units.max(1));
        let bounds: Vec<usize> = (0..count).map(|i| i * units / count * pack).chain([size]).collect();
        let mut batches = vec![];
        for bounds in bounds.windows(2) {
            let (from, n) = (bounds[0], bounds[1] - bounds[0]);
            let part = |all: Option<&Tensor>| all.map(|all| all.narrow(0, from, n)).transpose();
            let (real, classes) = (part(real)?, part(classes)?);
            let start = Instant::now();
            let fake = self.samples(&z.narrow(0, from, n)?, classes.as_ref(), mode)?;
            parts.generate += start.elapsed().as_secs_f64();
            // D's update does not need the memory of G's graph.
            let fake = if keeps { fake } else { fake.detach() };
            batches.push(Batch { real, fake, classes });
        }
        Ok(MicroBatches { batches, whole })
    }

    /// Returns this process's rows of fresh noise for a whole batch of `whole`.
    fn latents(&mut self, whole: usize) -> Result<Tensor> {
        let z = match self.queued.pop_front() {
            Some(z) if z.dim(0)? != whole => {
                let problem = format!("{} latent vectors were queued where {whole} samples are made", z.dim(0)?);
                return Err(candle_core::Error::Msg(problem).into());
            }
            Some(z) => z.to_device(&self.device)?,
            None => self.plan.config().latent.sample(whole, &mut self.noise, &self.device)?,
        };
        Ok(self.own(&z)?)
    }

    /// Generates samples from latent vectors.
    fn samples(&mut self, z: &Tensor, classes: Option<&Tensor>, mode: FakesMode) -> Result<Tensor> {
        let pass = match mode {
            FakesMode::Train => ForwardContext::train(&mut self.dropout).over(&self.group.norms),
            FakesMode::Eval => ForwardContext::eval(),
        };
        Ok(self.generator.forward(z, &mut pass.of_classes(classes))?)
    }
}
