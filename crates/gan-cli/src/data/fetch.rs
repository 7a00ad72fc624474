//! `gan data fetch`: a data set from the Hugging Face Hub, or how to get it without.

use crate::args::{FetchArgs, Usage};
use anyhow::Result;
use gan_data::fetch::{SOURCES, Source, source};
use std::path::Path;

/// Fetches the data set that `args` name.
pub fn run(args: &FetchArgs, quiet: bool) -> Result<()> {
    let names = SOURCES.map(|source| source.name);
    let unknown = || {
        let nearest = gan_core::wording::choose(&args.name, &names);
        Usage(format!("data set \"{}\": there is none of that name to fetch{nearest}", args.name))
    };
    let source = source(&args.name).ok_or_else(unknown)?;
    fetch(source, &gan_data::folder::target(source.name, args.out.as_deref()), quiet)
}

#[cfg(not(feature = "hub"))]
fn fetch(source: &Source, target: &Path, _: bool) -> Result<()> {
    let again = "build it with it: cargo build --release -p gan-cli --features hub";
    let problem = format!(
        "gan data fetch {}: this build of gan has no feature \"hub\" and cannot download; {again}. Or get the files by hand: {} \
         (the readers look in {} too)",
        source.name,
        source.by_hand,
        target.display()
    );
    Err(Usage(problem).into())
}

#[cfg(feature = "hub")]
fn fetch(source: &Source, target: &Path, quiet: bool) -> Result<()> {
    use crate::say;
    use gan_data::fetch::{Environment, Outcome};

    let environment = Environment::of_this_process();
    if !quiet {
        let from = format_args!("{} from {}", source.repository, environment.endpoint);
        say::note(format_args!("{}: {from} into {}\nlicence: {}", source.name, target.display(), source.licence));
    }
    let mut meter = meter::Meter::new(quiet);
    let outcome = gan_data::fetch::fetch(source, target, environment, &mut |progress| meter.show(progress));
    meter.end();
    match outcome? {
        Outcome::AlreadyThere => {
            say::line(format_args!("{}: already there, every checksum is right", target.display()))
        }
        Outcome::Fetched { images } => say::line(format_args!("{}: {images} images", target.display())),
    }
}

#[cfg(feature = "hub")]
mod meter {
    //! How far a download is: a bar on a terminal, else a line a file and one every ten seconds.

    use crate::say;
    use gan_data::fetch::Progress;
    use indicatif::{ProgressBar, ProgressStyle};
    use std::io::IsTerminal;
    use std::time::{Duration, Instant};

    const LINE_EVERY: Duration = Duration::from_secs(10);

    pub enum Meter {
        Nothing,
        Lines { what: String, last: Instant },
        Bar { what: String, bar: ProgressBar },
    }

    impl Meter {
        pub fn new(quiet: bool) -> Self {
            match (quiet, std::io::stderr().is_terminal()) {
                (true, _) => Self::Nothing,
                (false, true) => Self::Bar { what: String::new(), bar: ProgressBar::no_length() },
                (false, false) => Self::Lines { what: String::new(), last: Instant::now() },
            }
        }

        pub fn show(&mut self, progress: Progress<'_>) {
            let (now, done, total, unit) = match progress {
                Progress::Download { file, done, total } => (file, done, total, "bytes"),
                Progress::Unpack { done, total } => ("writing images", done, total, "images"),
            };
            match self {
                Self::Nothing => {}
                Self::Lines { what, last } => {
                    if what != now || last.elapsed() >= LINE_EVERY {
                        say::note(format_args!("{now}: {done} of {total} {unit}"));
                        (*what, *last) = (now.into(), Instant::now());
                    }
                }
                Self::Bar { what, bar } => {
                    if what != now {
                        *what = now.into();
                        bar.set_style(style(&progress));
                        bar.set_length(total);
                        bar.set_message(now.to_string());
                        bar.reset_elapsed();
                    }
                    bar.set_position(done);
                }
            }
        }

        pub fn end(&self) {
            if let Self::Bar { bar, .. } = self {
                bar.finish_and_clear();
            }
        }
    }

    fn style(progress: &Progress<'_>) -> ProgressStyle {
        let template = match progress {
            Progress::Download { .. } => "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}",
            Progress::Unpack { .. } => "{msg} {wide_bar} {pos}/{len}",
        };
        ProgressStyle::with_template(template).expect("a valid template")
    }
}
