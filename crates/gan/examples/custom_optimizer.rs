//! An update rule of your own: signs of the gradient's average (Chen et al. 2023, arXiv:2302.06675, without weight decay).

use gan::prelude::*;
use gan::step::Error;
use gan::step::optimizers::{Optimizer, RuleUpdate, UpdateRule};

struct Lion {
    lr: f64,
}

impl UpdateRule for Lion {
    fn averages(&self) -> &'static [&'static str] {
        &["momentum"]
    }

    fn update(&self, update: &RuleUpdate) -> Result<(), Error> {
        let average = &update.averages[0];
        let gradient = update.gradient.flatten_all()?;
        let old = average.tensor()?;
        let direction = ((&old * 0.9)? + (&gradient * 0.1)?)?.sign()?.reshape(update.var.shape())?;
        update.var.set(&(update.var.as_detached_tensor() - (direction * (self.lr * update.rates.lr_factor))?)?)?;
        Ok(average.set(0, &((old * 0.99)? + (gradient * 0.01)?)?)?)
    }
}

/// Trains a few steps.
pub fn main() -> Result<(), gan::train::Error> {
    let hidden = || vec![layers::Dense::new(64).into(), layers::LeakyRelu { leaky_relu: 0.2 }.into()];
    let list = |outputs: usize| -> Vec<Layer> { [hidden(), vec![layers::Dense::new(outputs).into()]].concat() };
    let gan = Gan::from_layers(list(2), list(1)).latent(4).batch(100).steps(100);
    let mut trainer = gan.build(gan::data::Ring::default().open(&OpenOptions::default())?, &Device::Cpu)?;
    let g = Optimizer::new(Lion { lr: 1e-4 }, &trainer.generator().params())?;
    let d = Optimizer::new(Lion { lr: 1e-4 }, &trainer.discriminator().params())?;
    trainer.set_optimizers(g, d);
    for _ in 0..5 {
        println!("{:?}", trainer.advance()?.loss_d);
    }
    Ok(())
}
