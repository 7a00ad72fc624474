//! Object of a command: a preset, a settings file, a run folder or a weight file.

use crate::args::usage;
use crate::print::{shell_quoted, visible_name};
use anyhow::{Context, Result};
use gan_core::weights::Description;
use gan_core::{Generator, LayeredDiscriminator, LayeredGenerator, weights};
use gan_data::Units;
use gan_run::RunFolder;
use gan_train::{Plan, checkpoint, layering, presets};
use std::path::{Path, PathBuf};

/// Maximum number of classes whose names a message lists.
const LISTED: usize = 20;

/// Returns the settings table of `source`, a preset's name, a TOML file or a run folder, and whether it is a TOML file.
fn table(source: &str) -> Result<(layering::Table, bool)> {
    let path = Path::new(source);
    let is = |extension: &str| path.extension().is_some_and(|e| e == extension);
    let problem = match (path.is_dir(), path.exists()) {
        (true, _) if RunFolder::is_run(path) => return Ok((layering::from_file(&path.join("config.toml"))?, false)),
        // Another folder may share a preset's name.
        (true, _) if presets::find(source).is_none() => "holds no run: there is no config.toml written by gan train",
        (false, true) if is("safetensors") => {
            "is a weight file, settings are needed: name a preset, a TOML file or a run folder"
        }
        (false, exists) if exists || is("toml") => return Ok((layering::from_file(path)?, true)),
        (false, false) if path.components().count() > 1 || is("safetensors") => {
            "there is no such file or folder: name a preset, a TOML file or a run folder"
        }
        _ => return Ok((layering::from_preset(presets::get(source)?)?, false)),
    };
    Err(usage(source, problem))
}

/// Returns the checked plan of `source` with `assignments` merged over it.
pub fn plan(source: &str, assignments: &[String]) -> Result<Plan> {
    let (mut table, is_file) = table(source)?;
    layering::overlay(&mut table, assigned(assignments)?);
    let plan = layering::read(table).and_then(gan_train::config::RunConfig::check);
    if is_file { plan.with_context(|| source.to_string()) } else { Ok(plan?) }
}

/// Merges assignments with each other first, so that their order does not matter.
pub fn assigned(assignments: &[String]) -> Result<layering::Table> {
    let mut table = layering::Table::new();
    for assignment in assignments {
        layering::set(&mut table, assignment)?;
    }
    Ok(table)
}

/// Reads the generator in a run folder or a weight file.
pub fn generator(source: &Path, device: &str) -> Result<(Description, LayeredGenerator, candle_core::Device)> {
    let device = gan_train::device::open(device)?;
    let (description, generator) = weights::read_generator(&weight_file(source)?, &device)?;
    Ok((description, generator, device))
}

/// Reads the generator in a run folder or a weight file, to generate samples on a device; their latents come from the device that is returned.
pub fn sampler(source: &Path, name: &str) -> Result<(Description, Box<dyn Generator>, candle_core::Device)> {
    let (description, generator, device) = generator(source, name)?;
    Ok((description, gan_train::device::sampler(generator, name)?, device))
}

/// Reads the discriminator in the checkpoints of a run, which judges single samples of this shape.
pub fn discriminator(run: &Path, shape: &[usize], device: &candle_core::Device) -> Result<LayeredDiscriminator> {
    let found = run_discriminator(run, device)?;
    let takes = found.network().input();
    if takes != shape {
        let problem = format!("its discriminator takes {takes:?}, not single samples {shape:?} (train.pacgan)");
        return Err(usage(run.display(), problem));
    }
    Ok(found)
}

/// Reads the discriminator in the checkpoints of a run.
pub fn run_discriminator(run: &Path, device: &candle_core::Device) -> Result<LayeredDiscriminator> {
    if !RunFolder::is_run(run) {
        let problem = "has no discriminator, which is in the checkpoints of a run: name the run's folder";
        return Err(usage(run.display(), problem));
    }
    let plan = plan(&run.to_string_lossy(), &[])?;
    Ok(checkpoint::discriminator(&plan, &run.join("checkpoints"), device)?)
}

/// Returns the class called `name`, or with that number, of a conditional generator.
pub fn class(description: &Description, generator: &dyn Generator, name: &str) -> Result<u32> {
    let class = match generator.classes() {
        Some(known) => class_of(&description.data.classes, known, name),
        None => Err("this generator knows no classes: leave it out".into()),
    };
    class.map_err(|problem| usage(format_args!("--class {}", visible_name(name)), problem))
}

/// Returns the class of `known` that `name` refers to: a class's name, or its index if no other class has a number as its name.
fn class_of(names: &[String], known: usize, name: &str) -> Result<u32, String> {
    if let Some(class) = names.iter().take(known).position(|own| own == name) {
        return Ok(class as u32);
    }
    let is_other_number = |(index, name): (usize, &String)| {
        name.trim().parse::<f64>().is_ok_and(|number| number.is_finite() && number != index as f64)
    };
    let is_ambiguous = names.iter().enumerate().any(is_other_number);
    let index = name.parse::<usize>().ok().filter(|index| *index < known && !is_ambiguous);
    let listed = |most: usize| {
        let names: Vec<_> = names.iter().take(most).map(|name| visible_name(name)).collect();
        let more = if known > most { format!(", … ({known} in all)") } else { String::new() };
        format!("{}{more}", names.join(", "))
    };
    let range = format!("a class from 0 to {}", known.saturating_sub(1));
    index.map(|index| index as u32).ok_or_else(|| match (is_ambiguous, names.len() == known) {
        (true, _) => format!("expected the name of a class: {}", listed(LISTED)),
        (false, true) => format!("expected {range}, or its name: {}", listed(LISTED)),
        (false, false) => format!("expected {range}"),
    })
}

/// Returns the values that −1 and 1 stand for, for a generator of points.
pub fn units(description: &Description) -> Option<Units> {
    let units = &description.data.units;
    (!units.is_empty()).then(|| Units::new(units.clone()))
}

/// Returns the weight file of a run's best generator.
pub fn best_weight_file(run: &Path) -> Result<PathBuf> {
    let file = run.join(gan_run::RunFolder::BEST);
    let problem = "holds no generator-best.safetensors: it is kept by runs with [evaluate] every = …; leave out --best";
    if file.is_file() { Ok(file) } else { Err(usage(run.display(), problem)) }
}

/// Start of the name of a weight file on the Hugging Face Hub: `hub:owner/name`, or `hub:owner/name/path/in/it.safetensors`.
const HUB: &str = "hub:";

/// Returns the name on the Hub that `source` begins with [`HUB`].
pub fn on_hub(source: &Path) -> Option<&str> {
    source.to_str()?.strip_prefix(HUB).filter(|_| !source.exists())
}

/// Fetches a weight file from the Hub, unless its cache has it.
#[cfg(feature = "hub")]
fn fetched(name: &str) -> Result<PathBuf> {
    use gan_hub::{Environment, Hub};
    use std::collections::HashMap;
    use std::sync::Mutex;

    // A command may read its source several times.
    static FETCHED: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut known = FETCHED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(path) = known.get(name) {
        return Ok(path.clone());
    }
    let (repository, file) = match name.match_indices('/').nth(1) {
        Some((at, _)) => (&name[..at], &name[at + 1..]),
        None => (name, "generator.safetensors"),
    };
    let hub = Hub::new(Environment::of_this_process())?;
    // With --quiet, only errors are logged.
    let is_quiet = !tracing::enabled!(tracing::Level::WARN);
    let mut meter = crate::progress::Meter::new(is_quiet);
    let path = hub.newest(&model(repository)?, file, &mut |file, done, total| {
        meter.show(file, done, total, "byte");
    });
    meter.end();
    let path = path?;
    known.insert(name.into(), path.clone());
    Ok(path)
}

/// Returns the repository `owner/name` of a model.
#[cfg(feature = "hub")]
pub fn model(name: &str) -> Result<gan_hub::Repository> {
    let repository = gan_hub::Repository::new(gan_hub::Kind::Model, name);
    repository.map_err(|error| crate::args::Usage(error.to_string()).into())
}

#[cfg(not(feature = "hub"))]
fn fetched(name: &str) -> Result<PathBuf> {
    let problem = "this build of gan has no feature \"hub\" and cannot download: build it with its default features";
    Err(usage(format_args!("{HUB}{name}"), problem))
}

/// Returns the weight file itself, a run folder's, or one that is fetched from the Hub (`hub:owner/name`).
pub fn weight_file(source: &Path) -> Result<PathBuf> {
    if let Some(name) = on_hub(source) {
        return fetched(name);
    }
    let file = source.join("generator.safetensors");
    if source.is_file() || file.is_file() {
        return Ok(if source.is_file() { source.to_path_buf() } else { file });
    }
    let is_preset = presets::find(&source.to_string_lossy()).is_some();
    let problem = match source.is_dir() {
        true if RunFolder::is_run(source) => "the run has not saved a generator yet: train on with --resume".into(),
        true => "holds no generator.safetensors: name a run folder or a weight file".into(),
        false if is_preset => {
            format!("is a preset, not yet trained: gan train {}, then name the run's folder", shell_quoted(source))
        }
        false => "there is no such file or folder: name a run folder, a weight file (generator.safetensors), or hub:owner/name".into(),
    };
    Err(usage(source.display(), problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_class_is_found_by_its_name_or_by_its_index() {
        let animals = names(&["cat", "dog", "2nd"]);
        for (name, class) in [("cat", 0), ("2nd", 2), ("0", 0), ("2", 2)] {
            assert_eq!(class_of(&animals, 3, name), Ok(class), "{name}");
        }
        assert_eq!(class_of(&names(&["000", "001", "002"]), 3, "2"), Ok(2));
        assert_eq!(class_of(&[], 10, "7"), Ok(7));
        assert_eq!(class_of(&[], 10, "10"), Err("expected a class from 0 to 9".into()));
        assert_eq!(class_of(&animals, 3, "-1"), Err("expected a class from 0 to 2, or its name: cat, dog, 2nd".into()));
    }

    #[test]
    fn numbers_that_are_names_are_never_taken_for_indices() {
        let numbers = names(&["3", "7"]);
        assert_eq!((class_of(&numbers, 2, "3"), class_of(&numbers, 2, "7")), (Ok(0), Ok(1)));
        for name in ["0", "1", "2", "07", "-1", "x"] {
            assert_eq!(class_of(&numbers, 2, name), Err("expected the name of a class: 3, 7".into()), "{name}");
        }
        let shuffled = names(&["1", "0", "cat"]);
        assert_eq!((class_of(&shuffled, 3, "0"), class_of(&shuffled, 3, "cat")), (Ok(1), Ok(2)));
        assert!(class_of(&shuffled, 3, "2").is_err());
        assert!(class_of(&names(&["-1", "1"]), 2, "0").is_err() && class_of(&names(&["0.5", "x"]), 2, "1").is_err());
    }

    #[test]
    fn long_lists_of_names_are_cut_and_escaped() {
        let many: Vec<String> = (0..1000).map(|i| format!("{i:03}\u{1b}")).collect();
        let message = class_of(&many, 1000, "x").unwrap_err();
        assert!(message.contains("019\\u{1b}, … (1000 in all)") && !message.contains('\u{1b}'), "{message}");
    }
}
