//! Networks of your own in plain candle: hinge loss with R1, on points around a ring.

use candle_nn::{Module, VarBuilder, VarMap, linear};
use gan::prelude::*;

/// Trains a few steps.
pub fn main() -> Result<(), gan::train::Error> {
    let (g_vars, d_vars) = (VarMap::new(), VarMap::new());
    let g = VarBuilder::from_varmap(&g_vars, DType::F32, &Device::Cpu);
    let (g1, g2) = (linear(8, 64, g.pp("hidden"))?, linear(64, 2, g.pp("last"))?);
    let generator = generator_fn(g_vars, move |z| g2.forward(&g1.forward(z)?.relu()?));

    let d = VarBuilder::from_varmap(&d_vars, DType::F32, &Device::Cpu);
    let (d1, d2) = (linear(2, 64, d.pp("hidden"))?, linear(64, 1, d.pp("last"))?);
    let forward = move |x: &layers::Dual| x.affine_module(&d1)?.leaky_relu(0.2)?.affine_module(&d2);
    let discriminator = discriminator_fn(d_vars, forward);

    let gan = Gan::new(generator, discriminator).latent(8).loss(Loss::Hinge);
    let gan = gan.penalty(Penalty::new(PenaltyKind::R1, 0.1)).batch(128).steps(200);
    let mut trainer = gan.build(gan::data::Ring::default().open(&OpenOptions::default())?, &Device::Cpu)?;
    for _ in 0..5 {
        let report = trainer.advance()?;
        println!("step {}: D {:?}, G {:?}", report.step, report.loss_d, report.loss_g);
    }
    Ok(())
}
