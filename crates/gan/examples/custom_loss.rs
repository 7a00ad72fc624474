//! A loss of your own: the hinge loss with its parts squared, on points around a ring.

use gan::core::{Labels, LossProperties, Side};
use gan::prelude::*;

#[derive(Debug)]
struct SquaredHinge;

impl LossFunction for SquaredHinge {
    fn properties(&self) -> LossProperties {
        LossProperties { is_relativistic: false, has_threshold: true, takes_labels: false, g_may_be_negative: true }
    }

    /// D: E[max(0, 1 − r)²] + E[max(0, 1 + f)²].
    fn discriminator_part(&self, side: Side, logits: &Tensor, _: Labels) -> candle_core::Result<Tensor> {
        let sign = if side == Side::Real { -1.0 } else { 1.0 };
        gan::kernels::ops::relu(&logits.affine(sign, 1.0)?)?.sqr()
    }

    /// G: −E(f).
    fn generator(&self, fake: &Tensor, _: Option<&Tensor>) -> candle_core::Result<Tensor> {
        fake.mean_all()?.neg()
    }
}

/// Trains a few steps.
pub fn main() -> Result<(), gan::train::Error> {
    let hidden = || vec![layers::Dense::new(64).into(), layers::LeakyRelu { leaky_relu: 0.2 }.into()];
    let list = |outputs: usize| -> Vec<Layer> { [hidden(), vec![layers::Dense::new(outputs).into()]].concat() };
    let gan = Gan::from_layers(list(2), list(1)).latent(4).batch(100).steps(100);
    let mut trainer = gan.build(gan::data::Ring::default().open(&OpenOptions::default())?, &Device::Cpu)?;
    trainer.set_loss(SquaredHinge);
    for _ in 0..5 {
        let report = trainer.advance()?;
        println!("step {}: D {:?}, G {:?}", report.step, report.loss_d, report.loss_g);
    }
    Ok(())
}
