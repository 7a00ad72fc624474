//! `gan report`.

use crate::args::{Usage, usage};
use crate::output::{Form, Output};
use crate::print;
use anyhow::Result;
use clap::Args;
use gan_run::RunFolder;
use gan_run::report::{self, RunState};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// Writes the page and prints its path.
pub fn run(args: &ReportArgs) -> Result<()> {
    check(&args.run)?;
    let own = args.run.join("report.html");
    let named = args.out.as_deref().unwrap_or(&own);
    let out = Output::replacing("--out", named, &[Form::Html, Form::Stdout], Some(&own))?;
    let state = if RunFolder::is_busy(&args.run) { RunState::GoingOn } else { RunState::AtRest };
    if out.form == Form::Stdout {
        if args.open {
            return Err(Usage("--open shows a file, but --out - writes none: leave one of them out".into()).into());
        }
        return print::bytes(report::page(&args.run, state)?.html().as_bytes());
    }
    report::write(&args.run, state, &out.path)?;
    print::line(out.path.display())?;
    if args.open {
        open(out.path.as_os_str());
    }
    Ok(())
}

/// Reports what `run` is if it is not a run.
pub fn check(run: &Path) -> Result<()> {
    if RunFolder::is_run(run) {
        return Ok(());
    }
    let problem = match (run.is_dir(), run.exists()) {
        (true, _) => "holds no run: there is no config.toml written by gan train. Name a run's folder",
        (_, true) => "is a file: name the folder of a run",
        _ => "there is no such folder: name the folder of a run",
    };
    Err(usage(run.display(), problem))
}

/// Opens a file or an address with the system's default program. A failure is not an error, because the page is there.
pub fn open(page: &OsStr) {
    let (program, before): (&str, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        // `start` uses its first quoted word as a title.
        "windows" => ("cmd", &["/C", "start", ""]),
        _ => ("xdg-open", &[]),
    };
    let quiet = || Stdio::null();
    let opened = Command::new(program).args(before).arg(page).stdin(quiet()).stdout(quiet()).stderr(quiet()).status();
    let shown = page.display();
    match opened {
        Ok(status) if status.success() => {}
        Ok(_) => print::note(format_args!("{program} found nothing that shows {shown}: open the file in a browser")),
        Err(_) => print::note(format_args!("there is no {program} here to show {shown}: open the file in a browser")),
    }
}
