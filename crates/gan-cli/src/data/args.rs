//! The command line of `gan data list`, `inspect` and `pack`.

use crate::args::{MOST, small, whole};
use clap::Args;
use clap::builder::TypedValueParser;
use std::path::PathBuf;

/// The longest side of an image.
const MOST_SIDE: usize = 4096;

#[derive(Args)]
#[command(after_help = "Examples:\n  gan data list\n  gan data list --json")]
pub struct ListArgs {
    /// Print one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments that select the data.
#[derive(Args)]
pub struct SourceArgs {
    /// A data set's name (gan data list), a folder of images, or a pack.
    #[arg(value_name = "NAME, DIR or FILE.ganpack")]
    pub source: String,
    /// Height and width [default: the data set's own; 64 for a folder].
    #[arg(long, value_name = "N or HxW", allow_negative_numbers = true, value_parser = parse_size)]
    pub size: Option<(usize, usize)>,
    /// 1 for gray, 3 for color [default: the data set's own; 3 for a folder].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_channels)]
    pub channels: Option<usize>,
    /// Stop at the first unusable image file instead of skipping it.
    #[arg(long)]
    pub strict: bool,
    /// Change one of the data's settings, e.g. data.dir=DIR; may be repeated.
    #[arg(long, value_name = "data.KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan data inspect mnist --out digits.png\n  gan data inspect pictures/ --size 64 --json\n  gan data inspect faces.ganpack --all"
)]
pub struct InspectArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Decode every image instead of up to 1,000, and list all that cannot be decoded.
    #[arg(long)]
    pub all: bool,
    /// Draw up to 64 of the images, evenly spread over the data set, as a sheet.
    #[arg(long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,
    /// Print one line of JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[command(
    after_help = "Training takes the pack in place of the folder: gan train PRESET --set data.dir=FILE.ganpack\n\nExamples:\n  gan data pack pictures/ pictures.ganpack --size 64\n  gan data pack mnist mnist.ganpack && gan train dcgan-mnist --set data.dir=mnist.ganpack"
)]
pub struct PackArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// New file, or with --part new folder; an older pack of that name is replaced.
    #[arg(value_name = "DST.ganpack")]
    pub to: PathBuf,
    /// Write a folder of packs with at most this many images each, for sets that are copied and stored in parts.
    #[arg(long, value_name = "IMAGES", allow_negative_numbers = true, value_parser = whole(1, MOST).map(small))]
    pub part: Option<usize>,
}

fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| text.trim().parse().ok().filter(|n| (1..=MOST_SIDE).contains(n));
    let sides = text.split_once(['x', 'X', '×']).unwrap_or((text, text));
    let both = side(sides.0).zip(side(sides.1));
    both.ok_or_else(|| format!("expected a side of 1 to {MOST_SIDE}, e.g. 64, or height x width, e.g. 64x48"))
}

fn parse_channels(text: &str) -> Result<usize, String> {
    match text.trim() {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("expected 1 (grey) or 3 (colour)".into()),
    }
}
