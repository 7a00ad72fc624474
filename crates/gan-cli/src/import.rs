//! `gan import`, and `gan summary` of files that other programs wrote.

use crate::args::usage;
use crate::output::{Form, Output};
use crate::print::{self, shell_quoted};
use crate::source;
use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};
use gan_base::messages::counted;
use gan_base::{atomic, memory, regular_file};
use gan_core::summary::grouped;
use gan_core::{Distribution, Latent};
use gan_import::import::Import;
use gan_import::tutorial::Dcgan;
use gan_import::{Error, FileKind, ForeignFile, NetworkKind, StateDict};
use gan_train::NetworkFile;
use std::fmt::Write;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan import netG.pth --tutorial dcgan\n  gan import generator.pt --layers mlp.toml --out mlp.safetensors\n  gan import checkpoint.pth --key netG --preset dcgan-mnist\n  gan import netD.pth --tutorial dcgan --network discriminator"
)]
pub struct ImportArgs {
    /// A file by torch.save, or safetensors.
    #[arg(value_name = "FILE")]
    pub source: PathBuf,
    #[command(flatten)]
    pub layers: LayersFrom,
    /// Network in the file.
    #[arg(long, value_enum, default_value_t = NetworkName::Generator)]
    pub network: NetworkName,
    /// Key of the network in a checkpoint that holds several.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Accept tensors that no layer takes.
    #[arg(long)]
    pub allow_unused: bool,
    /// Weight file to write [default: the source's name with the ending .safetensors].
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: Option<PathBuf>,
}

/// Where the layers are described.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct LayersFrom {
    /// TOML file with the layers: the keys input, layers and latent, or the tables of a run's settings.
    #[arg(long, value_name = "NET.toml")]
    pub layers: Option<PathBuf>,
    /// Preset with the layers.
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Architecture whose layers follow from the shapes in the file.
    #[arg(long, value_enum, value_name = "NAME")]
    pub tutorial: Option<Tutorial>,
}

/// A known architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tutorial {
    /// The DCGAN of PyTorch's tutorial, at any size and width.
    Dcgan,
}

/// A network of a GAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NetworkName {
    /// From latent vectors to samples.
    Generator,
    /// From samples to logits.
    Discriminator,
}

impl NetworkName {
    fn kind(self) -> NetworkKind {
        match self {
            Self::Generator => NetworkKind::Generator,
            Self::Discriminator => NetworkKind::Discriminator,
        }
    }
}

/// Imports a network.
pub fn run(args: &ImportArgs, quiet: bool) -> Result<()> {
    let output = output(args)?;
    let network = args.network.kind();
    // What is wrong with the settings is said before a large file is read.
    let listed = listed(&args.layers, network)?;
    let bytes = read(&args.source)?;
    let imported = imported(args, network, listed, &bytes).map_err(|error| said(&args.source, error))?;
    atomic::write(&output.path, &imported.bytes)?;
    if !quiet {
        print::note(&imported.table);
        imported.notes.iter().for_each(print::note);
        let rest =
            "Strides, paddings, activations and the ε of norms are not in the file: they are those of the layers.";
        print::note(rest);
    }
    print::line(output.path.display())
}

fn imported(
    args: &ImportArgs,
    network: NetworkKind,
    listed: Option<NetworkFile>,
    bytes: &[u8],
) -> Result<gan_import::Imported, Error> {
    let file = ForeignFile::read(bytes)?;
    let dict = file.state_dict(network, args.key.as_deref())?;
    let NetworkFile { input, layers, latent } = match listed {
        Some(listed) => listed,
        None => inferred(&dict, network)?,
    };
    let import = Import { network, input, layers, latent, allows_unused: args.allow_unused };
    gan_import::import(&file, &dict, import)
}

/// Returns the layers that a file or a preset lists; `None` if they follow from the weights.
fn listed(from: &LayersFrom, network: NetworkKind) -> Result<Option<NetworkFile>> {
    if let Some(path) = &from.layers {
        return Ok(Some(NetworkFile::read(path, network.name())?));
    }
    let Some(preset) = &from.preset else { return Ok(None) };
    let plan = source::plan(gan_train::presets::get(preset)?.name, &[])?;
    let own = if network == NetworkKind::Generator { &plan.generator } else { &plan.discriminator };
    let latent = plan.config().latent;
    Ok(Some(NetworkFile { input: own.input.clone(), layers: own.layers.clone(), latent }))
}

/// Returns the layers of the tutorial's network.
fn inferred(dict: &StateDict, network: NetworkKind) -> Result<NetworkFile, Error> {
    let advice = "list the layers with --layers NET.toml (docs/import.md)";
    let found = Dcgan::recognize(dict)
        .map_err(|problem| Error::Mismatch(format!("is not the DCGAN of PyTorch's tutorial: {problem}; {advice}")))?;
    if found.network != network {
        let problem = format!("holds a {}, but --network is {}", found.network.name(), network.name());
        return Err(Error::Choice(problem));
    }
    let latent = latent(found.latent.unwrap_or(100));
    Ok(NetworkFile { input: found.input(), layers: found.layers, latent })
}

fn latent(dim: usize) -> Latent {
    Latent { dim, distribution: Distribution::Normal, truncation: None }
}

/// Checks the file to write.
fn output(args: &ImportArgs) -> Result<Output> {
    let default = || PathBuf::from(args.source.with_extension("safetensors").file_name().unwrap_or_default());
    let out = args.out.clone().unwrap_or_else(default);
    if args.out.is_none() && out.exists() {
        return Err(usage(out.display(), "is there already and would be replaced: name the file to write with --out"));
    }
    let output = Output::new("--out", &out, &[Form::Weights])?;
    output.keep_apart_from([args.source.as_path()])?;
    Ok(output)
}

/// Reads a whole file.
fn read(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |error| anyhow!("{}: cannot be read: {error}", path.display());
    if !path.exists() {
        return Err(usage(path.display(), "there is no such file: name a file by torch.save, or safetensors"));
    }
    let length = regular_file::open(path).and_then(|file| file.metadata()).map_err(unreadable)?.len();
    memory::check(length).map_err(|shortage| anyhow!("{}: to read it {shortage}", path.display()))?;
    regular_file::read(path, length).map_err(unreadable)
}

/// Returns the error of a file.
fn said(path: &Path, error: Error) -> anyhow::Error {
    match error {
        Error::Choice(problem) => usage(path.display(), problem),
        other => anyhow::Error::from(other).context(path.display().to_string()),
    }
}

/// Returns whether the file at `path` is one of another program: no text, and no weight file of gan.
pub fn is_foreign(path: &Path) -> bool {
    let start = regular_file::open(path).map(|file| {
        let mut start = vec![];
        std::io::Read::read_to_end(&mut std::io::Read::take(file, 1 << 12), &mut start).ok();
        start
    });
    match start.as_deref().map(FileKind::of) {
        Ok(FileKind::Safetensors) => !is_ours(path),
        // Settings in UTF-16 are text too; that of other files is told when they are read as settings.
        Ok(FileKind::Text | FileKind::Empty) | Err(_) => false,
        Ok(FileKind::Unknown) => {
            !start.as_ref().is_ok_and(|start| start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff"))
        }
        Ok(_) => true,
    }
}

/// Returns whether a safetensors file has a description by gan, whole or not.
fn is_ours(path: &Path) -> bool {
    match gan_core::weights::read_description(path) {
        Ok(_) => true,
        Err(error) => !error.to_string().contains("was not written by gan"),
    }
}

/// Returns what is in a file that another program wrote.
pub fn summary(path: &Path) -> Result<String> {
    let bytes = read(path)?;
    let file = ForeignFile::read(&bytes).map_err(|error| said(path, error))?;
    let mut text = String::new();
    writeln!(text, "{}: {}", path.display(), file.kind)?;
    for dict in &file.state_dicts {
        let key = if dict.key.is_empty() { String::new() } else { format!("key {}, ", dict.key) };
        let class = dict.class.as_ref().map(|class| format!("module {class}, ")).unwrap_or_default();
        let count: usize = dict.tensors.iter().map(gan_import::ForeignTensor::elem_count).sum();
        writeln!(text, "\n{key}{class}{}, {} numbers", counted(dict.tensors.len(), "tensor"), grouped(count))?;
        let width = dict.tensors.iter().map(|tensor| tensor.name.chars().count()).max().unwrap_or(0).min(60);
        let shapes: Vec<String> = dict.tensors.iter().map(|tensor| format!("{:?}", tensor.shape)).collect();
        let shape_width = shapes.iter().map(String::len).max().unwrap_or(0);
        for (tensor, shape) in dict.tensors.iter().zip(&shapes) {
            writeln!(text, "{:<width$}  {shape:<shape_width$}  {}", tensor.name, tensor.element.name())?;
        }
        let quoted = shell_quoted(path);
        let option = if file.state_dicts.len() > 1 { format!(" --key {}", dict.key) } else { String::new() };
        match Dcgan::recognize(dict) {
            Ok(found) => {
                let name = found.network.name();
                writeln!(text, "looks like the {name} of a DCGAN as in PyTorch's tutorial: {}", found.written())?;
                let network = if found.latent.is_none() { format!(" --network {name}") } else { String::new() };
                writeln!(text, "import it: gan import {quoted} --tutorial dcgan{network}{option}")?;
            }
            Err(_) => {
                writeln!(text, "import it: gan import {quoted} --layers NET.toml{option}, with its layers in NET.toml")?
            }
        }
    }
    if !file.optimizers.is_empty() {
        writeln!(text, "\n{} of optimizers, which are not imported", counted(file.optimizers.len(), "state"))?;
    }
    Ok(text)
}
