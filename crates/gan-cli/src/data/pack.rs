//! `gan data pack`: a data set written into one file.

use super::args::PackArgs;
use super::chosen;
use super::meter::{Meter, Unit};
use crate::args::Usage;
use crate::say;
use anyhow::Result;
use gan_data::pack::{self, Made};
use std::thread::available_parallelism;

/// Packs what `args` name.
pub fn run(args: &PackArgs, quiet: bool) -> Result<()> {
    let to = &args.to;
    if to.is_file() && !pack::is_pack(to) {
        let problem = "is there already and is no pack: it stays; choose another name, or remove it first";
        return Err(Usage(format!("{}: {problem}", to.display())).into());
    }
    let chosen = chosen::open(&args.source)?;
    let data = chosen.data.as_ref();
    let threads = available_parallelism().map_or(1, usize::from);
    let mut meter = Meter::new(quiet);
    let made = Made { name: &chosen.name, from: &chosen.from };
    let written = pack::write(to, data, &made, threads, &mut |progress| {
        meter.show("packing", progress.done as u64, progress.total as u64, Unit::Images);
    });
    meter.end();
    written.map_err(gan_train::Error::from)?;
    if !data.skipped().is_empty() {
        let (count, source) = (data.skipped().len(), &args.source.source);
        say::note(format_args!("{count} files could not be used; `gan data inspect {source}` lists them"));
    }
    let shape = data.shape().iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
    let bytes = std::fs::metadata(to).map_or(0, |file| file.len());
    say::line(format_args!("{}: {} images of {shape}, {bytes} bytes", to.display(), data.len()))
}
