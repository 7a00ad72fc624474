//! D's update on one batch: losses, penalties and their gradients.

use super::{Batch, Objective, Seconds, UpdateContext, class_loss, elapsed_since, gradients, mean, mean_probability};
use crate::error::Result;
use candle_core::{D, Tensor, backprop::GradStore};
use gan_base::Rng;
use gan_core::ForwardContext;
use gan_core::Side;
use gan_core::penalties::Effect;
use gan_kernels::fused;
use std::time::Instant;

/// Computes D's losses and penalties on one batch. Returns its loss, D(x), D(G(z)), accuracy, penalty, and the decision threshold for
/// generated samples, and the gradients, weighted by the batch's share of all samples.
pub(super) fn on_batch(cx: &mut UpdateContext, batch: &Batch, seconds: &mut Seconds) -> Result<([f64; 6], GradStore)> {
    let share = cx.samples.part(batch)?;
    let UpdateContext { discriminator: d, objective, group, .. } = *cx;
    let optimizer = &*cx.optimizer;
    let rng = &mut *cx.rng;
    let mut start = Instant::now();
    let Some(real) = &batch.real else {
        return Err(candle_core::Error::Msg("D has no real samples to learn from".into()).into());
    };
    let seen_real = objective.view.of(real, rng)?;
    let seen_fake = objective.view.of(&batch.fake.detach(), rng)?;
    let (real, fake) = flipped(&seen_real, &seen_fake, objective, rng)?;
    let classes = batch.classes.as_ref();
    let scored = |x: &Tensor, classes: Option<&Tensor>, rng: &mut Rng| -> Result<Scored> {
        let output = d.forward(x, &mut ForwardContext::train(rng).of_classes(classes).over(&group.norms))?;
        Ok(Scored { classes: class_loss(output.classes.as_ref(), classes, objective)?, logits: output.logits })
    };
    let mut backward = |loss: Tensor, seconds: &mut Seconds| -> Result<(f64, GradStore)> {
        seconds.forward += elapsed_since(&mut start);
        let found = gradients(&loss, share)?;
        seconds.backward += elapsed_since(&mut start);
        Ok(found)
    };
    let (on_real, on_fake, loss, mut grads) = if objective.joint_batch {
        let both = classes.map(|classes| Tensor::cat(&[classes, classes], 0)).transpose()?;
        let scored = scored(&Tensor::cat(&[&real, &fake], 0)?, both.as_ref(), rng)?;
        let n = real.dim(0)?;
        let on_real = scored.logits.narrow(0, 0, n)?;
        let on_fake = scored.logits.narrow(0, n, fake.dim(0)?)?;
        let loss = objective.loss.discriminator_joint(&on_real, &on_fake, objective.labels)?;
        let (loss, grads) = backward(with_classes(loss, &scored)?, seconds)?;
        (on_real, on_fake, loss, grads)
    } else if objective.loss.properties().is_relativistic {
        let on_real = scored(&real, classes, rng)?;
        let on_fake = scored(&fake, classes, rng)?;
        let loss = objective.loss.discriminator(&on_real.logits, &on_fake.logits, objective.labels)?;
        let (loss, grads) = backward(with_classes(with_classes(loss, &on_real)?, &on_fake)?, seconds)?;
        (on_real.logits, on_fake.logits, loss, grads)
    } else {
        // The gradients of the two terms add up. Computing them one after the other keeps only one pass in memory.
        let mut part = |x: &Tensor, side: Side| -> Result<(Tensor, f64, GradStore)> {
            let scored = scored(x, classes, rng)?;
            let loss = objective.loss.discriminator_part(side, &scored.logits, objective.labels)?.mean_all()?;
            let (loss, grads) = backward(with_classes(loss, &scored)?, seconds)?;
            Ok((scored.logits.detach(), loss, grads))
        };
        let (on_real, loss_real, mut grads) = part(&real, Side::Real)?;
        let (on_fake, loss_fake, more) = part(&fake, Side::Fake)?;
        optimizer.add_gradients(&mut grads, &more)?;
        (on_real, on_fake, loss_real + loss_fake, grads)
    };
    let mut penalty = 0.0;
    for due in &objective.penalties {
        let Effect::Gradient(function) = due.kind.effect() else { continue };
        let classes = classes.map(|classes| due.share_of(classes)).transpose()?;
        let real = due.share_of(&seen_real)?;
        let fake = due.share_of(&seen_fake)?;
        let (value, tangent) = function.term(d, &real, &fake, classes.as_ref(), rng)?;
        optimizer.add_gradients(&mut grads, &fused::backward(&(tangent * (due.weight * share))?)?)?;
        penalty += due.weight * value;
    }
    seconds.backward += elapsed_since(&mut start);
    // Where logits have no zero of their own, each side is measured from the other's mean.
    let relative = !objective.loss.properties().has_threshold;
    let zero = |other: &Tensor| if relative { mean(other) } else { Ok(0.0) };
    let for_real = zero(&on_fake)?;
    let for_fake = zero(&on_real)?;
    let on_real = (on_real.detach() - for_real)?;
    let on_fake = (on_fake.detach() - for_fake)?;
    let right_real = share_above_zero(&on_real)?;
    let right_fake = 1.0 - share_above_zero(&on_fake)?;
    let n = real.dim(0)? as f64;
    let m = fake.dim(0)? as f64;
    let accuracy = (right_real * n + right_fake * m) / (n + m);
    let found = [loss, mean_probability(&on_real)?, mean_probability(&on_fake)?, accuracy, penalty, for_fake];
    Ok((found, grads))
}

/// D's logits, and the loss of its auxiliary classifier.
struct Scored {
    logits: Tensor,
    classes: Option<Tensor>,
}

fn with_classes(loss: Tensor, scored: &Scored) -> Result<Tensor> {
    Ok(scored.classes.as_ref().map_or(Ok(loss.clone()), |more| &loss + more)?)
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
