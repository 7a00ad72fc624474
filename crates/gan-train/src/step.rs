//! One update of each network: the mathematics of a GAN, separate from all machinery.
//!
//! D learns to distinguish x from G(z): it minimizes [`gan_core::Loss::discriminator`]. G learns from D's output for its samples: it
//! minimizes [`gan_core::Loss::generator`]. Penalties on D's gradient ([`gan_core::penalty`]) are added to D's loss. While one network is
//! updated, the weights of the other are frozen and cost no gradient work.

use crate::error::{Error, Result};
use crate::optimizer::Optimizer;
use candle_core::{Tensor, backprop::GradStore};
use gan_base::Rng;
use gan_core::Discriminator;
use std::time::Instant;

mod objective;
mod of_d;
mod of_g;
mod team;

pub use objective::{Batch, Batches, Due, Objective, Seen, View};
pub(crate) use team::Order;
pub use team::Team;

/// Results of an update of D.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DUpdate {
    /// Loss of D.
    pub loss: f64,
    /// Mean probability that D assigns to real samples, before the update.
    pub real: f64,
    /// Mean probability that D assigns to generated samples, before the update.
    pub fake: f64,
    /// Fraction of samples that D classifies correctly, before the update.
    pub accuracy: f64,
    /// Norm of D's gradient.
    pub grad_norm: f64,
    /// Weighted sum of the penalties, if there were any.
    pub penalty: Option<f64>,
    /// Decision threshold for the logits of generated samples: 0, or the mean of the real samples if only differences
    /// count.
    pub zero: f64,
    /// Duration of its parts.
    pub seconds: Seconds,
}

/// Seconds that the parts of an update took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seconds {
    /// Forward pass through D and the loss.
    pub forward: f64,
    /// Backward pass.
    pub backward: f64,
    /// Sums over all processes.
    pub together: f64,
    /// Norm of the gradients and the optimizer's step.
    pub optimizer: f64,
}

/// Returns the seconds since `start` and sets it to now.
fn lap(start: &mut Instant) -> f64 {
    let seconds = start.elapsed().as_secs_f64();
    *start = Instant::now();
    seconds
}

/// Results of an update of G.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GUpdate {
    /// Loss of G.
    pub loss: f64,
    /// Mean probability that D assigns to G's samples.
    pub fake: f64,
    /// Norm of G's gradient.
    pub grad_norm: f64,
    /// Duration of its parts.
    pub seconds: Seconds,
}

/// Updates D once on all batches, together with the other processes; `step` is for messages.
///
/// # Errors
/// If the loss or the gradient is not finite (weights are then unchanged, running averages are not), and from candle.
pub fn update_discriminator(
    d: &dyn Discriminator,
    optimizer: &mut Optimizer,
    seen: &Seen,
    objective: &Objective,
    team: &Team,
    rng: &mut Rng,
    step: u64,
) -> Result<DUpdate> {
    let mut seconds = Seconds::default();
    let mut found = Averaged::default();
    let mut grads: Option<GradStore> = None;
    for batch in &seen.batches {
        let part = (batch, seen.part(batch)?);
        let of_batch = of_d::on_batch(d, optimizer, part, objective, team, rng, &mut seconds)?;
        found.add(&of_batch.found, batch.fake.dim(0)?);
        gather(optimizer, &mut grads, of_batch.grads)?;
    }
    let mut start = Instant::now();
    let mut grads = grads.ok_or_else(no_batch)?;
    team.together(optimizer, &mut grads, &mut found.sums)?;
    seconds.together = lap(&mut start);
    let [loss, real, fake, accuracy, penalty, zero] = found.mean(seen.whole);
    finite(loss, "loss_d", step)?;
    finite(penalty, "penalty_d", step)?;
    let grad_norm = stepped(optimizer, grads, objective, "grad_norm_d", step)?;
    if let Some(limit) = objective.clip_weights {
        optimizer.clamp(limit)?;
    }
    seconds.optimizer += lap(&mut start);
    let penalty = (!objective.penalties.is_empty()).then_some(penalty);
    Ok(DUpdate { loss, real, fake, accuracy, grad_norm, penalty, zero, seconds })
}

fn no_batch() -> Error {
    candle_core::Error::Msg("no batch to learn from".into()).into()
}

/// Updates the weights with the gradients of all batches and returns their norm; `name` is for messages.
fn stepped(
    optimizer: &mut Optimizer,
    mut grads: GradStore,
    objective: &Objective,
    name: &'static str,
    step: u64,
) -> Result<f64> {
    let norm = finite(optimizer.gradient_norm(&grads)?, name, step)?;
    optimizer.clip(&mut grads, norm, objective.clip_norm)?;
    optimizer.step(&grads)?;
    Ok(norm)
}

/// Adds `grads` to `total`.
fn gather(optimizer: &Optimizer, total: &mut Option<GradStore>, grads: GradStore) -> Result<()> {
    match total {
        Some(total) => optimizer.add_gradients(total, &grads),
        None => {
            *total = Some(grads);
            Ok(())
        }
    }
}

/// Means over batches, weighted by their sizes.
struct Averaged<const N: usize> {
    sums: [f64; N],
}

impl<const N: usize> Default for Averaged<N> {
    fn default() -> Self {
        Self { sums: [0.0; N] }
    }
}

impl<const N: usize> Averaged<N> {
    fn add(&mut self, values: &[f64; N], count: usize) {
        self.sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value * count as f64);
    }

    fn mean(&self, count: usize) -> [f64; N] {
        self.sums.map(|sum| sum / count as f64)
    }
}

/// Updates G once from D's output for its samples, which must carry G's graph; D's weights do not change. `zero` is
/// [`DUpdate::zero`] of D's last update.
///
/// # Errors
/// If the loss or the gradient is not finite (weights are then unchanged, running averages are not), and from candle.
pub fn update_generator(
    d: &dyn Discriminator,
    optimizer: &mut Optimizer,
    (seen, zero): (&Seen, f64),
    objective: &Objective,
    team: &Team,
    rng: &mut Rng,
    step: u64,
) -> Result<GUpdate> {
    let mut seconds = Seconds::default();
    let mut found = Averaged::default();
    let mut grads: Option<GradStore> = None;
    for batch in &seen.batches {
        let mut start = Instant::now();
        let (loss, logits, zero) = of_g::fooled(d, batch, zero, objective, team, rng)?;
        seconds.forward += lap(&mut start);
        let (loss, of_batch) = gradients(&loss, seen.part(batch)?)?;
        seconds.backward += lap(&mut start);
        found.add(&[loss, mean_probability(&(logits - zero)?)?], batch.fake.dim(0)?);
        gather(optimizer, &mut grads, of_batch)?;
    }
    let mut start = Instant::now();
    let mut grads = grads.ok_or_else(no_batch)?;
    team.together(optimizer, &mut grads, &mut found.sums)?;
    seconds.together = lap(&mut start);
    let [loss, fake] = found.mean(seen.whole);
    finite(loss, "loss_g", step)?;
    let grad_norm = stepped(optimizer, grads, objective, "grad_norm_g", step)?;
    seconds.optimizer = lap(&mut start);
    Ok(GUpdate { loss, fake, grad_norm, seconds })
}

/// Returns the weighted loss of the auxiliary classifier.
fn charged(found: Option<&Tensor>, classes: Option<&Tensor>, objective: &Objective) -> Result<Option<Tensor>> {
    let (Some(found), Some(classes)) = (found, classes) else { return Ok(None) };
    Ok(Some((gan_core::loss::auxiliary(found, classes)? * objective.auxiliary)?))
}

/// Returns the value of the loss, and the gradients of `part` of it.
fn gradients(loss: &Tensor, part: f64) -> Result<(f64, GradStore)> {
    let value = f64::from(loss.to_scalar::<f32>()?);
    Ok((value, if part == 1.0 { loss.backward()? } else { (loss * part)?.backward()? }))
}

fn finite(value: f64, what: &'static str, step: u64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(Error::NotFinite { step, what, value }) }
}

/// Returns the mean of logits `[N]`.
fn mean(logits: &Tensor) -> Result<f64> {
    Ok(f64::from(logits.detach().mean_all()?.to_scalar::<f32>()?))
}

/// Returns the mean of σ(l) over logits `[N]`.
fn mean_probability(logits: &Tensor) -> Result<f64> {
    Ok(f64::from(gan_kernels::ops::sigmoid(&logits.detach())?.mean_all()?.to_scalar::<f32>()?))
}
