//! Observers that write the run folder: metrics, TensorBoard events, sample grids, checkpoints with the weight file.

use crate::checkpoint;
use crate::error::{Error, Result};
use crate::folder::RunFolder;
use crate::observe::{Observer, Outcome};
use crate::report::Report;
use crate::trainer::{StepReport, Trainer};
use gan_report::tensorboard::{self, EventWriter};
use gan_report::{Images, Picture, atomic};
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The observers that write `folder`, in the order in which they must run: what a checkpoint claims is on the disk before it.
pub fn all(folder: &RunFolder) -> Vec<Box<dyn Observer>> {
    vec![
        Box::new(Metrics { folder: folder.clone(), files: None, since: Instant::now(), images: 0 }),
        Box::new(Samples { folder: folder.clone() }),
        Box::new(Checkpoints { folder: folder.clone(), saved: None }),
        Box::new(Pictures { folder: folder.clone() }),
        Box::new(Report { folder: folder.clone() }),
    ]
}

/// A line of metrics.jsonl.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    report: &'a StepReport,
    images_per_s: f64,
}

/// Appends to metrics.jsonl and the TensorBoard file.
struct Metrics {
    folder: RunFolder,
    files: Option<(File, EventWriter)>,
    since: Instant,
    images: u64,
}

impl Observer for Metrics {
    fn started(&mut self, trainer: &Trainer) -> Result<()> {
        let path = self.folder.metrics();
        forget_after(&self.folder, trainer.step())?;
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        let file = opened.map_err(|e| Error::file(&path, format!("cannot be opened: {e}")))?;
        let now = unix_time();
        let events = match self.folder.events() {
            Some(path) => {
                let mut events = EventWriter::append_to(&path)?;
                events.restarted_at(trainer.step() + 1, now)?;
                events
            }
            None => EventWriter::create(&self.folder.path().join(tensorboard::file_name(now as u64)))?,
        };
        self.files = Some((file, events));
        self.since = Instant::now();
        Ok(())
    }

    fn stepped(&mut self, report: &StepReport, trainer: &Trainer) -> Result<()> {
        let train = &trainer.plan().config().train;
        self.images += report.images;
        if !report.step.is_multiple_of(train.log_every) && report.step != trainer.total_steps() {
            return self.flush_before_checkpoint(report.step, trainer);
        }
        let images_per_s = self.images as f64 / self.since.elapsed().as_secs_f64().max(1e-9);
        (self.images, self.since) = (0, Instant::now());
        let Some((file, events)) = &mut self.files else { return Ok(()) };
        let line = serde_json::to_value(Line { report, images_per_s }).unwrap_or_default();
        let path = self.folder.metrics();
        // One write a line: a killed process leaves at most one torn line, at the end.
        file.write_all(format!("{line}\n").as_bytes())
            .map_err(|e| Error::file(&path, format!("cannot be written: {e}")))?;
        for (tag, value) in line.as_object().into_iter().flatten().filter(|(tag, _)| *tag != "step") {
            events.scalar(report.step, unix_time(), tag, value.as_f64().unwrap_or(f64::NAN))?;
        }
        events.flush()?;
        self.flush_before_checkpoint(report.step, trainer)
    }

    fn finished(&mut self, _: Outcome, _: &Trainer) -> Result<()> {
        self.flush()
    }
}

impl Metrics {
    /// A checkpoint must not outlive the lines that it counts where the power fails.
    fn flush_before_checkpoint(&self, step: u64, trainer: &Trainer) -> Result<()> {
        if step.is_multiple_of(trainer.plan().config().checkpoint.every) { self.flush() } else { Ok(()) }
    }

    fn flush(&self) -> Result<()> {
        let Some((file, _)) = &self.files else { return Ok(()) };
        file.sync_data().map_err(|e| Error::file(self.folder.metrics(), format!("cannot be flushed: {e}")))
    }
}

fn unix_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// Cuts from metrics.jsonl what lies beyond `step`, and a torn last line: the run goes on from there.
fn forget_after(folder: &RunFolder, step: u64) -> Result<()> {
    let path = folder.metrics();
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let keep = |line: &&str| {
        let value = serde_json::from_str::<serde_json::Value>(line).ok();
        value.and_then(|v| v["step"].as_u64()).is_some_and(|s| s <= step)
    };
    let kept: String = text.lines().filter(keep).flat_map(|line| [line, "\n"]).collect();
    if kept != text {
        atomic::write(&path, kept.as_bytes())?;
    }
    Ok(())
}

/// Draws `samples/step-….png` from the same noise every time.
struct Samples {
    folder: RunFolder,
}

impl Observer for Samples {
    fn started(&mut self, _: &Trainer) -> Result<()> {
        let dir = self.folder.samples();
        fs::create_dir_all(&dir).map_err(|e| Error::file(&dir, format!("cannot be created: {e}")))
    }

    fn stepped(&mut self, report: &StepReport, trainer: &Trainer) -> Result<()> {
        if report.step.is_multiple_of(trainer.plan().config().samples.every) { self.draw(trainer) } else { Ok(()) }
    }

    fn finished(&mut self, outcome: Outcome, trainer: &Trainer) -> Result<()> {
        // A run that was stopped and goes on leaves the same sheets as one that was not.
        if outcome == Outcome::Stopped || trainer.step() == 0 { Ok(()) } else { self.draw(trainer) }
    }
}

impl Samples {
    fn draw(&self, trainer: &Trainer) -> Result<()> {
        let samples = &trainer.plan().config().samples;
        let images = trainer.progress_samples(samples.rows * samples.columns)?;
        let path = self.folder.samples().join(format!("step-{:07}.png", trainer.step()));
        Ok(picture(&images, samples.rows, samples.columns)?.save_png(&path)?)
    }
}

/// At the end: the loss plot and the animation of the sample grids.
struct Pictures {
    folder: RunFolder,
}

impl Observer for Pictures {
    fn finished(&mut self, _: Outcome, trainer: &Trainer) -> Result<()> {
        if trainer.step() == 0 {
            return Ok(());
        }
        let figure = gan_report::losses_figure(&self.folder.metrics())?;
        let size = figure.suggested_size();
        figure.save_png(&self.folder.losses("png"), size)?;
        figure.save_svg(&self.folder.losses("svg"), size)?;
        self.animate()
    }
}

impl Pictures {
    /// The grids in the order of their steps; at most as many as make a short film.
    fn animate(&self) -> Result<()> {
        let entries = fs::read_dir(self.folder.samples()).into_iter().flatten().flatten().map(|e| e.path());
        let mut paths: Vec<_> = entries.filter(|p| p.extension().is_some_and(|e| e == "png")).collect();
        if paths.is_empty() {
            return Ok(());
        }
        paths.sort();
        let every = paths.len().div_ceil(MOST_FRAMES).max(1);
        // Counted from the end, so that the film ends with the last grid.
        let mut chosen: Vec<_> = paths.iter().rev().step_by(every).collect();
        chosen.reverse();
        let mut frames: Vec<Picture> = chosen.into_iter().filter_map(|p| readable(p)).collect();
        // A resumed run may draw grids of another size; a film has one, that of its end.
        let size = frames.last().map(|f| (f.width(), f.height(), f.colour()));
        frames.retain(|f| Some((f.width(), f.height(), f.colour())) == size);
        if frames.is_empty() {
            return Ok(());
        }
        Ok(gan_report::animate(&frames, FRAME_MS, &self.folder.progress())?)
    }
}

/// A grid, unless something else lies under its name.
fn readable(path: &Path) -> Option<Picture> {
    Picture::open_png(path).inspect_err(|error| tracing::warn!("{error}; it is left out of the animation")).ok()
}

const MOST_FRAMES: usize = 60;
const FRAME_MS: u16 = 150;

/// A sheet of images `[N, C, H, W]`, small ones enlarged; points `[N, D]` are drawn by their first two coordinates.
///
/// # Errors
/// If there are more images than cells, or the images are neither grey nor colour.
pub fn picture(images: &candle_core::Tensor, rows: usize, columns: usize) -> Result<Picture> {
    if images.rank() == 2 {
        return Ok(gan_report::scatter(&points(images)?)?);
    }
    let (n, c, h, w) = images.dims4()?;
    let pixels: Vec<f32> = images.flatten_all()?.to_vec1()?;
    let sheet = gan_report::grid(&Images::new(&pixels, [n, c, h, w])?, rows, columns)?;
    Ok(if h.max(w) <= 48 { sheet.enlarged(2)? } else { sheet })
}

/// Saves the whole state at intervals and at the end, and G's weight file with it.
struct Checkpoints {
    folder: RunFolder,
    /// The step that this process saved last. What an earlier one saved it may not have saved wholly.
    saved: Option<u64>,
}

impl Observer for Checkpoints {
    fn started(&mut self, _: &Trainer) -> Result<()> {
        let dir = self.folder.checkpoints();
        fs::create_dir_all(&dir).map_err(|e| Error::file(&dir, format!("cannot be created: {e}")))
    }

    fn stepped(&mut self, report: &StepReport, trainer: &Trainer) -> Result<()> {
        let every = trainer.plan().config().checkpoint.every;
        if report.step.is_multiple_of(every) { self.save(trainer) } else { Ok(()) }
    }

    fn finished(&mut self, _: Outcome, trainer: &Trainer) -> Result<()> {
        let nothing_new = trainer.step() == 0 || self.saved == Some(trainer.step());
        if nothing_new { Ok(()) } else { self.save(trainer) }
    }
}

impl Checkpoints {
    fn save(&mut self, trainer: &Trainer) -> Result<()> {
        checkpoint::save(trainer, &self.folder.checkpoints(), trainer.plan().config().checkpoint.keep)?;
        if let Some(bytes) = trainer.generator_file()? {
            atomic::write(&self.folder.generator(), &bytes)?;
        }
        self.saved = Some(trainer.step());
        Ok(())
    }
}

/// The first two coordinates of points `[N, D]`; of `[N, 1]` the second is 0.
fn points(samples: &candle_core::Tensor) -> Result<Vec<[f32; 2]>> {
    let rows = samples.to_vec2::<f32>()?;
    Ok(rows.iter().map(|p| [p.first().copied().unwrap_or(0.0), p.get(1).copied().unwrap_or(0.0)]).collect())
}

/// Images `[N, C, H, W]` as pictures of their own size; points `[N, D]` each as a dot.
///
/// # Errors
/// If they are neither grey nor colour.
pub fn pictures(images: &candle_core::Tensor) -> Result<Vec<Picture>> {
    if images.rank() == 2 {
        return points(images)?.into_iter().map(|p| Ok(gan_report::scatter(&[p])?)).collect();
    }
    let (n, c, h, w) = images.dims4()?;
    let pixels: Vec<f32> = images.flatten_all()?.to_vec1()?;
    Ok(Images::new(&pixels, [n, c, h, w])?.pictures()?)
}
