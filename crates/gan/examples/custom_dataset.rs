//! A data set of your own: points on a spiral.

use gan::prelude::*;
use std::sync::Arc;

/// 1,000 points `[2]` on a spiral that fits into −1 to 1.
#[derive(Debug)]
struct Spiral;

impl Dataset for Spiral {
    fn len(&self) -> usize {
        1000
    }

    fn shape(&self) -> Vec<usize> {
        vec![2]
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), gan::data::Error> {
        let t = index as f32 / self.len() as f32;
        let angle = 12.0 * t;
        out.copy_from_slice(&[t * angle.cos(), t * angle.sin()]);
        Ok(())
    }
}

/// Trains a few steps.
pub fn main() -> Result<(), gan::train::Error> {
    let hidden = || vec![layers::Dense::new(64).into(), layers::LeakyRelu { leaky_relu: 0.2 }.into()];
    let list = |outputs: usize| -> Vec<Layer> { [hidden(), vec![layers::Dense::new(outputs).into()]].concat() };
    let gan = Gan::from_layers(list(2), list(1)).latent(4).batch(100).steps(100);
    let mut trainer = gan.build(Arc::new(Spiral), &Device::Cpu)?;
    for _ in 0..5 {
        println!("{:?}", trainer.advance()?.loss_d);
    }
    Ok(())
}
