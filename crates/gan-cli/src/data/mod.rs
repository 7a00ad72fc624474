//! `gan data`: list, fetch, inspect and pack data sets, with one module per command; [`chosen`] opens the data of a command.

pub mod chosen;
mod fetch;
mod inspect;
mod list;
mod pack;

use anyhow::Result;
use clap::{Args, Subcommand};
use fetch::FetchArgs;
use gan_data::images::MOST_CHANNELS;
use inspect::InspectArgs;
use list::ListArgs;
use pack::PackArgs;

#[derive(Subcommand)]
pub enum DataCommand {
    /// List the data sets, what each needs, and whether its files are present.
    List(ListArgs),
    /// Download a data set from the Hugging Face Hub.
    Fetch(FetchArgs),
    /// Inspect a data set: number and sizes of images, classes, pixels, unusable files.
    Inspect(InspectArgs),
    /// Write a data set into one file from which training starts immediately.
    Pack(PackArgs),
}

/// Runs the command.
pub fn run(command: &DataCommand, quiet: bool) -> Result<()> {
    match command {
        DataCommand::List(args) => list::run(args),
        DataCommand::Fetch(args) => fetch::run(args, quiet),
        DataCommand::Inspect(args) => inspect::run(args, quiet),
        DataCommand::Pack(args) => pack::run(args, quiet),
    }
}

/// Arguments that select the data.
#[derive(Args)]
pub struct SourceArgs {
    /// A data set's name (gan data list), a folder of images, a .zip, .npy or .npz of them, or a pack.
    #[arg(value_name = "NAME, DIR or FILE")]
    pub source: String,
    /// Height and width [default: the data set's own; 64 for files of any size].
    #[arg(long, value_name = "N or HxW", allow_negative_numbers = true, value_parser = parse_size)]
    pub size: Option<(usize, usize)>,
    /// 1 for gray, 3 for RGB, 4 for RGB and alpha [default: the data set's own; 3 for files].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_channels)]
    pub channels: Option<usize>,
    /// Stop at the first unusable image file instead of skipping it.
    #[arg(long)]
    pub strict: bool,
    /// Change one of the data's settings, e.g. data.dir=DIR; may be repeated.
    #[arg(long, value_name = "data.KEY=VALUE")]
    pub set: Vec<String>,
}

/// Maximum side of an image.
const MOST_SIDE: usize = 4096;

pub fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| text.trim().parse().ok().filter(|n| (1..=MOST_SIDE).contains(n));
    let sides = text.split_once(['x', 'X', '×']).unwrap_or((text, text));
    let both = side(sides.0).zip(side(sides.1));
    both.ok_or_else(|| format!("expected a side of 1 to {MOST_SIDE}, e.g. 64, or height x width, e.g. 64x48"))
}

fn parse_channels(text: &str) -> Result<usize, String> {
    let channels = text.trim().parse().ok().filter(|channels| (1..=MOST_CHANNELS).contains(channels));
    channels.ok_or_else(|| "expected 1 (gray), 3 (RGB) or 4 (RGB and alpha)".into())
}
