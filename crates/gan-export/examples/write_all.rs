//! Writes every preset and every layer in every format into a folder, with inputs and the outputs that are expected for them, for
//! `tests/check_onnx.py` and `tests/check_pytorch.py`:
//!
//! `cargo run --release -p gan-export --example write_all -- FOLDER`

#[path = "../tests/common/mod.rs"]
mod common;

use candle_core::{DType, Device};
use gan_core::graph::Graph;
use gan_export::{FORMATS, Model, Network, export, model};
use std::error::Error;
use std::path::{Path, PathBuf};

/// Samples in a batch.
const SAMPLES: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name a folder")?);
    std::fs::create_dir_all(&folder)?;
    for (name, model) in common::layers().into_iter().chain(common::preset_models()) {
        write(&folder, &name.replace('-', "_"), &model)?;
    }
    Ok(())
}

fn write(folder: &Path, name: &str, model: &Model) -> Result<(), Box<dyn Error>> {
    let at = |suffix: &str| folder.join(format!("{name}{suffix}"));
    for format in FORMATS {
        let is_for_bytes = format.name.ends_with("uint8");
        let is_image = model.layers().output().len() == 3 && matches!(model.layers().output()[0], 1 | 3);
        if is_for_bytes && (!is_image || matches!(model.network, Network::Discriminator(_))) {
            continue;
        }
        let suffix = if is_for_bytes { "-uint8" } else { "" };
        export(model, format, &at(&format!("{suffix}.{}", format.ending)))?;
    }
    let (x, classes) = model.example_inputs(SAMPLES)?;
    x.write_npy(at(".x.npy"))?;
    if let Some(classes) = &classes {
        classes.to_dtype(DType::I64)?.write_npy(at(".class.npy"))?;
    }
    // In f64, so that only the rounding of the reader remains.
    let graph = match &model.network {
        Network::Generator(generator) => Graph::of_generator(generator)?,
        Network::Discriminator(discriminator) => Graph::of_discriminator(discriminator)?,
    };
    let expected = model::run(&graph, &x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?, classes.as_ref())?;
    for (index, expected) in expected.iter().enumerate() {
        expected.write_npy(at(&format!(".y{index}.npy")))?;
    }
    Ok(())
}
