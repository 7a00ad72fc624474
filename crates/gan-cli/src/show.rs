//! `gan summary` and `gan preset`.

use crate::args::{PresetCommand, SummaryArgs, Usage};
use crate::{say, source};
use anyhow::{Context, Result};
use gan_base::messages::counted;
use gan_core::summary::Summary;
use gan_core::weights;
use gan_train::{layering, presets};
use std::path::Path;

/// Prints both networks of a preset, file or run, or the one in a weight file.
pub fn summary(args: &SummaryArgs) -> Result<()> {
    let path = Path::new(&args.source);
    if path.extension().is_some_and(|e| e == "safetensors") {
        if !args.set.is_empty() {
            let problem = "is a weight file, which has no settings to change: leave out --set";
            return Err(Usage(format!("{}: {problem}", args.source)).into());
        }
        let description = weights::read_description(&source::weight_file(path)?)?;
        let summary = Summary::new(&description.network, &description.input, &description.layers);
        say::text(summary.with_context(|| path.display().to_string())?)?;
        let (preset, step, seed) = (description.preset, description.step, description.seed);
        return say::line(format_args!("trained by {preset} for {}, seed {seed}", counted(step, "step")));
    }
    let plan = source::plan(&args.source, &args.set)?;
    let (g, d) = (&plan.generator, &plan.discriminator);
    say::line(Summary::new("generator", &g.input, &g.layers)?)?;
    say::text(Summary::new("discriminator", &d.input, &d.layers)?)
}

/// Lists the presets or prints one.
pub fn preset(command: &PresetCommand) -> Result<()> {
    match command {
        PresetCommand::Show { name } => say::text(presets::get(name)?.text)?,
        PresetCommand::List => {
            let width = presets::ALL.iter().map(|p| p.name.len()).max().unwrap_or(0);
            for preset in presets::ALL {
                let config = layering::read(layering::from_preset(preset)?)?;
                say::line(format_args!("{:<width$}  {}", preset.name, config.description))?;
            }
        }
    }
    Ok(())
}
