//! The outputs of a discriminator on the host: losses over them, and their gradients.

use crate::error::Result;
use crate::step::{Objective, class_loss};
use candle_core::{Device, Tensor, Var, backprop::GradStore};
use gan_core::Side;

/// D's outputs for the samples of one side.
pub(super) struct Outputs {
    /// `[N]`
    pub logits: Var,
    /// Logits of the auxiliary classifier `[N, classes]`, if there is one.
    classes: Option<Var>,
}

impl Outputs {
    /// Returns the outputs `[N, 1 + classes]` of a network.
    pub fn new(values: &[f32], samples: usize) -> Result<Self> {
        let width = values.len() / samples.max(1);
        let all = Tensor::from_slice(values, (samples, width), &Device::Cpu)?;
        let classes = (width > 1).then(|| Var::from_tensor(&all.narrow(1, 1, width - 1)?.contiguous()?)).transpose()?;
        Ok(Self { logits: Var::from_tensor(&all.narrow(1, 0, 1)?.flatten_all()?)?, classes })
    }

    /// Returns the gradient of the loss by the outputs `[N, 1 + classes]`.
    pub fn slopes(&self, grads: &GradStore) -> Result<Vec<f32>> {
        let of = |var: &Var| grads.get(var).map_or_else(|| var.zeros_like(), |found| Ok(found.clone()));
        let mut all = vec![of(&self.logits)?.unsqueeze(1)?];
        all.extend(self.classes.as_ref().map(of).transpose()?);
        Ok(Tensor::cat(&all, 1)?.flatten_all()?.to_vec1()?)
    }

    fn class_loss(&self, classes: Option<&Tensor>, objective: &Objective) -> Result<Option<Tensor>> {
        Ok(class_loss(self.classes.as_ref().map(Var::as_tensor), classes, objective)?)
    }
}

/// Returns D's loss over the outputs for real and for generated samples.
pub(super) fn discriminator_loss(
    objective: &Objective,
    [real, fake]: [&Outputs; 2],
    classes: Option<&Tensor>,
) -> Result<Tensor> {
    let (r, f) = (real.logits.as_tensor(), fake.logits.as_tensor());
    let labels = objective.labels;
    let function = &objective.loss;
    let mut loss = if objective.joint_batch {
        function.discriminator_joint(r, f, labels)?
    } else if function.properties().is_relativistic {
        function.discriminator(r, f, labels)?
    } else {
        let part = |side, logits| function.discriminator_part(side, logits, labels)?.mean_all();
        (part(Side::Real, r)? + part(Side::Fake, f)?)?
    };
    for outputs in [real, fake] {
        if let Some(charge) = outputs.class_loss(classes, objective)? {
            // In a joint batch, the mean is taken over both sides.
            loss = (loss + if objective.joint_batch { (charge * 0.5)? } else { charge })?;
        }
    }
    Ok(loss)
}

/// Returns G's loss over D's outputs for its samples, compared with logits of real ones if the loss does that.
pub(super) fn generator_loss(
    objective: &Objective,
    fake: &Outputs,
    real: Option<&Tensor>,
    classes: Option<&Tensor>,
) -> Result<Tensor> {
    let loss = objective.loss.generator(fake.logits.as_tensor(), real)?;
    Ok(match fake.class_loss(classes, objective)? {
        Some(charge) => (loss + charge)?,
        None => loss,
    })
}
