//! What a command works on: a preset, a settings file, a run folder or a weight file.

use crate::args::Usage;
use anyhow::Result;
use gan_core::weights::Description;
use gan_core::{LayeredGenerator, weights};
use gan_train::{Plan, RunFolder, layering, presets};
use std::path::{Path, PathBuf};

/// The settings table behind `source`: a preset's name, a TOML file, or a run folder.
pub fn table(source: &str) -> Result<layering::Table> {
    let path = Path::new(source);
    if RunFolder::is_run(path) {
        return Ok(layering::from_file(&path.join("config.toml"))?);
    }
    if path.is_file() || path.extension().is_some_and(|e| e == "toml") {
        return Ok(layering::from_file(path)?);
    }
    Ok(layering::from_preset(presets::get(source)?)?)
}

/// The checked plan behind `source` with `assignments` laid over it.
pub fn plan(source: &str, assignments: &[String]) -> Result<Plan> {
    let mut table = table(source)?;
    for assignment in assignments {
        layering::set(&mut table, assignment)?;
    }
    Ok(layering::read(table)?.check()?)
}

/// The generator in a run folder or a weight file.
pub fn generator(source: &Path, device: &str) -> Result<(Description, LayeredGenerator, candle_core::Device)> {
    let device = gan_train::device::open(device)?;
    let (description, generator) = weights::read_generator(&weight_file(source)?, &device)?;
    Ok((description, generator, device))
}

/// The weight file itself, or a run folder's.
pub fn weight_file(source: &Path) -> Result<PathBuf> {
    if !source.is_dir() {
        return Ok(source.to_path_buf());
    }
    let file = source.join("generator.safetensors");
    if file.is_file() {
        return Ok(file);
    }
    let advice = if RunFolder::is_run(source) {
        "the run has not saved a generator yet: train on with --resume"
    } else {
        "it is not a run folder: name a run folder or a .safetensors file"
    };
    Err(Usage(format!("{}: holds no generator.safetensors; {advice}", source.display())).into())
}
