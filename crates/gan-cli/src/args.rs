//! The command line.

use crate::data::args::{InspectArgs, ListArgs, PackArgs};
use clap::builder::TypedValueParser;
use clap::{Args, Parser, Subcommand};
use gan_metrics::Protocol;
use std::path::PathBuf;

mod making;

pub use making::{GenerateArgs, InterpolateArgs, ProjectArgs};

/// Usage error that clap cannot detect; exit code 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Train, inspect and share GANs.
#[derive(Parser)]
#[command(
    name = "gan",
    version,
    max_term_width = 100,
    after_help = "Examples:\n  gan train dcgan-mnist --out runs/first\n  gan train runs/first --resume\n  gan generate runs/first --count 64 --out digits.png\n  gan preset show dcgan-mnist > mine.toml"
)]
pub struct Cli {
    /// Print only errors to standard error.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print more to standard error; -vv prints everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Train a GAN into a run folder, or resume a run.
    Train(TrainArgs),
    /// Generate samples with a trained generator.
    Generate(GenerateArgs),
    /// Walk through the latent space from sample to sample.
    Interpolate(InterpolateArgs),
    /// Find the latent vectors of given images.
    Project(ProjectArgs),
    /// Compare samples with real data: Fréchet distance, coverage, copies and more, each with its card.
    Evaluate(EvaluateArgs),
    /// Print networks as tables: layers, shapes, parameters, multiply-adds.
    Summary(SummaryArgs),
    /// Write a run as one HTML page: curves, samples, networks, settings.
    Report(ReportArgs),
    /// List the presets, or print one as TOML to copy and edit.
    #[command(
        after_help = "Examples:\n  gan preset list\n  gan preset show dcgan-mnist > mine.toml && gan train mine.toml"
    )]
    Preset {
        #[command(subcommand)]
        command: PresetCommand,
    },
    /// Download, list, inspect and pack data sets.
    Data {
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Time whole training steps on synthetic data.
    Bench(BenchArgs),
    /// Print completions for a shell.
    #[command(
        after_help = "Examples:\n  gan completions bash > ~/.local/share/bash-completion/completions/gan\n  gan completions fish > ~/.config/fish/completions/gan.fish"
    )]
    Completions {
        /// Shell to print completions for.
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
#[command(
    after_help = "Settings are laid over each other: preset < file < --set.\n\nExamples:\n  gan train dcgan-mnist\n  gan train dcgan-mnist --epochs 1 --out runs/quick\n  gan train keras-mnist --set train.batch=128 --set optimizer.generator.lr=1e-4\n  gan train mine.toml --seed 7\n  gan train runs/quick --resume --epochs 3\n  gan train runs/quick/config.toml --out runs/again"
)]
pub struct TrainArgs {
    /// A preset's name, a TOML file, or (with --resume) a run folder.
    #[arg(value_name = "PRESET or FILE.toml or RUN")]
    pub source: String,
    /// The run folder [default: runs/PRESET-DATE-TIME].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Total number of steps.
    #[arg(long, value_name = "N", conflicts_with = "epochs", allow_negative_numbers = true, value_parser = whole(1, MOST))]
    pub steps: Option<u64>,
    /// Total number of passes over the data.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole(1, MOST))]
    pub epochs: Option<u64>,
    /// Seed of every random number.
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = whole(0, MOST))]
    pub seed: Option<u64>,
    /// Change one setting, e.g. train.batch=64; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Device to compute on: auto, cpu, cuda, cuda:N, metal.
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Train on the first N GPUs at once, each with its share of the batch.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole(1, 64).map(small))]
    pub gpus: Option<usize>,
    /// Number of computation threads; 0 means one per core. The results are the same for any number.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole(0, 1024).map(small))]
    pub threads: Option<usize>,
    /// Resume from the last complete checkpoint.
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,
    /// Delete the run in the folder first. Folders that are not runs are never touched.
    #[arg(long)]
    pub overwrite: bool,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan evaluate runs/first\n  gan evaluate runs/first runs/second\n  gan evaluate runs/first --best --samples 2000 --json\n  gan evaluate made/ --data mnist\n  gan evaluate made/ --data pictures/ --floor\n  gan evaluate samples.npy --data pictures/ --metrics fd_thumbnails,coverage\n  gan evaluate runs/first --protocol fid50k"
)]
pub struct EvaluateArgs {
    /// Run folders, generators' weight files, folders of images, or .npy files; several are shown side by side.
    #[arg(value_name = "RUN, FILE.safetensors, DIR or FILE.npy", required = true)]
    pub sources: Vec<String>,
    /// Real data: a data set's name, a folder of images, a pack, or with --protocol statistics [default: the generator's training data].
    #[arg(long, value_name = "NAME, DIR, FILE.ganpack or FILE.npz")]
    pub data: Option<String>,
    /// Number of samples to evaluate [default: all of a folder or an array, 10000 of a generator].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole(2, 1_000_000).map(small))]
    pub samples: Option<usize>,
    /// Metrics to measure, e.g. fd_digits,coverage [default: those that fit the data].
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub metrics: Vec<String>,
    /// Also measure real samples: between random halves of the folder or pack that --data names.
    #[arg(long)]
    pub floor: bool,
    /// Network that computes the features: auto, digits, inception, thumbnails, or a classifier's weight file.
    #[arg(long, value_name = "NAME or FILE", default_value = "auto")]
    pub embedder: String,
    /// Follow a published protocol: fid50k is the FID of 50,000 samples against the whole training set, with Inception-v3's weights.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["samples", "metrics", "embedder", "floor"])]
    pub protocol: Option<Protocol>,
    /// Evaluate a run's best generator instead of the last.
    #[arg(long)]
    pub best: bool,
    /// Seed of the latent vectors and of every random choice of samples.
    #[arg(long, value_name = "S", default_value_t = 0, allow_negative_numbers = true, value_parser = whole(0, MOST))]
    pub seed: u64,
    /// Change one of the real data's settings, e.g. data.split=train; may be repeated.
    #[arg(long, value_name = "data.KEY=VALUE")]
    pub set: Vec<String>,
    /// Device to compute on: auto, cpu, cuda, cuda:N, metal.
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Print one line of JSON per card.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan summary dcgan-mnist\n  gan summary mine.toml --set generator.width=32\n  gan summary runs/first/generator.safetensors"
)]
pub struct SummaryArgs {
    /// A preset's name, a TOML file, a run folder or a weight file.
    #[arg(value_name = "PRESET, FILE or RUN")]
    pub source: String,
    /// Change one setting first; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan report runs/first --open\n  gan report runs/first --out first.html\n\nThe page is one file that needs no network. Training writes it at its end; this command makes it anew, also while a run is going on."
)]
pub struct ReportArgs {
    /// A run folder.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Show the page in the browser.
    #[arg(long)]
    pub open: bool,
    /// File to write: FILE.html, or - for standard output [default: RUN/report.html].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum PresetCommand {
    /// List names and descriptions.
    List,
    /// Print one preset as TOML.
    Show {
        /// Name of the preset.
        name: String,
    },
}

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

#[derive(Args)]
#[command(
    after_help = "Broken downloads go on where they were; every file is checked. HF_ENDPOINT, HF_TOKEN, HF_HOME and HF_HUB_CACHE are respected.\n\nExamples:\n  gan data fetch cifar10 && gan train dcgan-cifar10\n  gan data fetch celeba --out /data/celeba"
)]
pub struct FetchArgs {
    /// mnist, fashion-mnist, cifar10 or celeba.
    pub name: String,
    /// New folder [default: $GAN_DATA_DIR/NAME, or data/NAME here].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  gan bench\n  gan bench keras-mnist --steps 50 --json")]
pub struct BenchArgs {
    /// A preset's name, a TOML file or a run folder.
    // ignore-tidy-names: the default
    #[arg(default_value = "dcgan-mnist")]
    pub source: String,
    /// Number of steps to time, after two that are not timed.
    #[arg(long, value_name = "N", default_value_t = 10, allow_negative_numbers = true, value_parser = whole(1, MOST))]
    pub steps: u64,
    /// Batch size instead of the preset's.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole(1, 1 << 20).map(small))]
    pub batch: Option<usize>,
    /// Number of computation threads; 0 means one per core.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole(0, 1024).map(small))]
    pub threads: Option<usize>,
    /// Change one setting first; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Device to compute on: auto, cpu, cuda, cuda:N, metal.
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Time steps on the first N GPUs at once, each with its share of the batch.
    #[arg(long, value_name = "N", conflicts_with_all = ["kernels", "generate"], allow_negative_numbers = true, value_parser = whole(1, 64).map(small))]
    pub gpus: Option<usize>,
    /// Time each convolution's kernels instead of steps.
    #[arg(long, conflicts_with = "generate")]
    pub kernels: bool,
    /// Time the generation of N samples instead of steps.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole(1, 1 << 24).map(small))]
    pub generate: Option<usize>,
    /// Print one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// The largest number that TOML can hold.
pub const MOST: u64 = i64::MAX as u64;

/// Parses a whole number from `low` to `high`.
pub fn whole(low: u64, high: u64) -> impl TypedValueParser<Value = u64> {
    move |text: &str| match text.parse() {
        Ok(n) if (low..=high).contains(&n) => Ok(n),
        _ if high == MOST => Err(format!("expected a whole number, {low} or more")),
        _ => Err(format!("expected a whole number from {low} to {high}")),
    }
}

pub fn small(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
