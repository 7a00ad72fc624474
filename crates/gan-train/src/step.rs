//! One update of each player: the mathematics of a GAN, apart from all machinery.
//!
//! D learns to tell x from G(z): it minimises [`gan_core::loss::discriminator`]. G learns from D's verdict on its samples: it
//! minimises [`gan_core::loss::generator`]. Penalties on D's gradient ([`gan_core::penalty`]) join D's loss. While one is stepped
//! the other's weights are left alone and cost no gradient work.

use crate::error::{Error, Result};
use crate::optimizer::Optimizer;
use candle_core::{D, Tensor, backprop::GradStore};
use gan_core::loss::{self, Side};
use gan_core::{Discriminator, Pass, Rng, Verdict};
use std::time::Instant;

mod objective;

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
        let of_batch = on_batch(d, optimizer, batch, objective, rng, step, &mut seconds)?;
        found.add(&of_batch.found, batch.fake.dim(0)?);
        total = Some(gathered(optimizer, total, of_batch.grads, share(batch, batches)?)?);
    }
    let mut start = Instant::now();
    let Some(mut grads) = total else { return Err(candle_core::Error::Msg("no batch to learn from".into()).into()) };
    let grad_norm = finite(optimizer.gradient_norm(&grads)?, "grad_norm_d", step)?;
    optimizer.clip(&mut grads, grad_norm, objective.clip_norm)?;
    optimizer.step(&grads)?;
    if let Some(limit) = objective.clip_weights {
        optimizer.clamp(limit)?;
    }
    seconds.optimizer += lap(&mut start);
    let [loss, real, fake, accuracy, penalty, zero] = found.mean();
    let penalty = (!objective.penalties.is_empty()).then_some(penalty);
    Ok(DUpdate { loss, real, fake, accuracy, grad_norm, penalty, zero, seconds })
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

/// What D finds on one batch, and its gradients.
struct OnBatch {
    /// Loss, D(x), D(G(z)), accuracy, penalty, and the logit that counts as zero for generated samples.
    found: [f64; 6],
    grads: GradStore,
}

fn on_batch(
    d: &dyn Discriminator,
    optimizer: &Optimizer,
    batch: &Batch,
    objective: &Objective,
    rng: &mut Rng,
    step: u64,
    seconds: &mut Seconds,
) -> Result<OnBatch> {
    let mut start = Instant::now();
    let Some(real) = &batch.real else {
        return Err(candle_core::Error::Msg("D has no real samples to learn from".into()).into());
    };
    let (seen_real, seen_fake) = (objective.view.of(real, rng)?, objective.view.of(&batch.fake.detach(), rng)?);
    let (real, fake) = flipped(&seen_real, &seen_fake, objective, rng)?;
    let classes = batch.classes.as_ref();
    let (on_real, on_fake, loss, mut grads) = match objective.batches {
        Batches::Separate if objective.loss.compares() => {
            let on_real = judged(d, &real, objective, classes, rng)?;
            let on_fake = judged(d, &fake, objective, classes, rng)?;
            let loss = loss::discriminator(objective.loss, &on_real.logits, &on_fake.logits, objective.labels)?;
            let loss = with_classes(with_classes(loss, &on_real)?, &on_fake)?;
            seconds.forward += lap(&mut start);
            let (loss, grads) = gradients(&loss, step, "loss_d")?;
            (on_real.logits, on_fake.logits, loss, grads)
        }
        Batches::Separate => {
            // The two terms' gradients add up; taken one after the other, only one pass is in memory.
            let mut part = |x: &Tensor, side: Side| -> Result<(Tensor, f64, GradStore)> {
                let judged = judged(d, x, objective, classes, rng)?;
                let loss =
                    loss::discriminator_part(objective.loss, side, &judged.logits, objective.labels)?.mean_all()?;
                let loss = with_classes(loss, &judged)?;
                seconds.forward += lap(&mut start);
                let (loss, grads) = gradients(&loss, step, "loss_d")?;
                seconds.backward += lap(&mut start);
                Ok((judged.logits.detach(), loss, grads))
            };
            let (on_real, loss_real, mut grads) = part(&real, Side::Real)?;
            let (on_fake, loss_fake, more) = part(&fake, Side::Fake)?;
            optimizer.add_gradients(&mut grads, &more)?;
            (on_real, on_fake, loss_real + loss_fake, grads)
        }
        Batches::Joint => {
            let both = classes.map(|classes| Tensor::cat(&[classes, classes], 0)).transpose()?;
            let judged = judged(d, &Tensor::cat(&[&real, &fake], 0)?, objective, both.as_ref(), rng)?;
            let (n, m) = (real.dim(0)?, fake.dim(0)?);
            let (on_real, on_fake) = (judged.logits.narrow(0, 0, n)?, judged.logits.narrow(0, n, m)?);
            let loss = loss::discriminator_joint(objective.loss, &on_real, &on_fake, objective.labels)?;
            let loss = with_classes(loss, &judged)?;
            seconds.forward += lap(&mut start);
            let (loss, grads) = gradients(&loss, step, "loss_d")?;
            (on_real, on_fake, loss, grads)
        }
    };
    let mut penalty = 0.0;
    for due in &objective.penalties {
        let classes = classes.map(|classes| due.some(classes)).transpose()?;
        let (value, tangent) =
            due.penalty.of(d, &due.some(&seen_real)?, &due.some(&seen_fake)?, classes.as_ref(), rng)?;
        optimizer.add_gradients(&mut grads, &(tangent * due.weight)?.backward()?)?;
        penalty = finite(penalty + due.weight * value, "penalty_d", step)?;
    }
    seconds.backward += lap(&mut start);
    // Where logits have no zero of their own, each side is seen from the other's mean.
    let relative = objective.loss.is_relative();
    let zero = |other: &Tensor| if relative { mean(other) } else { Ok(0.0) };
    let (for_real, for_fake) = (zero(&on_fake)?, zero(&on_real)?);
    let (on_real, on_fake) = ((on_real.detach() - for_real)?, (on_fake.detach() - for_fake)?);
    let (right_real, right_fake) = (share_above_zero(&on_real)?, 1.0 - share_above_zero(&on_fake)?);
    let (n, m) = (real.dim(0)? as f64, fake.dim(0)? as f64);
    let accuracy = (right_real * n + right_fake * m) / (n + m);
    let found = [loss, mean_probability(&on_real)?, mean_probability(&on_fake)?, accuracy, penalty, for_fake];
    Ok(OnBatch { found, grads })
}

/// D's logits, and what it is charged for taking samples for the wrong class.
struct Judged {
    logits: Tensor,
    classes: Option<Tensor>,
}

fn judged(
    d: &dyn Discriminator,
    x: &Tensor,
    objective: &Objective,
    classes: Option<&Tensor>,
    rng: &mut Rng,
) -> Result<Judged> {
    let verdict = d.forward(x, &mut Pass::train(rng).of_classes(classes))?;
    Ok(Judged { classes: charged(verdict.classes.as_ref(), classes, objective)?, logits: verdict.logits })
}

/// The auxiliary classifier's loss, as it counts.
fn charged(found: Option<&Tensor>, classes: Option<&Tensor>, objective: &Objective) -> Result<Option<Tensor>> {
    let (Some(found), Some(classes)) = (found, classes) else { return Ok(None) };
    Ok(Some((loss::auxiliary(found, classes)? * objective.auxiliary)?))
}

fn with_classes(loss: Tensor, judged: &Judged) -> Result<Tensor> {
    Ok(judged.classes.as_ref().map_or(Ok(loss.clone()), |more| &loss + more)?)
}

/// Real and generated samples, some of which have changed places: D is told wrongly what they are.
fn flipped(real: &Tensor, fake: &Tensor, objective: &Objective, rng: &mut Rng) -> Result<(Tensor, Tensor)> {
    let n = real.dim(0)?;
    if objective.flip == 0.0 || fake.dim(0)? != n {
        return Ok((real.clone(), fake.clone()));
    }
    let flips: Vec<u8> = (0..n).map(|_| u8::from(f64::from(rng.uniform(0.0, 1.0)) < objective.flip)).collect();
    let mut shape = vec![1; real.rank()];
    shape[0] = n;
    let flips = Tensor::from_vec(flips, shape, real.device())?.broadcast_as(real.shape())?;
    Ok((flips.where_cond(fake, real)?, flips.where_cond(real, fake)?))
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
        let (loss, logits, zero) = fooled(d, batch, zero, objective, rng)?;
        seconds.forward += lap(&mut start);
        let (loss, grads) = gradients(&loss, step, "loss_g")?;
        seconds.backward += lap(&mut start);
        found.add(&[loss, mean_probability(&(logits - zero)?)?], batch.fake.dim(0)?);
        total = Some(gathered(optimizer, total, grads, share(batch, batches)?)?);
    }
    let mut start = Instant::now();
    let Some(mut grads) = total else { return Err(candle_core::Error::Msg("no batch to learn from".into()).into()) };
    let grad_norm = finite(optimizer.gradient_norm(&grads)?, "grad_norm_g", step)?;
    optimizer.clip(&mut grads, grad_norm, objective.clip_norm)?;
    optimizer.step(&grads)?;
    seconds.optimizer = lap(&mut start);
    let [loss, fake] = found.mean();
    Ok(GUpdate { loss, fake, grad_norm, seconds })
}

/// G's loss on one batch, D's logits, and the logit that counts as zero.
fn fooled(
    d: &dyn Discriminator,
    batch: &Batch,
    zero: f64,
    objective: &Objective,
    rng: &mut Rng,
) -> Result<(Tensor, Tensor, f64)> {
    let (classes, matched) = (batch.classes.as_ref(), objective.feature_matching);
    let compared = batch.real.as_ref().filter(|_| objective.loss.compares() || matched.is_some());
    let forward = |x: &Tensor, rng: &mut Rng| -> Result<Verdict> {
        let x = objective.view.of(x, rng)?;
        let pass = Pass::frozen(rng).of_classes(classes);
        Ok(d.forward(&x, &mut if matched.is_some() { pass.with_features() } else { pass })?)
    };
    let on_real = compared.map(|real| forward(real, rng)).transpose()?;
    let on_fake = forward(&batch.fake, rng)?;
    let real_logits = on_real.as_ref().map(|verdict| verdict.logits.detach());
    let mut loss = loss::generator(objective.loss, &on_fake.logits, real_logits.as_ref())?;
    if let Some(charge) = charged(on_fake.classes.as_ref(), classes, objective)? {
        loss = (loss + charge)?;
    }
    let features = on_real.as_ref().and_then(|real| real.features.as_ref()).zip(on_fake.features.as_ref());
    if let (Some(weight), Some((real, fake))) = (matched, features) {
        loss = (loss + (loss::feature_matching(real, fake)? * weight)?)?;
    }
    let zero = match real_logits.filter(|_| objective.loss.is_relative()) {
        Some(logits) => mean(&logits)?,
        None => zero,
    };
    Ok((loss, on_fake.logits.detach(), zero))
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
