//! `gan data pack`: writes a data set into one file.

use super::{SourceArgs, chosen};
use crate::args::{MOST, count, usage};
use crate::output::{self, Form, Output};
use crate::print::{self, shell_quoted};
use crate::progress::Meter;
use anyhow::Result;
use clap::Args;
use gan_base::messages::counted;
use gan_data::pack::{self, Origin};
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

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
    #[arg(long, value_name = "IMAGES", allow_negative_numbers = true, value_parser = count(1, MOST))]
    pub part: Option<usize>,
}

/// Packs the data that `args` select.
pub fn run(args: &PackArgs, quiet: bool) -> Result<()> {
    let to = &args.to;
    let is_pack = pack::is_pack(to);
    let problem = match args.part {
        _ if to.is_file() && !is_pack => {
            "is there already and is no pack: it stays; choose another name, or remove it first"
        }
        None if to.is_dir() => "is a folder: name a file in it, or add --part 100000 for a folder of packs",
        _ if to.exists() && !to.is_file() && !to.is_dir() => {
            "is there already and is not a regular file: it stays; choose another name"
        }
        Some(_) | None => "",
    };
    if !problem.is_empty() {
        return Err(usage(to.display(), problem));
    }
    // Parts go into a new folder, an empty one, or one that contains only packs.
    if args.part.is_some() && !(is_pack && to.is_dir()) {
        Output::new("DST", to, &[Form::Folder])?;
    }
    if args.part.is_none() && !is_pack {
        Output::new("DST", to, &[Form::Pack])?;
    }
    // A pack may be packed into itself: it is read until the new one replaces it.
    let is_kept = |files: &&Path| !(is_pack && files.is_file());
    output::check_apart("DST", to, Some(Path::new(&args.source.source)).filter(is_kept))?;
    let chosen = chosen::open(&args.source, chosen::Purpose::Use)?;
    output::check_apart("DST", to, chosen.files.as_deref().filter(is_kept))?;
    let data = chosen.data.as_ref();
    let threads = available_parallelism().map_or(1, usize::from);
    let mut meter = Meter::new(quiet);
    let origin = Origin { name: &chosen.name, from: &chosen.from };
    let mut watch = |done, total| meter.show("packing", done as u64, total as u64, "image");
    let written = pack::write(to, &chosen.data, &origin, args.part, threads, &mut watch);
    meter.end();
    let (files, broken) = written.map_err(gan_train::Error::from)?;
    let count = data.skipped().len() + broken.len();
    if count > 0 {
        let all = if broken.is_empty() { "" } else { " --all" };
        let inspect = format!("gan data inspect {}{all}", shell_quoted(Path::new(&args.source.source)));
        print::note(format_args!("{} could not be used; `{inspect}` lists them", counted(count, "file")));
    }
    let images = data.len() - broken.len();
    let shape = data.shape().iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
    let bytes: u64 = files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|file| file.len()).sum();
    let parts = match (args.part, files.len()) {
        (None, _) => String::new(),
        (_, 1) => " in one part".into(),
        (_, count) => format!(" in {count} parts"),
    };
    let images = counted(images, "image");
    print::line(format_args!("{}: {images} of {shape}, {}{parts}", to.display(), counted(bytes, "byte")))
}
