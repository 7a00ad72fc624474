//! `gan summary`, `gan preset` and `gan devices`.

use crate::args::usage;
use crate::{import, print, source};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use gan_base::messages::counted;
use gan_core::summary::Summary;
use gan_core::weights;
use gan_import::import::IMPORTED;
use gan_train::{Plan, layering, presets};
use std::path::Path;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan summary dcgan-mnist\n  gan summary mine.toml --set generator.width=32\n  gan summary runs/first/generator.safetensors"
)]
pub struct SummaryArgs {
    /// A preset's name, a TOML file, a run folder or a weight file, also of PyTorch.
    #[arg(value_name = "PRESET, FILE or RUN")]
    pub source: String,
    /// Change one setting first; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Subcommand)]
pub enum PresetCommand {
    /// List names and descriptions.
    List,
    /// Print one preset as TOML.
    Show {
        /// Name of the preset.
        name: String,
        /// Print every setting, and every layer of both networks.
        #[arg(long)]
        full: bool,
    },
}

/// Prints the devices that can compute, and what is missing for the others.
pub fn devices() -> Result<()> {
    let all = gan_train::device::list();
    let width = all.iter().map(|device| device.name.len()).max().unwrap_or(0);
    all.iter().try_for_each(|device| {
        let sign = if device.is_usable { ' ' } else { '-' };
        print::line(format_args!("{sign} {:<width$}  {}", device.name, device.description))
    })
}

/// Prints both networks of a preset, file or run, or the one in a weight file.
pub fn summary(args: &SummaryArgs) -> Result<()> {
    let path = Path::new(&args.source);
    if import::is_foreign(path) {
        if !args.set.is_empty() {
            return Err(usage(&args.source, "is a weight file, which has no settings to change: leave out --set"));
        }
        return print::text(import::summary(path)?);
    }
    if path.extension().is_some_and(|e| e == "safetensors") || source::on_hub(path).is_some() {
        if !args.set.is_empty() {
            return Err(usage(&args.source, "is a weight file, which has no settings to change: leave out --set"));
        }
        let description = weights::read_description(&source::weight_file(path)?)?;
        let summary = Summary::new(&description.network, &description.input, &description.layers);
        print::text(summary.with_context(|| path.display().to_string())?)?;
        let (preset, step, seed) = (description.preset, description.step, description.seed);
        if preset == IMPORTED {
            return print::line("imported: the training is not known");
        }
        return print::line(format_args!("trained by {preset} for {}, seed {seed}", counted(step, "step")));
    }
    let plan = source::plan(&args.source, &args.set)?;
    let (g, d) = (&plan.generator, &plan.discriminator);
    print::line(Summary::new("generator", &g.input, &g.layers)?)?;
    print::text(Summary::new("discriminator", &d.input, &d.layers)?)
}

/// Lists the presets or prints one.
pub fn preset(command: &PresetCommand) -> Result<()> {
    match command {
        PresetCommand::Show { name, full: false } => print::text(presets::get(name)?.text)?,
        PresetCommand::Show { name, full: true } => {
            print::line(format_args!("{} and layer of the preset {name}.", layering::FULL_MARK))?;
            print::text(toml::to_string(&Plan::preset(name)?.full_config())?)?;
        }
        PresetCommand::List => {
            let width = presets::ALL.iter().map(|p| p.name.len()).max().unwrap_or(0);
            for preset in presets::ALL {
                let config = layering::read(layering::from_preset(preset)?)?;
                print::line(format_args!("{:<width$}  {}", preset.name, config.description))?;
            }
        }
    }
    Ok(())
}
