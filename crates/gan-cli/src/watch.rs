//! `gan watch`.

use crate::interrupt::Interrupt;
use crate::{print, report};
use anyhow::Result;
use clap::Args;
use gan_core::summary::grouped;
use gan_report::{Metrics, Picture, to_digits};
use gan_run::report::{Report, RunState};
use gan_run::{RunFolder, RunLog};
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Time between two looks at the run.
const INTERVAL: Duration = Duration::from_millis(500);

/// Width of a curve, and maximum width of the samples, in characters.
const WIDTH: usize = 64;

/// Characters of a curve, from low to high.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Fields that are drawn, with their names.
const CURVES: [(&str, &str); 5] = [
    ("loss_d", "loss of D"),
    ("loss_g", "loss of G"),
    ("accuracy_d", "accuracy of D"),
    ("d_real", "D(x)"),
    ("d_fake_before", "D(G(z))"),
];

#[derive(Args)]
#[command(
    after_help = "Example:\n  gan watch runs/first\n\nIt shows curves, the newest samples and alarms while gan train writes them, here or on another machine that shares the folder. Ctrl-C ends it. If its output is not a terminal, it prints the run once."
)]
pub struct WatchArgs {
    /// A run folder.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
}

/// Shows the run until Ctrl-C, or once if there is no terminal.
pub fn run(args: &WatchArgs) -> Result<()> {
    report::check(&args.run)?;
    let mut log = RunLog::new(&args.run);
    let report = Report::of(&args.run);
    let is_terminal = std::io::stdout().is_terminal();
    if !is_terminal {
        log.grow().ok();
        return print::text(screen(&args.run, &report, &log, false));
    }
    let (stop, stopped) = mpsc::channel();
    Interrupt::watch(move || {
        stop.send(()).ok();
    })?;
    let mut shown = String::new();
    loop {
        // A file that cannot be read now may be readable at the next look.
        log.grow().ok();
        let new = screen(&args.run, &report, &log, true);
        if new != shown {
            // To the top left, and what follows is cleared. The escapes are of this file alone: texts of files are escaped in `screen`.
            print::bytes(format!("\x1b[H\x1b[J{new}").as_bytes())?;
            shown = new;
        }
        match stopped.recv_timeout(INTERVAL) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// Returns what there is to see as text; with colors if it is for a terminal.
fn screen(run: &Path, report: &Report, log: &RunLog, has_colors: bool) -> String {
    let is_busy = RunFolder::is_busy(run);
    let state = if is_busy { RunState::GoingOn } else { RunState::AtRest };
    let page = report.page(log, None, state, vec![]);
    let mut out = String::new();
    let word = if is_busy { "training" } else { "at rest" };
    let value = |name: &str| page.summary.iter().find(|row| row.0 == name).map_or("", |row| row.1.as_str());
    writeln!(out, "{}  {word}, step {}", print::visible_name(&page.title), value("Steps")).ok();
    let named = |name: &str| page.names.get(name).cloned();
    let known = |name: &str| CURVES.iter().any(|(field, _)| *field == name);
    let measured = page.metrics.names().filter(|name| !known(name)).filter_map(|name| Some((name, named(name)?)));
    let measured: Vec<(&str, String)> = measured.collect();
    let usual = CURVES.iter().map(|(field, name)| (*field, (*name).to_string()));
    for (field, name) in usual.chain(measured) {
        if let Some((line, last)) = curve(&page.metrics, field) {
            writeln!(out, "{line} {last:>9} {name}").ok();
        }
    }
    for raised in &log.alarms {
        let at = grouped(raised.alarm.at as usize);
        let evidence = print::visible(&raised.alarm.evidence).into_owned();
        writeln!(out, "alarm at step {at}, {}: {evidence}", raised.alarm.rule.title).ok();
    }
    let newest = page.sequences.first().and_then(|samples| samples.frames.last());
    if let Some(frame) = newest.filter(|_| has_colors)
        && let Ok(picture) = Picture::open_png(&frame.path)
    {
        writeln!(out, "samples after step {}", grouped(frame.step as usize)).ok();
        out += &blocks(&picture);
    }
    out
}

/// Returns a curve of means as characters, and its last value; `None` if it has no numbers.
fn curve(metrics: &Metrics, field: &str) -> Option<(String, String)> {
    let values: Vec<f64> = metrics.series(field).iter().map(|point| point.1).filter(|y| y.is_finite()).collect();
    let last = to_digits(*values.last()?, 4);
    let size = values.len().div_ceil(WIDTH);
    let means: Vec<f64> = values.chunks(size).map(|part| part.iter().sum::<f64>() / part.len() as f64).collect();
    let low = means.iter().copied().fold(f64::INFINITY, f64::min);
    let high = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let level = |y: &f64| {
        let part = if high > low { (y - low) / (high - low) } else { 0.5 };
        LEVELS[((part * LEVELS.len() as f64) as usize).min(LEVELS.len() - 1)]
    };
    let line: String = means.iter().map(level).collect();
    Some((format!("{line:<WIDTH$}"), last))
}

/// Draws a picture with half blocks, two pixels above each other in a character, in 24-bit color.
fn blocks(picture: &Picture) -> String {
    let picture = picture.to_rgb();
    let side = picture.width().div_ceil(WIDTH).max(1);
    let columns = picture.width() / side;
    let rows = picture.height() / side;
    let mut out = String::new();
    for y in (0..rows.saturating_sub(1)).step_by(2) {
        for x in 0..columns {
            let [r, g, b] = mean(&picture, [x, y], side);
            let [s, h, c] = mean(&picture, [x, y + 1], side);
            write!(out, "\x1b[38;2;{r};{g};{b}m\x1b[48;2;{s};{h};{c}m▀").ok();
        }
        out += "\x1b[0m\n";
    }
    out
}

/// Returns the mean color of a square of pixels of an RGB picture.
fn mean(picture: &Picture, [column, row]: [usize; 2], side: usize) -> [usize; 3] {
    let rows = row * side..(row + 1) * side;
    let pixels = rows.flat_map(|y| (column * side..(column + 1) * side).filter_map(move |x| picture.pixel(x, y)));
    let sum = pixels.fold([0, 0, 0], |sum, pixel| [0, 1, 2].map(|i| sum[i] + usize::from(pixel[i])));
    sum.map(|channel| channel / (side * side))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_report::Colour;

    #[test]
    fn a_curve_is_as_wide_as_its_place_and_ends_with_the_last_value() {
        let lines: String = (1..=1000).map(|step| format!("{{\"step\":{step},\"loss_d\":{step}}}\n")).collect();
        let (line, last) = curve(&Metrics::of_lines(lines.as_bytes()).0, "loss_d").unwrap();
        assert_eq!((line.chars().count(), last.as_str()), (WIDTH, "1,000"));
        assert!(line.starts_with('▁') && line.contains('█'));
        assert_eq!(curve(&Metrics::default(), "loss_d"), None);
    }

    #[test]
    fn a_picture_is_drawn_in_half_blocks() {
        let picture = Picture::new(Colour::Grey, [2, 2], vec![0, 255, 9, 9]).unwrap();
        let top = "\x1b[38;2;0;0;0m\x1b[48;2;9;9;9m▀\x1b[38;2;255;255;255m\x1b[48;2;9;9;9m▀\x1b[0m\n";
        assert_eq!(blocks(&picture), top);
    }
}
