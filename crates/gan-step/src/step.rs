//! One update of each network: the mathematics of a GAN, separate from all machinery.
//!
//! D learns to distinguish x from G(z): it minimizes [`gan_core::LossFunction::discriminator`]. G learns from D's output for its samples: it
//! minimizes [`gan_core::LossFunction::generator`]. Penalties on D's gradient ([`gan_core::penalties`]) are added to D's loss. While one network is
//! updated, the weights of the other are frozen and cost no gradient work.

use crate::error::{Error, Result};
use crate::optimizers::Optimizer;
use candle_core::{Tensor, backprop::GradStore};
use gan_base::{Rng, Stopwatch};
use gan_core::Discriminator;
use gan_core::penalties::{Effect, Penalty};
use gan_kernels::fused::backward;

mod discriminator_step;
mod generator_step;
mod objective;
mod process_group;

pub use discriminator_step::judged;
pub use objective::{Batch, DiscriminatorInput, MicroBatches, Objective};
pub use process_group::ProcessGroup;
pub use process_group::{Order, unreadable};

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
    /// Decision threshold for the logits of generated samples: 0, or the mean of the real samples if only differences count.
    pub zero: f64,
    /// r_t = E[sign(l(x))] over D's logits of real samples, from −1 to 1, before the update (Karras et al. 2020, arXiv:2006.06676).
    pub sign: f64,
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

/// What an update has to work with.
pub struct UpdateContext<'a> {
    /// D.
    pub discriminator: &'a dyn Discriminator,
    /// The optimizer of the network that is updated.
    pub optimizer: &'a mut Optimizer,
    /// The samples.
    pub samples: &'a MicroBatches,
    /// What both networks minimize.
    pub objective: &'a Objective,
    /// The processes that train together.
    pub group: &'a ProcessGroup,
    /// Dropout, augmentation, flips.
    pub rng: &'a mut Rng,
    /// The number of the step, for messages.
    pub step: u64,
}

/// One update of each network. The methods do what the settings say; a training step of your own replaces either
/// (`Trainer::set_step` of gan-train).
pub trait TrainingStep: Send + Sync {
    /// Updates D once on all batches, together with those of the other processes.
    ///
    /// # Errors
    /// If the loss or the gradient is not finite (no weight was changed then, running averages were), and from candle.
    fn update_discriminator(&self, mut cx: UpdateContext) -> Result<DUpdate> {
        let mut seconds = Seconds::default();
        let mut sums = [0.0; 7];
        let mut grads: Option<GradStore> = None;
        for batch in &cx.samples.batches {
            let (found, of_batch) = discriminator_step::on_batch(&mut cx, batch, &mut seconds)?;
            add(&mut sums, found, batch)?;
            accumulate(cx.optimizer, &mut grads, of_batch)?;
        }
        let mut start = Stopwatch::start();
        let (grads, [loss, real, fake, accuracy, penalty, zero, sign]) = over_ranks(&cx, grads, sums)?;
        seconds.together = start.lap();
        let UpdateContext { optimizer, objective, step, .. } = cx;
        finite(loss, "loss_d", step)?;
        finite(penalty, "penalty_d", step)?;
        let grad_norm = stepped(optimizer, grads, objective, "grad_norm_d", step)?;
        for penalty in &objective.penalties {
            if let Effect::Weights(limited) = penalty.kind.effect() {
                optimizer.map_weights(|weights| limited(weights, penalty.weight))?;
            }
        }
        seconds.optimizer += start.lap();
        let is_on_gradient = |penalty: &Penalty| matches!(penalty.kind.effect(), Effect::Gradient(_));
        let penalty = objective.penalties.iter().any(is_on_gradient).then_some(penalty);
        Ok(DUpdate { loss, real, fake, accuracy, grad_norm, penalty, zero, sign, seconds })
    }

    /// Updates G once by D's output on its samples, which must carry G's graph; D's weights stay as they are. `zero` is
    /// [`DUpdate::zero`] of D's last update.
    ///
    /// # Errors
    /// As [`TrainingStep::update_discriminator`].
    fn update_generator(&self, mut cx: UpdateContext, zero: f64) -> Result<GUpdate> {
        let mut seconds = Seconds::default();
        let mut sums = [0.0; 2];
        let mut grads: Option<GradStore> = None;
        for batch in &cx.samples.batches {
            let mut start = Stopwatch::start();
            let (loss, logits, zero) = generator_step::generator_loss(&mut cx, batch, zero)?;
            seconds.forward += start.lap();
            let (loss, of_batch) = gradients(&loss, cx.samples.part(batch)?)?;
            seconds.backward += start.lap();
            add(&mut sums, [loss, mean_probability(&(logits - zero)?)?], batch)?;
            accumulate(cx.optimizer, &mut grads, of_batch)?;
        }
        let mut start = Stopwatch::start();
        let (grads, [loss, fake]) = over_ranks(&cx, grads, sums)?;
        seconds.together = start.lap();
        finite(loss, "loss_g", cx.step)?;
        let grad_norm = stepped(cx.optimizer, grads, cx.objective, "grad_norm_g", cx.step)?;
        seconds.optimizer = start.lap();
        Ok(GUpdate { loss, fake, grad_norm, seconds })
    }
}

/// The step that the settings describe.
pub struct StandardStep;

impl TrainingStep for StandardStep {}

/// Adds the means of a batch to the sums over all samples.
fn add<const N: usize>(sums: &mut [f64; N], means: [f64; N], batch: &Batch) -> Result<()> {
    let count = batch.fake.dim(0)? as f64;
    sums.iter_mut().zip(means).for_each(|(sum, mean)| *sum += mean * count);
    Ok(())
}

/// Adds `grads` to `total`.
fn accumulate(optimizer: &Optimizer, total: &mut Option<GradStore>, grads: GradStore) -> Result<()> {
    match total {
        Some(total) => optimizer.add_gradients(total, &grads)?,
        None => *total = Some(grads),
    }
    Ok(())
}

/// Returns the gradients summed over all ranks, and the means over the samples of all ranks.
fn over_ranks<const N: usize>(
    cx: &UpdateContext,
    grads: Option<GradStore>,
    mut sums: [f64; N],
) -> Result<(GradStore, [f64; N])> {
    let mut grads = grads.ok_or_else(|| candle_core::Error::Msg("no batch to learn from".into()))?;
    let ranks = &cx.group.ranks;
    if ranks.size() > 1 {
        cx.optimizer.sum_over(&mut grads, ranks.as_ref())?;
        ranks.sum_wide(&mut sums)?;
    }
    Ok((grads, sums.map(|sum| sum / cx.samples.whole as f64)))
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

/// Returns the weighted loss of the auxiliary classifier.
pub fn class_loss(found: Option<&Tensor>, classes: Option<&Tensor>, objective: &Objective) -> Result<Option<Tensor>> {
    let (Some(found), Some(classes)) = (found, classes) else { return Ok(None) };
    Ok(Some((gan_core::auxiliary_loss(found, classes)? * objective.auxiliary)?))
}

/// Returns the value of the loss, and the gradients of `part` of it.
fn gradients(loss: &Tensor, part: f64) -> Result<(f64, GradStore)> {
    let value = f64::from(loss.to_scalar::<f32>()?);
    Ok((value, if part == 1.0 { backward(loss)? } else { backward(&(loss * part)?)? }))
}

/// Returns a value if it is finite.
///
/// # Errors
/// If it is not, with its name and the number of the step.
pub fn finite(value: f64, what: &'static str, step: u64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(Error::NotFinite { step, what, value }) }
}

/// Returns the mean of logits `[N]`.
pub fn mean(logits: &Tensor) -> Result<f64> {
    Ok(f64::from(logits.detach().mean_all()?.to_scalar::<f32>()?))
}

/// Returns the mean of σ(l) over logits `[N]`.
pub fn mean_probability(logits: &Tensor) -> Result<f64> {
    Ok(f64::from(gan_kernels::ops::sigmoid(&logits.detach())?.mean_all()?.to_scalar::<f32>()?))
}
