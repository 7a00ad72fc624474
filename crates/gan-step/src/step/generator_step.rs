//! G's update on one batch: G's loss from D's output.

use super::{Batch, UpdateContext, class_loss, mean};
use crate::error::Result;
use candle_core::Tensor;
use gan_base::Rng;
use gan_core::penalties::Effect;
use gan_core::{DiscriminatorOutput, ForwardContext};

/// Returns G's loss on one batch, D's logits, and the logit that counts as zero.
pub(super) fn generator_loss(cx: &mut UpdateContext, batch: &Batch, zero: f64) -> Result<(Tensor, Tensor, f64)> {
    let UpdateContext { discriminator: d, objective, group, .. } = *cx;
    let rng = &mut *cx.rng;
    let classes = batch.classes.as_ref();
    let matched = objective.penalties.iter().find_map(|penalty| match penalty.kind.effect() {
        Effect::Features(distance) => Some((distance, penalty.weight)),
        Effect::Gradient(_) | Effect::Weights(_) => None,
    });
    let compared = batch.real.as_ref().filter(|_| objective.loss.properties().is_relativistic || matched.is_some());
    let forward = |x: &Tensor, rng: &mut Rng| -> Result<DiscriminatorOutput> {
        let x = objective.view.of(x, rng)?;
        let pass = ForwardContext::frozen(rng).of_classes(classes).over(&group.norms);
        Ok(d.forward(&x, &mut if matched.is_some() { pass.with_features() } else { pass })?)
    };
    let on_real = compared.map(|real| forward(real, rng)).transpose()?;
    let on_fake = forward(&batch.fake, rng)?;
    let real_logits = on_real.as_ref().map(|output| output.logits.detach());
    let mut loss = objective.loss.generator(&on_fake.logits, real_logits.as_ref())?;
    if let Some(charge) = class_loss(on_fake.classes.as_ref(), classes, objective)? {
        loss = (loss + charge)?;
    }
    let features = on_real.as_ref().and_then(|real| real.features.as_ref()).zip(on_fake.features.as_ref());
    if let (Some((distance, weight)), Some((real, fake))) = (matched, features) {
        loss = (loss + (distance(real, fake)? * weight)?)?;
    }
    let zero = match real_logits.filter(|_| !objective.loss.properties().has_threshold) {
        Some(logits) => mean(&logits)?,
        None => zero,
    };
    Ok((loss, on_fake.logits.detach(), zero))
}
