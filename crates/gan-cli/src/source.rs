//! What a command works on: a preset, a settings file, a run folder or a weight file.

use crate::args::Usage;
use anyhow::{Context, Result};
use gan_core::weights::Description;
use gan_core::{Generator, LayeredGenerator, weights};
use gan_data::Units;
use gan_train::{Plan, RunFolder, layering, presets};
use std::path::{Path, PathBuf};

/// The settings table behind `source`: a preset's name, a TOML file, or a run folder.
pub fn table(source: &str) -> Result<layering::Table> {
    let path = Path::new(source);
    let wrong = |problem: &str| Err(Usage(format!("{source}: {problem}")).into());
    match kind(path) {
        Kind::Run => Ok(layering::from_file(&path.join("config.toml"))?),
        Kind::Settings => Ok(layering::from_file(path)?),
        Kind::Weights => wrong("is a weight file, settings are needed: name a preset, a TOML file or a run folder"),
        Kind::Folder => wrong("holds no run: there is no config.toml written by gan train"),
        Kind::Nowhere => wrong("there is no such file or folder: name a preset, a TOML file or a run folder"),
        Kind::Name => Ok(layering::from_preset(presets::get(source)?)?),
    }
}

enum Kind {
    Run,
    Settings,
    Weights,
    Folder,
    /// A path to nothing.
    Nowhere,
    Name,
}

fn kind(path: &Path) -> Kind {
    let is = |extension: &str| path.extension().is_some_and(|e| e == extension);
    match (path.is_dir(), path.exists()) {
        (true, _) if RunFolder::is_run(path) => Kind::Run,
        // A folder that only shares a preset's name.
        (true, _) if presets::find(&path.to_string_lossy()).is_none() => Kind::Folder,
        (false, true) if is("safetensors") => Kind::Weights,
        (false, true) => Kind::Settings,
        (false, false) if is("toml") => Kind::Settings,
        (false, false) if path.components().count() > 1 || is("safetensors") => Kind::Nowhere,
        _ => Kind::Name,
    }
}

/// The checked plan behind `source` with `assignments` laid over it.
pub fn plan(source: &str, assignments: &[String]) -> Result<Plan> {
    let mut table = table(source)?;
    // Laid together first, so that their order does not matter.
    let mut over = layering::Table::new();
    for assignment in assignments {
        layering::set(&mut over, assignment)?;
    }
    layering::overlay(&mut table, over);
    let plan = layering::read(table).and_then(gan_train::RunConfig::check);
    match kind(Path::new(source)) {
        Kind::Settings => plan.with_context(|| source.to_string()),
        _ => Ok(plan?),
    }
}

/// The generator in a run folder or a weight file.
pub fn generator(source: &Path, device: &str) -> Result<(Description, LayeredGenerator, candle_core::Device)> {
    let device = gan_train::device::open(device)?;
    let (description, generator) = weights::read_generator(&weight_file(source)?, &device)?;
    Ok((description, generator, device))
}

/// The class called `name`, or of that number, of a generator that knows classes.
pub fn class(description: &Description, generator: &LayeredGenerator, name: &str) -> Result<u32> {
    let Some(known) = generator.classes() else {
        return Err(Usage(format!("--class {name}: this generator knows no classes: leave it out")).into());
    };
    let names = &description.data.classes;
    let named = names.iter().position(|own| own == name);
    let numbered = name.parse::<usize>().ok().filter(|number| *number < known);
    match named.or(numbered) {
        Some(class) => Ok(class as u32),
        None => {
            let listed =
                if names.len() == known && known <= 20 { format!(": {}", names.join(", ")) } else { String::new() };
            Err(Usage(format!("--class {name}: expected a class from 0 to {}{listed}", known - 1)).into())
        }
    }
}

/// For a generator of points: what −1 and 1 stand for.
pub fn units(description: &Description) -> Option<Units> {
    let units = &description.data.units;
    (!units.is_empty()).then(|| Units::new(units.clone()))
}

/// The weight file of a run's best generator.
pub fn best_weight_file(run: &Path) -> Result<PathBuf> {
    let file = run.join(gan_train::folder::BEST);
    if file.is_file() {
        return Ok(file);
    }
    let problem = "holds no generator-best.safetensors: it is kept by runs with [evaluate] every = …; leave out --best";
    Err(Usage(format!("{}: {problem}", run.display())).into())
}

/// The weight file itself, or a run folder's.
pub fn weight_file(source: &Path) -> Result<PathBuf> {
    if source.is_file() {
        return Ok(source.to_path_buf());
    }
    let file = source.join("generator.safetensors");
    if file.is_file() {
        return Ok(file);
    }
    let shown = source.display();
    let problem = match (source.is_dir(), presets::find(&source.to_string_lossy())) {
        (true, _) if RunFolder::is_run(source) => {
            "the run has not saved a generator yet: train on with --resume".into()
        }
        (true, _) => "holds no generator.safetensors: name a run folder or a weight file".into(),
        (_, Some(_)) => format!("is a preset, not yet trained: gan train {shown}, then name the run's folder"),
        _ => "there is no such file or folder: name a run folder or a weight file (generator.safetensors)".into(),
    };
    Err(Usage(format!("{shown}: {problem}")).into())
}
