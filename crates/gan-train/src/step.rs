//! One update of each player: the mathematics of a GAN, apart from all machinery.
//!
//! D learns to tell x from G(z): it minimises [`gan_core::loss::discriminator`]. G learns from D's verdict on its samples: it
//! minimises [`gan_core::loss::generator`]. Penalties on D's gradient ([`gan_core::penalty`]) join D's loss. While one is stepped
//! the other's weights are left alone and cost no gradient work.

use crate::error::{Error, Result};
use crate::optimizer::Optimizer;
use candle_core::{Tensor, backprop::GradStore};
use gan_core::{Discriminator, Rng};
use std::time::Instant;

mod objective;
mod of_d;
mod of_g;

pub use objective::{Batch, Batches, Due, Objective, View};

/// What an update of D found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DUpdate {
    /// Its loss.
    pub loss: f64,
    /// Mean probability it gives to real samples, before the update.
    pub real: f64,
    /// Mean probability it gives to generated samples, before the update.
    pub fake: f64,
    /// Share of samples it takes for what they are, before the update.
    pub accuracy: f64,
    /// Norm of its gradient.
    pub grad_norm: f64,
    /// The weighted sum of its penalties, where there were any.
    pub penalty: Option<f64>,
    /// The logit that counts as zero for generated samples: 0, or the real samples' mean where only differences count.
    pub zero: f64,
    /// What it took.
    pub seconds: Seconds,
}

/// Seconds that the parts of an update took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seconds {
    /// Through D and the loss.
    pub forward: f64,
    /// Gradients.
    pub backward: f64,
    /// The gradients' norm and the optimiser's step.
    pub optimizer: f64,
}

/// Seconds since `start`, which becomes now.
fn lap(start: &mut Instant) -> f64 {
    let seconds = start.elapsed().as_secs_f64();
    *start = Instant::now();
    seconds
}

/// What an update of G found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GUpdate {
    /// Its loss.
    pub loss: f64,
    /// Mean probability that D gives to its samples.
    pub fake: f64,
    /// Norm of its gradient.
    pub grad_norm: f64,
    /// What it took.
    pub seconds: Seconds,
}

/// Steps D once on batches, whose gradients are averaged; `step` is for messages.
///
/// # Errors
/// If the loss or the gradient is not finite (no weight was changed then, running averages were), and from candle.
pub fn update_discriminator(
    d: &dyn Discriminator,
    optimizer: &mut Optimizer,
    batches: &[Batch],
    objective: &Objective,
    rng: &mut Rng,
    step: u64,
) -> Result<DUpdate> {
    let mut seconds = Seconds::default();
    let mut found = Averaged::default();
    let mut total: Option<GradStore> = None;
    for batch in batches {
        let of_batch = of_d::on_batch(d, optimizer, batch, objective, rng, step, &mut seconds)?;
        found.add(&of_batch.found, batch.fake.dim(0)?);
        total = Some(gathered(optimizer, total, of_batch.grads, share(batch, batches)?)?);
    }
    let mut start = Instant::now();
    let grad_norm = stepped(optimizer, total, objective, "grad_norm_d", step)?;
    if let Some(limit) = objective.clip_weights {
        optimizer.clamp(limit)?;
    }
    seconds.optimizer += lap(&mut start);
    let [loss, real, fake, accuracy, penalty, zero] = found.mean();
    let penalty = (!objective.penalties.is_empty()).then_some(penalty);
    Ok(DUpdate { loss, real, fake, accuracy, grad_norm, penalty, zero, seconds })
}

/// Steps by the gradients of all batches, and gives their norm, which is called `name`.
fn stepped(
    optimizer: &mut Optimizer,
    total: Option<GradStore>,
    objective: &Objective,
    name: &'static str,
    step: u64,
) -> Result<f64> {
    let Some(mut grads) = total else { return Err(candle_core::Error::Msg("no batch to learn from".into()).into()) };
    let norm = finite(optimizer.gradient_norm(&grads)?, name, step)?;
    optimizer.clip(&mut grads, norm, objective.clip_norm)?;
    optimizer.step(&grads)?;
    Ok(norm)
}

/// A batch's part of all samples.
fn share(batch: &Batch, all: &[Batch]) -> Result<f64> {
    let sizes = all.iter().map(|batch| batch.fake.dim(0)).collect::<candle_core::Result<Vec<_>>>()?;
    Ok(batch.fake.dim(0)? as f64 / sizes.iter().sum::<usize>() as f64)
}

/// `total` and `share` of `grads`.
fn gathered(optimizer: &Optimizer, total: Option<GradStore>, mut grads: GradStore, share: f64) -> Result<GradStore> {
    if share < 1.0 {
        optimizer.scale(&mut grads, share)?;
    }
    let Some(mut total) = total else { return Ok(grads) };
    optimizer.add_gradients(&mut total, &grads)?;
    Ok(total)
}

/// Means over batches, each counted by its size.
#[derive(Default)]
struct Averaged<const N: usize> {
    sums: Option<[f64; N]>,
    count: f64,
}

impl<const N: usize> Averaged<N> {
    fn add(&mut self, values: &[f64; N], count: usize) {
        let sums = self.sums.get_or_insert([0.0; N]);
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value * count as f64);
        self.count += count as f64;
    }

    fn mean(&self) -> [f64; N] {
        self.sums.map_or([f64::NAN; N], |sums| sums.map(|sum| sum / self.count))
    }
}

/// Steps G once through D's verdict on its samples, which must carry G's graph; D's weights stay as they are. `zero` is
/// [`DUpdate::zero`] of D's last update.
///
/// # Errors
/// If the loss or the gradient is not finite (no weight was changed then, running averages were), and from candle.
pub fn update_generator(
    d: &dyn Discriminator,
    optimizer: &mut Optimizer,
    (batches, zero): (&[Batch], f64),
    objective: &Objective,
    rng: &mut Rng,
    step: u64,
) -> Result<GUpdate> {
    let mut seconds = Seconds::default();
    let mut found = Averaged::default();
    let mut total: Option<GradStore> = None;
    for batch in batches {
        let mut start = Instant::now();
        let (loss, logits, zero) = of_g::fooled(d, batch, zero, objective, rng)?;
        seconds.forward += lap(&mut start);
        let (loss, grads) = gradients(&loss, step, "loss_g")?;
        seconds.backward += lap(&mut start);
        found.add(&[loss, mean_probability(&(logits - zero)?)?], batch.fake.dim(0)?);
        total = Some(gathered(optimizer, total, grads, share(batch, batches)?)?);
    }
    let mut start = Instant::now();
    let grad_norm = stepped(optimizer, total, objective, "grad_norm_g", step)?;
    seconds.optimizer = lap(&mut start);
    let [loss, fake] = found.mean();
    Ok(GUpdate { loss, fake, grad_norm, seconds })
}

/// The auxiliary classifier's loss, as it counts.
fn charged(found: Option<&Tensor>, classes: Option<&Tensor>, objective: &Objective) -> Result<Option<Tensor>> {
    let (Some(found), Some(classes)) = (found, classes) else { return Ok(None) };
    Ok(Some((gan_core::loss::auxiliary(found, classes)? * objective.auxiliary)?))
}

/// The loss's value, found finite, and its gradients.
fn gradients(loss: &Tensor, step: u64, name: &'static str) -> Result<(f64, GradStore)> {
    let value = finite(f64::from(loss.to_scalar::<f32>()?), name, step)?;
    Ok((value, loss.backward()?))
}

fn finite(value: f64, what: &'static str, step: u64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(Error::NotFinite { step, what, value }) }
}

/// Mean of logits `[N]`.
fn mean(logits: &Tensor) -> Result<f64> {
    Ok(f64::from(logits.detach().mean_all()?.to_scalar::<f32>()?))
}

/// Mean of σ(l) over logits `[N]`.
fn mean_probability(logits: &Tensor) -> Result<f64> {
    Ok(f64::from(gan_kernels::sigmoid(&logits.detach())?.mean_all()?.to_scalar::<f32>()?))
}
