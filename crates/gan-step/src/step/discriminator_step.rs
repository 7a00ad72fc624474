//! D's update on one batch: losses, penalties and their gradients.

use super::{Batch, Objective, Seconds, UpdateContext, class_loss, gradients, mean, mean_probability};
use crate::error::Result;
use candle_core::{D, Tensor, Var, backprop::GradStore};
use gan_base::{Rng, Stopwatch};
use gan_core::penalties::{Effect, GradientPenalty, Penalty};
use gan_core::{ForwardContext, Linearized, Side};
use gan_kernels::fused;

/// Computes D's losses and penalties on one batch. Returns its loss, D(x), D(G(z)), accuracy, penalty, and the decision threshold for
/// generated samples, and the gradients, weighted by the batch's share of all samples.
pub(super) fn on_batch(cx: &mut UpdateContext, batch: &Batch, seconds: &mut Seconds) -> Result<([f64; 7], GradStore)> {
    let share = cx.samples.part(batch)?;
    let UpdateContext { discriminator: d, objective, group, .. } = *cx;
    let optimizer = &*cx.optimizer;
    let rng = &mut *cx.rng;
    let mut start = Stopwatch::start();
    let Some(real) = &batch.real else {
        return Err(candle_core::Error::Msg("D has no real samples to learn from".into()).into());
    };
    let seen_real = objective.view.of(real, rng)?;
    let seen_fake = objective.view.of(&batch.fake.detach(), rng)?;
    let (real, fake) = flipped(&seen_real, &seen_fake, objective, rng)?;
    let classes = batch.classes.as_ref();
    let mut due = due(objective);
    // Flipped samples are not those that penalties are for.
    let shares = |(due, function): &(&Penalty, GradientPenalty), side: Side| {
        due.share == 1.0 && function.side() == Some(side) && objective.flip == 0.0 && !objective.joint_batch
    };
    let shared = [Side::Real, Side::Fake].map(|side| due.iter().any(|due| shares(due, side)));
    let scored = |x: &Tensor, classes: Option<&Tensor>, shared: bool, rng: &mut Rng| -> Result<Scored> {
        let mut pass = ForwardContext::train(rng).of_classes(classes).over(&group.norms);
        if shared && let Some(pass) = d.linearize(x, &mut pass)? {
            return Ok(Scored { logits: pass.output().flatten_all()?, classes: None, pass: Some(pass) });
        }
        let output = d.forward(x, &mut pass)?;
        let classes = class_loss(output.classes.as_ref(), classes, objective)?;
        Ok(Scored { logits: output.logits, classes, pass: None })
    };
    let mut penalty = 0.0;
    // Adds the penalties that share a pass to the loss of its samples; they are no longer due then.
    let mut backward = |mut loss: Tensor, scored: &Scored, side: Side, seconds: &mut Seconds| -> Result<GradStore> {
        seconds.forward += start.lap();
        if let Some(pass) = &scored.pass {
            for (due, function) in due.extract_if(.., |due| shares(due, side)) {
                let (value, tangent) = function.of_pass(pass)?;
                loss = (loss + (tangent * due.weight)?)?;
                penalty += due.weight * value;
            }
        }
        let grads = gradients(&loss, share)?.1;
        seconds.backward += start.lap();
        Ok(grads)
    };
    let (on_real, on_fake, loss, mut grads) = if objective.joint_batch {
        let both = classes.map(|classes| Tensor::cat(&[classes, classes], 0)).transpose()?;
        let scored = scored(&Tensor::cat(&[&real, &fake], 0)?, both.as_ref(), false, rng)?;
        let n = real.dim(0)?;
        let on_real = scored.logits.narrow(0, 0, n)?;
        let on_fake = scored.logits.narrow(0, n, fake.dim(0)?)?;
        let loss = scored.with_classes(objective.loss.discriminator_joint(&on_real, &on_fake, objective.labels)?)?;
        (on_real, on_fake, scalar(&loss)?, backward(loss, &scored, Side::Real, seconds)?)
    } else if objective.loss.properties().is_relativistic {
        let on_real = scored(&real, classes, shared[0], rng)?;
        let on_fake = scored(&fake, classes, shared[1], rng)?;
        // With the loss's gradients by the logits, each side's backward pass runs and frees its memory before the other's begins.
        let real_logits = Var::from_tensor(&on_real.logits.detach())?;
        let fake_logits = Var::from_tensor(&on_fake.logits.detach())?;
        let loss = objective.loss.discriminator(&real_logits, &fake_logits, objective.labels)?;
        let by_logits = loss.backward()?;
        let mut value = scalar(&loss)?;
        let mut side = |scored: &Scored, logits: &Var, side: Side| -> Result<GradStore> {
            let slopes = by_logits.get(logits).map_or_else(|| logits.zeros_like(), |found| Ok(found.detach()))?;
            value += scored.classes.as_ref().map_or(Ok(0.0), scalar)?;
            let seeded = (&scored.logits * slopes)?.sum_all()?;
            backward(scored.with_classes(seeded)?, scored, side, seconds)
        };
        let mut grads = side(&on_real, &real_logits, Side::Real)?;
        optimizer.add_gradients(&mut grads, &side(&on_fake, &fake_logits, Side::Fake)?)?;
        (on_real.logits, on_fake.logits, value, grads)
    } else {
        // The gradients of the two terms add up. Computing them one after the other keeps only one pass in memory.
        let mut part = |x: &Tensor, side: Side, shared: bool| -> Result<(Tensor, f64, GradStore)> {
            let scored = scored(x, classes, shared, rng)?;
            let loss = objective.loss.discriminator_part(side, &scored.logits, objective.labels)?.mean_all()?;
            let loss = scored.with_classes(loss)?;
            Ok((scored.logits.detach(), scalar(&loss)?, backward(loss, &scored, side, seconds)?))
        };
        let (on_real, loss_real, mut grads) = part(&real, Side::Real, shared[0])?;
        let (on_fake, loss_fake, more) = part(&fake, Side::Fake, shared[1])?;
        optimizer.add_gradients(&mut grads, &more)?;
        (on_real, on_fake, loss_real + loss_fake, grads)
    };
    for (due, function) in due {
        let classes = classes.map(|classes| due.share_of(classes)).transpose()?;
        let real = due.share_of(&seen_real)?;
        let fake = due.share_of(&seen_fake)?;
        let (value, tangent) = function.term(d, &real, &fake, classes.as_ref(), rng)?;
        optimizer.add_gradients(&mut grads, &fused::backward(&(tangent * (due.weight * share))?)?)?;
        penalty += due.weight * value;
    }
    seconds.backward += start.lap();
    let [real, fake, accuracy, zero, sign] = judged(objective, &on_real, &on_fake)?;
    Ok(([loss, real, fake, accuracy, penalty, zero, sign], grads))
}

/// Returns D(x) and D(G(z)), D's accuracy, the decision threshold for generated samples, and r_t, from the logits of both sides.
pub fn judged(objective: &Objective, on_real: &Tensor, on_fake: &Tensor) -> Result<[f64; 5]> {
    // Where logits have no zero of their own, each side is measured from the other's mean.
    let relative = !objective.loss.properties().has_threshold;
    let zero = |other: &Tensor| if relative { mean(other) } else { Ok(0.0) };
    let for_real = zero(on_fake)?;
    let for_fake = zero(on_real)?;
    let on_real = (on_real.detach() - for_real)?;
    let on_fake = (on_fake.detach() - for_fake)?;
    let right_real = share_above_zero(&on_real)?;
    let right_fake = 1.0 - share_above_zero(&on_fake)?;
    let n = on_real.dim(0)? as f64;
    let m = on_fake.dim(0)? as f64;
    let accuracy = (right_real * n + right_fake * m) / (n + m);
    Ok([mean_probability(&on_real)?, mean_probability(&on_fake)?, accuracy, for_fake, 2.0 * right_real - 1.0])
}

/// Returns the penalties on D's gradient of this update.
fn due(objective: &Objective) -> Vec<(&Penalty, GradientPenalty)> {
    let on_gradient = objective.penalties.iter().filter_map(|due| match due.kind.effect() {
        Effect::Gradient(function) => Some((due, function)),
        Effect::Features(_) | Effect::Weights(_) => None,
    });
    on_gradient.collect()
}

/// D's logits, the loss of its auxiliary classifier, and the pass if penalties share it.
struct Scored {
    logits: Tensor,
    classes: Option<Tensor>,
    pass: Option<Linearized>,
}

impl Scored {
    fn with_classes(&self, loss: Tensor) -> Result<Tensor> {
        Ok(self.classes.as_ref().map_or(Ok(loss.clone()), |more| &loss + more)?)
    }
}

fn scalar(loss: &Tensor) -> Result<f64> {
    Ok(f64::from(loss.to_scalar::<f32>()?))
}

/// Returns real and generated samples after flipping labels: some of them have changed places.
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

/// Returns the fraction of the logits `[N]` above zero, which D classifies as real.
fn share_above_zero(logits: &Tensor) -> Result<f64> {
    let above = logits.detach().gt(&logits.zeros_like()?)?.to_dtype(candle_core::DType::F32)?;
    Ok(f64::from(above.mean(D::Minus1)?.to_scalar::<f32>()?))
}
