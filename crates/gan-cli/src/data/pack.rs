//! `gan data pack`: writes a data set into one file.

use super::args::PackArgs;
use super::chosen;
use super::meter::{Meter, Unit};
use crate::args::Usage;
use crate::output::{self, Form, Output};
use crate::quoting::shell_quoted;
use crate::say;
use anyhow::Result;
use gan_base::messages::counted;
use gan_data::pack::{self, Origin};
use std::path::Path;
use std::thread::available_parallelism;

/// Packs the data that `args` select.
pub fn run(args: &PackArgs, quiet: bool) -> Result<()> {
    let to = &args.to;
    if to.is_file() && !pack::is_pack(to) {
        let problem = "is there already and is no pack: it stays; choose another name, or remove it first";
        return Err(Usage(format!("{}: {problem}", to.display())).into());
    }
    if to.is_dir() && args.part.is_none() {
        let problem = "is a folder: name a file in it, or add --part 100000 for a folder of packs";
        return Err(Usage(format!("{}: {problem}", to.display())).into());
    }
    if to.exists() && !to.is_file() && !to.is_dir() {
        let problem = "is there already and is not a regular file: it stays; choose another name";
        return Err(Usage(format!("{}: {problem}", to.display())).into());
    }
    check_folder_of_parts(args)?;
    let is_pack = pack::is_pack(to);
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
    let mut watch = |done, total| meter.show("packing", done as u64, total as u64, Unit::Images);
    let written = match args.part {
        Some(most) => pack::write_parts(to, &chosen.data, &origin, most, threads, &mut watch),
        None => pack::write(to, data, &origin, threads, &mut watch).map(|skipped| (vec![to.clone()], skipped)),
    };
    meter.end();
    let (files, broken) = written.map_err(gan_train::Error::from)?;
    let count = data.skipped().len() + broken.len();
    if count > 0 {
        let source = shell_quoted(Path::new(&args.source.source));
        let all = if broken.is_empty() { "" } else { " --all" };
        let files = counted(count, "file");
        say::note(format_args!("{files} could not be used; `gan data inspect {source}{all}` lists them"));
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
    say::line(format_args!("{}: {images} of {shape}, {}{parts}", to.display(), counted(bytes, "byte")))
}

/// Checks that parts go into a new folder, an empty one, or one that only contains packs.
fn check_folder_of_parts(args: &PackArgs) -> Result<()> {
    if args.part.is_none() {
        return Ok(());
    }
    if pack::is_pack(&args.to) && args.to.is_dir() {
        return Ok(());
    }
    Output::new("DST", &args.to, &[Form::Folder]).map(|_| ())
}
