//! `gan data fetch`: downloads a data set from the Hugging Face Hub, or explains how to get it without.

use crate::args::usage;
use crate::output;
use anyhow::Result;
use clap::Args;
use gan_data::DatasetEntry;
use gan_data::fetch::Source;
use std::path::{Path, PathBuf};

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

/// Downloads the data set that `args` name.
pub fn run(args: &FetchArgs, quiet: bool) -> Result<()> {
    let names: Vec<&str> = DatasetEntry::sources().map(|source| source.name).collect();
    let unknown = || {
        let nearest = gan_base::messages::choose(&args.name, &names);
        usage(format_args!("\"{}\"", args.name), format_args!("no data set of that name can be fetched{nearest}"))
    };
    let source = DatasetEntry::find(&args.name).and_then(|set| set.info.source).ok_or_else(unknown)?;
    if let Some(out) = &args.out {
        output::check_folder_name("--out", out)?;
    }
    fetch(&source, &gan_data::fetch::target(source.name, args.out.as_deref()), quiet)
}

#[cfg(not(feature = "hub"))]
fn fetch(source: &Source, target: &Path, _: bool) -> Result<()> {
    let problem = format!(
        "gan data fetch {}: this build of gan has no feature \"hub\" and cannot download. By hand: {} (the readers look in {} too). To \
         download, build gan with its default features",
        source.name,
        source.by_hand,
        target.display()
    );
    Err(crate::args::Usage(problem).into())
}

#[cfg(feature = "hub")]
fn fetch(source: &Source, target: &Path, quiet: bool) -> Result<()> {
    use crate::print;
    use crate::progress::Meter;
    use gan_base::messages::counted;
    use gan_data::fetch::Progress;
    use gan_hub::Environment;

    let environment = Environment::of_this_process();
    if !quiet {
        let from = format_args!("{} from {}", source.repository, environment.endpoint);
        print::note(format_args!("{}: {from} into {}\nlicence: {}", source.name, target.display(), source.licence));
    }
    let mut meter = Meter::new(quiet);
    let outcome = gan_data::fetch::fetch(source, target, environment, &mut |progress| match progress {
        Progress::Download { file, done, total } => meter.show(file, done, total, "byte"),
        Progress::Unpack { done, total } => meter.show("writing images", done, total, "image"),
    });
    meter.end();
    match outcome? {
        None => print::line(format_args!("{}: already there, every checksum is right", target.display())),
        Some(images) => print::line(format_args!("{}: {}", target.display(), counted(images, "image"))),
    }
}
