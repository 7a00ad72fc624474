//! A training step of your own: G's loss is the squared distance of D's logits to 1, and D is updated as the
//! settings say.

use gan::core::ForwardContext;
use gan::prelude::*;
use gan::train::step::{GUpdate, Seconds, TrainingStep, UpdateContext};

struct SquaredDistance;

impl TrainingStep for SquaredDistance {
    fn update_generator(&self, cx: UpdateContext, _zero: f64) -> Result<GUpdate, gan::step::Error> {
        let fake = &cx.samples.batches[0].fake;
        // D's weights get no gradient here.
        let logits = cx.discriminator.forward(fake, &mut ForwardContext::frozen(cx.rng))?.logits;
        let loss = (&logits - 1.0)?.sqr()?.mean_all()?;
        let grads = loss.backward()?;
        let grad_norm = cx.optimizer.gradient_norm(&grads)?;
        cx.optimizer.step(&grads)?;
        let loss = f64::from(loss.to_scalar::<f32>()?);
        let fake = f64::from(gan::kernels::ops::sigmoid(&logits)?.mean_all()?.to_scalar::<f32>()?);
        Ok(GUpdate { loss, fake, grad_norm, seconds: Seconds::default() })
    }
}

/// Trains a few steps.
pub fn main() -> Result<(), gan::train::Error> {
    let hidden = || vec![layers::Dense::new(64).into(), layers::LeakyRelu { leaky_relu: 0.2 }.into()];
    let list = |outputs: usize| -> Vec<Layer> { [hidden(), vec![layers::Dense::new(outputs).into()]].concat() };
    let gan = Gan::from_layers(list(2), list(1)).latent(4).loss(Loss::LeastSquares).batch(100).steps(100);
    let mut trainer = gan.build(gan::data::Ring::default().open(&OpenOptions::default())?, &Device::Cpu)?;
    trainer.set_step(SquaredDistance);
    for _ in 0..5 {
        println!("{:?}", trainer.advance()?.loss_g);
    }
    Ok(())
}
