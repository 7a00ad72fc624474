//! One update of each player: the mathematics of a GAN, apart from all machinery.
//!
//! D learns to tell x from G(z): it minimises [`gan_core::loss::discriminator`]. G learns from D's verdict on its samples: it
//! minimises [`gan_core::loss::generator`]. Penalties on D's gradient ([`gan_core::penalty`]) join D's loss. While one is stepped
//! the other's weights are left alone and cost no gradient work.

use crate::error::{Error, Result};
use crate::optimizer::Optimizer;
use candle_core::{D, Tensor, backprop::GradStore};
use gan_core::loss::{self, Side};
use gan_core::{Discriminator, Labels, Loss, Pass, Penalty, Rng};
use std::time::Instant;

/// What the players minimise, and how D's batches are put together.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Both players' loss.
    pub loss: Loss,
    /// D's targets.
    pub labels: Labels,
    /// One batch of both kinds or two.
    pub batches: Batches,
    /// What D's gradient costs it in this update.
    pub penalties: Vec<Due>,
}

/// A penalty that is due.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// Which.
    pub penalty: Penalty,
    /// What it is multiplied by.
    pub weight: f64,
    /// The part of each batch that it is taken at.
    pub share: f64,
}

impl Due {
    /// The first samples of a batch, at least one.
    fn some(self, batch: &Tensor) -> Result<Tensor> {
        let n = batch.dim(0)?;
        Ok(batch.narrow(0, 0, ((n as f64 * self.share).round() as usize).clamp(1, n))?)
    }
}

/// How D sees real and generated samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batches {
    /// One after the other: batch norm has statistics for each, the losses add up.
    Separate,
    /// As one batch: the loss is the mean over all.
    Joint,
}

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

/// Steps D once on `real` and `fake` samples, `[N, C, H, W]` each; `step` is for messages.
///
/// # Errors
/// If the loss or the gradient is not finite (no weight was changed then, running averages were), and from candle.
pub fn update_discriminator(
    d: &dyn Discriminator,
    optimizer: &mut Optimizer,
    (real, fake): (&Tensor, &Tensor),
    objective: &Objective,
    rng: &mut Rng,
    step: u64,
) -> Result<DUpdate> {
    let mut pass = Pass::train(rng);
    let fake = fake.detach();
    let (mut seconds, mut start) = (Seconds::default(), Instant::now());
    let names = ["loss_d", "grad_norm_d"];
    let (on_real, on_fake, loss, mut grads) = match objective.batches {
        Batches::Separate if objective.loss.compares() => {
            let (on_real, on_fake) = (d.forward(real, &mut pass)?.logits, d.forward(&fake, &mut pass)?.logits);
            let loss = loss::discriminator(objective.loss, &on_real, &on_fake, objective.labels)?;
            seconds.forward += lap(&mut start);
            let (loss, grads) = gradients(&loss, step, names[0])?;
            (on_real, on_fake, loss, grads)
        }
        Batches::Separate => {
            // The two terms' gradients add up; taken one after the other, only one pass is in memory.
            let mut part = |x: &Tensor, side: Side| -> Result<(Tensor, f64, GradStore)> {
                let logits = d.forward(x, &mut pass)?.logits;
                let loss = loss::discriminator_part(objective.loss, side, &logits, objective.labels)?.mean_all()?;
                seconds.forward += lap(&mut start);
                let (loss, grads) = gradients(&loss, step, names[0])?;
                seconds.backward += lap(&mut start);
                Ok((logits.detach(), loss, grads))
            };
            let (on_real, loss_real, mut grads) = part(real, Side::Real)?;
            let (on_fake, loss_fake, more) = part(&fake, Side::Fake)?;
            optimizer.add_gradients(&mut grads, &more)?;
            (on_real, on_fake, loss_real + loss_fake, grads)
        }
        Batches::Joint => {
            let logits = d.forward(&Tensor::cat(&[real, &fake], 0)?, &mut pass)?.logits;
            let (n, m) = (real.dim(0)?, fake.dim(0)?);
            let (on_real, on_fake) = (logits.narrow(0, 0, n)?, logits.narrow(0, n, m)?);
            let loss = loss::discriminator_joint(objective.loss, &on_real, &on_fake, objective.labels)?;
            seconds.forward += lap(&mut start);
            let (loss, grads) = gradients(&loss, step, names[0])?;
            (on_real, on_fake, loss, grads)
        }
    };
    let mut penalty = None;
    for due in &objective.penalties {
        let (value, tangent) = due.penalty.of(d, &due.some(real)?, &due.some(&fake)?, rng)?;
        optimizer.add_gradients(&mut grads, &(tangent * due.weight)?.backward()?)?;
        penalty = Some(finite(penalty.unwrap_or(0.0) + due.weight * value, "penalty_d", step)?);
    }
    seconds.backward += lap(&mut start);
    let grad_norm = finite(optimizer.gradient_norm(&grads)?, names[1], step)?;
    // Where logits have no zero of their own, each side is seen from the other's mean.
    let relative = objective.loss.is_relative();
    let zero = |other: &Tensor| if relative { mean(other) } else { Ok(0.0) };
    let (for_real, for_fake) = (zero(&on_fake)?, zero(&on_real)?);
    let (on_real, on_fake) = ((on_real.detach() - for_real)?, (on_fake.detach() - for_fake)?);
    let (right_real, right_fake) = (share_above_zero(&on_real)?, 1.0 - share_above_zero(&on_fake)?);
    let (n, m) = (real.dim(0)? as f64, fake.dim(0)? as f64);
    let (real, fake) = (mean_probability(&on_real)?, mean_probability(&on_fake)?);
    optimizer.step(&grads)?;
    seconds.optimizer = lap(&mut start);
    Ok(DUpdate {
        loss,
        real,
        fake,
        accuracy: (right_real * n + right_fake * m) / (n + m),
        grad_norm,
        penalty,
        zero: for_fake,
        seconds,
    })
}

/// What G's update sees beside its own samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    /// Real samples `[N, C, H, W]`, for losses that compare with them.
    pub real: Option<&'a Tensor>,
    /// [`DUpdate::zero`] of D's last update.
    pub zero: f64,
}

/// Steps G once through D's verdict on its samples `fake`, which must carry G's graph; D's weights stay as they are.
///
/// # Errors
/// If the loss or the gradient is not finite (no weight was changed then, running averages were), and from candle.
pub fn update_generator(
    d: &dyn Discriminator,
    optimizer: &mut Optimizer,
    (fake, beside): (&Tensor, Beside),
    objective: &Objective,
    rng: &mut Rng,
    step: u64,
) -> Result<GUpdate> {
    let (mut seconds, mut start) = (Seconds::default(), Instant::now());
    let compared = beside.real.filter(|_| objective.loss.compares());
    let on_real = compared.map(|real| d.forward(real, &mut Pass::frozen(rng))).transpose()?;
    let on_real = on_real.map(|verdict| verdict.logits.detach());
    let on_fake = d.forward(fake, &mut Pass::frozen(rng))?.logits;
    let loss = loss::generator(objective.loss, &on_fake, on_real.as_ref())?;
    seconds.forward = lap(&mut start);
    let (loss, grads) = gradients(&loss, step, "loss_g")?;
    seconds.backward = lap(&mut start);
    let grad_norm = finite(optimizer.gradient_norm(&grads)?, "grad_norm_g", step)?;
    optimizer.step(&grads)?;
    seconds.optimizer = lap(&mut start);
    let zero = on_real.as_ref().map_or(Ok(beside.zero), mean)?;
    Ok(GUpdate { loss, fake: mean_probability(&(on_fake.detach() - zero)?)?, grad_norm, seconds })
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

/// Share of the logits `[N]` that lie above zero: taken for real.
fn share_above_zero(logits: &Tensor) -> Result<f64> {
    let above = logits.detach().gt(&logits.zeros_like()?)?.to_dtype(candle_core::DType::F32)?;
    Ok(f64::from(above.mean(D::Minus1)?.to_scalar::<f32>()?))
}
