//! Arguments of the commands that use a trained generator: samples, walks, projections.

use super::{MOST, small, whole};
use clap::Args;
use clap::builder::TypedValueParser;
use std::path::PathBuf;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan generate runs/first --out digits.png\n  gan generate generator.safetensors --count 20 --grid 4x5 --seed 3\n  gan generate generator.safetensors --count 1000 --out images/\n  gan generate generator.safetensors --latents z.npy --out images.npy\n  gan generate generator.safetensors --out - | display"
)]
pub struct GenerateArgs {
    /// A run folder or a generator's weight file.
    #[arg(value_name = "RUN or FILE.safetensors")]
    pub source: PathBuf,
    /// Number of samples [default: the grid's cells, or 64; with --latents, the number in the file].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole(1, 1_000_000).map(small))]
    pub count: Option<usize>,
    /// Seed of the latent vectors.
    #[arg(long, value_name = "S", default_value_t = 0, allow_negative_numbers = true, value_parser = whole(0, MOST))]
    pub seed: u64,
    /// Latent vectors from a file: float32 [N, latent].
    #[arg(long, value_name = "Z.npy", conflicts_with = "seed")]
    pub latents: Option<PathBuf>,
    /// FILE.png for a sheet, FILE.npy for float32 [N, C, H, W] in the data's range, - for a PNG on standard output, or a new or
    /// empty folder for a PNG each.
    #[arg(long, value_name = "PATH", default_value = "samples.png")]
    pub out: PathBuf,
    /// Rows and columns of the sheet [default: as square as possible].
    #[arg(long, value_name = "RxC", allow_negative_numbers = true, value_parser = parse_grid)]
    pub grid: Option<(usize, usize)>,
    /// Class of the samples, by name, or by number if no class has a number as its name, for a conditional generator [default: each in
    /// turn].
    #[arg(long, value_name = "C", allow_negative_numbers = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub class: Option<String>,
    /// Resample latent numbers further than this from 0: less variety, mostly better samples [default: the weight file's value].
    #[arg(long, value_name = "T", conflicts_with = "latents", allow_negative_numbers = true, value_parser = truncation)]
    pub truncation: Option<f64>,
    /// Device to compute on: auto, cpu, cuda, cuda:N, metal.
    #[arg(long, default_value = "auto")]
    pub device: String,
}

/// Below a hundredth, nearly every draw would be rejected.
fn truncation(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(t) if (0.01..=1000.0).contains(&t) => Ok(t),
        _ => Err("expected a number from 0.01 to 1000, e.g. 0.7".into()),
    }
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan project runs/first seven.png --out seven-again.png\n  gan project generator.safetensors digits.npy --latents-out z.npy"
)]
pub struct ProjectArgs {
    /// A run folder or a generator's weight file.
    #[arg(value_name = "RUN or FILE.safetensors")]
    pub source: PathBuf,
    /// Images (PNG, JPEG, WebP, GIF, BMP; fitted to the generator's size), or .npy files of float32 [N, C, H, W] in the data's range.
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,
    /// Sheet to write: each image, and beside it the generator's closest sample.
    #[arg(long, value_name = "FILE.png", default_value = "projected.png")]
    pub out: PathBuf,
    /// File for the latent vectors, float32 [N, latent], as input of `gan generate --latents`.
    #[arg(long, value_name = "Z.npy")]
    pub latents_out: Option<PathBuf>,
    /// Class to search in, by name, or by number if no class has a number as its name [default: all].
    #[arg(long, value_name = "C", allow_negative_numbers = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub class: Option<String>,
    /// Number of random starts for each image.
    #[arg(long, value_name = "N", default_value_t = 20, allow_negative_numbers = true, value_parser = whole(1, 1000).map(small))]
    pub starts: usize,
    /// Number of steps from each start.
    #[arg(long, value_name = "N", default_value_t = 300, allow_negative_numbers = true, value_parser = whole(1, 100_000))]
    pub steps: u64,
    /// Seed of the starts.
    #[arg(long, value_name = "S", default_value_t = 0, allow_negative_numbers = true, value_parser = whole(0, MOST))]
    pub seed: u64,
    /// Device to compute on: auto, cpu, cuda, cuda:N, metal.
    #[arg(long, default_value = "auto")]
    pub device: String,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan interpolate runs/first --out walk.gif\n  gan interpolate generator.safetensors --points 2 --frames 9 --out strip.png"
)]
pub struct InterpolateArgs {
    /// A run folder or a generator's weight file.
    #[arg(value_name = "RUN or FILE.safetensors")]
    pub source: PathBuf,
    /// FILE.gif for a looping animation, FILE.png for a strip.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Number of samples to visit.
    #[arg(long, value_name = "N", default_value_t = 8, allow_negative_numbers = true, value_parser = whole(2, 1000))]
    pub points: u64,
    /// Number of frames from each sample to the next.
    #[arg(long, value_name = "N", default_value_t = 12, allow_negative_numbers = true, value_parser = whole(1, 1000))]
    pub frames: u64,
    /// Seed of the samples.
    #[arg(long, value_name = "S", default_value_t = 0, allow_negative_numbers = true, value_parser = whole(0, MOST))]
    pub seed: u64,
    /// Class of the samples, by name, or by number if no class has a number as its name, for a conditional generator [default: the first].
    #[arg(long, value_name = "C", allow_negative_numbers = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub class: Option<String>,
}

/// Maximum number of rows and columns of a sheet.
const MOST_CELLS: usize = 1000;

fn parse_grid(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| text.trim().parse().ok().filter(|n| (1..=MOST_CELLS).contains(n));
    let sides = text.split_once(['x', 'X', '×']).and_then(|(rows, columns)| Some((side(rows)?, side(columns)?)));
    sides.ok_or_else(|| format!("expected rows x columns of 1 to {MOST_CELLS} each, e.g. 8x8"))
}
