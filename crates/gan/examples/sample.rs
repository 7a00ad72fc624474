//! Samples from a weight file, written as a grid.

use gan::prelude::*;
use gan::report::Images;
use std::path::Path;

/// Trains two steps to have a weight file, then reads it and samples from it.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("gan-example-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("generator.safetensors");
    save(&file)?;

    let (about, generator) = read_generator(&file, &Device::Cpu)?;
    let z = about.latent.sample(16, &mut Rng::new(1), &Device::Cpu)?;
    let images = samples(&generator, &z, None)?;

    let values: Vec<f32> = images.flatten_all()?.to_vec1()?;
    let [count, channels, height, width] = images.dims()[..] else { return Err("these are no images".into()) };
    let images = Images::new(&values, [count, channels, height, width])?;
    gan::report::grid(&images, 4, 4)?.save_png(&folder.join("samples.png"))?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// Saves a generator of small images.
fn save(file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let generator =
        vec![layers::Dense::new(64).into(), layers::Reshape { reshape: vec![1, 8, 8] }.into(), layers::Tanh.into()];
    let discriminator = vec![layers::Flatten.into(), layers::Dense::new(1).into()];
    let gan = Gan::from_layers(generator, discriminator).latent(8).batch(10).steps(2);
    let data = gan::data::SyntheticSamples::new(1, 100, [1, 8, 8])?;
    let mut trainer = gan.build(std::sync::Arc::new(data), &Device::Cpu)?;
    trainer.advance()?;
    let bytes = trainer.generator_file()?;
    Ok(gan::base::atomic::write(file, &bytes)?)
}
