//! `gan export`.

use crate::args::usage;
use crate::output::{Form, Output, is_same};
use crate::{print, source};
use anyhow::Result;
use candle_core::Device;
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, ValueEnum};
use gan_base::atomic;
use gan_core::weights::{self, Description};
use gan_export::{FORMATS, Format, Model, Network};
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan export runs/first --out digits.onnx\n  gan export generator.safetensors --format pytorch\n  gan export runs/first --format onnx-uint8 --out fidelity.onnx\n  gan export runs/first --out digits.html\n  gan export runs/first --network discriminator --out d.onnx"
)]
pub struct ExportArgs {
    /// A run folder or a weight file.
    #[arg(value_name = "RUN or FILE.safetensors")]
    pub source: PathBuf,
    /// Format of the export [default: by the ending of --out: onnx, pytorch, html].
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub format: Option<String>,
    /// Network to export [default: the one in the weight file, or a run's generator].
    #[arg(long, value_enum)]
    pub network: Option<NetworkName>,
    /// File to write; a PyTorch module has its weights beside it [default: NETWORK.onnx, .py or .html].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// A network of a GAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NetworkName {
    /// From latent vectors to samples, with averaged weights if the run averages them.
    Generator,
    /// From samples to logits, from the newest checkpoint of a run.
    Discriminator,
}

impl NetworkName {
    fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator",
            Self::Discriminator => "discriminator",
        }
    }
}

fn formats() -> PossibleValuesParser {
    PossibleValuesParser::new(FORMATS.map(|format| PossibleValue::new(format.name).help(format.about)))
}

/// Exports a network.
pub fn run(args: &ExportArgs) -> Result<()> {
    let weights = source::weight_file(&args.source)?;
    let description = weights::read_description(&weights)?;
    let network = network(args, &weights, &description)?;
    let format = format(args)?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.{}", network.name(), format.ending)));
    let outputs = outputs(format, &out, &weights)?;
    let model = model(args, network, &weights, description)?;
    let files = (format.files)(&model, &out)?;
    // Each file is written after those that it refers to. The weights of the source itself are already there.
    for file in files.iter().filter(|file| outputs.contains(&file.path)) {
        atomic::write(&file.path, &file.bytes)?;
    }
    files.iter().rev().try_for_each(|file| print::line(file.path.display()))
}

/// Returns the network to export.
fn network(args: &ExportArgs, weights: &Path, description: &Description) -> Result<NetworkName> {
    let held = NetworkName::value_variants().iter().copied().find(|network| network.name() == description.network);
    let held = held.unwrap_or(NetworkName::Generator);
    let wanted = args.network.unwrap_or(held);
    if wanted == held || (wanted == NetworkName::Discriminator && args.source.is_dir()) {
        return Ok(wanted);
    }
    let advice = match wanted {
        NetworkName::Discriminator => "a discriminator is in the checkpoints of a run: name the run's folder",
        NetworkName::Generator => "name a run folder or a generator's weight file",
    };
    let problem = format!("holds a {}, but --network is {}; {advice}", held.name(), wanted.name());
    Err(usage(weights.display(), problem))
}

/// Returns the format that is given, or that the output's ending selects.
fn format(args: &ExportArgs) -> Result<&'static Format> {
    let given = args.format.as_deref().and_then(Format::named);
    let found = given.or_else(|| args.out.as_deref().and_then(Format::of_path));
    let names = FORMATS.map(|format| format.name).join(", ");
    found.ok_or_else(|| match &args.out {
        Some(out) => usage(
            format_args!("--out {}", out.display()),
            format_args!("name FILE.onnx, FILE.py or FILE.html, or give --format ({names})"),
        ),
        None => {
            usage("--format", format_args!("expected one of {names}; or name --out FILE.onnx, FILE.py or FILE.html"))
        }
    })
}

/// Checks the files of an export and returns those that are to be written: all but the weights from which it is made.
fn outputs(format: &Format, out: &Path, weights: &Path) -> Result<Vec<PathBuf>> {
    let paths = (format.paths)(out);
    let (main, others) = paths.split_last().unzip();
    let forms = match format.ending {
        "py" => [Form::Python],
        "html" => [Form::Html],
        _ => [Form::Onnx],
    };
    let mut outputs = vec![];
    let Some(main) = main else { return Ok(outputs) };
    Output::new("--out", main, &forms)?.keep_apart_from([weights])?;
    for path in others.unwrap_or_default().iter().filter(|path| !is_same(path, weights)) {
        // Only those of an earlier export may be replaced, not a generator that was trained for hours.
        if path.exists() && !main.exists() {
            let problem = format!("its weights would replace {}: name another file", path.display());
            return Err(usage(format_args!("--out {}", main.display()), problem));
        }
        Output::new("--out", path, &[Form::Weights])?;
        outputs.push(path.clone());
    }
    outputs.push(main.clone());
    Ok(outputs)
}

/// Reads the network.
fn model(args: &ExportArgs, network: NetworkName, weights: &Path, description: Description) -> Result<Model> {
    let device = Device::Cpu;
    if network.name() == description.network {
        return Ok(match network {
            NetworkName::Generator => {
                let (description, generator) = weights::read_generator(weights, &device)?;
                Model { network: Network::Generator(generator), description }
            }
            NetworkName::Discriminator => {
                let (description, discriminator) = weights::read_discriminator(weights, &device)?;
                Model { network: Network::Discriminator(discriminator), description }
            }
        });
    }
    let discriminator = source::run_discriminator(&args.source, &device)?;
    let layers = discriminator.network();
    let description = Description {
        network: network.name().into(),
        input: layers.input().to_vec(),
        layers: layers.layers().to_vec(),
        ..description
    };
    Ok(Model { network: Network::Discriminator(discriminator), description })
}
