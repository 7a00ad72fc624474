//! Observers that draw: samples from the same noise at intervals, and pictures at the start and the end.

use super::{Kind, axes, images, plane, points, rows_of, sheet};
use crate::error::{Error, Result};
use crate::folder::{self, METRICS, RunFolder, SAMPLES, entries};
use crate::log::Log;
use crate::run::{Observer, Outcome};
use candle_core::Tensor;
use gan_data::Units;
use gan_report::plot::Ink;
use gan_report::{Frame, Picture};
use gan_train::{StepReport, Trainer};
use std::fs;
use std::path::{Path, PathBuf};

/// Observer that draws `samples/step-….png` from the same noise every time; for points in the plane also D's output and G's mesh.
pub(crate) struct Progress {
    folder: RunFolder,
    log: Log,
    /// Real samples to draw beside generated points.
    real: Option<Tensor>,
}

impl Progress {
    pub(crate) fn new(folder: &RunFolder, log: Log) -> Self {
        Self { folder: folder.clone(), log, real: None }
    }

    fn draw(&self, trainer: &Trainer) -> Result<()> {
        let samples = &trainer.plan().config().samples;
        let made = trainer.progress_samples(samples.rows * samples.columns)?;
        match (&self.real, trainer.units()) {
            (Some(real), Some(units)) => self.draw_points(trainer, real, &made, units),
            _ => self.save(SAMPLES, trainer, &sheet(&made, None, samples.rows, samples.columns)?),
        }
    }

    fn draw_points(&self, trainer: &Trainer, real: &Tensor, made: &Tensor, units: &Units) -> Result<()> {
        let real = Kind { name: "real", ink: Ink::Real, rows: rows_of(real, units)? };
        let kinds = [real, Kind { name: "generated", ink: Ink::Generated, rows: rows_of(made, units)? }];
        self.save(SAMPLES, trainer, &points(&axes(units), &kinds, &format!("step {}", trainer.step()))?)?;
        if units.dimensions() != 2 {
            return Ok(());
        }
        self.save("surfaces", trainer, &plane::surface(trainer, units, &kinds)?)?;
        self.save("meshes", trainer, &plane::mesh(trainer, units, &kinds[0])?)
    }

    fn save(&self, dir: &str, trainer: &Trainer, picture: &Picture) -> Result<()> {
        let path = self.folder.join(dir).join(file_name(trainer.step()));
        self.log.picture(trainer.step(), dir, &path, picture)
    }
}

/// Returns `step-0000500.png`.
pub(crate) fn file_name(step: u64) -> String {
    format!("step-{step:07}.png")
}

/// Returns the pictures in a folder that are named by [`file_name`], in the order of their steps.
pub(crate) fn frames(folder: &Path) -> Vec<Frame> {
    let frame = |path: PathBuf| {
        let step = folder::file_name(&path).strip_prefix("step-")?.strip_suffix(".png")?.parse().ok()?;
        Some(Frame { step, path })
    };
    let mut frames: Vec<Frame> = entries(folder).filter_map(frame).collect();
    frames.sort_by_key(|frame| frame.step);
    frames
}

/// Creates a folder, if it does not exist.
pub(crate) fn make(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|e| Error::file(dir, format!("cannot be created: {e}")))
}

impl Observer for Progress {
    fn started(&mut self, trainer: &Trainer) -> Result<()> {
        make(&self.folder.join(SAMPLES))?;
        if let Some(units) = trainer.units() {
            let samples = &trainer.plan().config().samples;
            self.real = Some(trainer.progress_reals(samples.rows * samples.columns)?);
            let planar: &[&str] = if units.dimensions() == 2 { &["surfaces", "meshes"] } else { &[] };
            planar.iter().try_for_each(|name| make(&self.folder.join(name)))?;
        }
        Ok(())
    }

    fn stepped(&mut self, report: &StepReport, trainer: &Trainer) -> Result<()> {
        if trainer.plan().config().samples.is_due(report.step) { self.draw(trainer) } else { Ok(()) }
    }

    fn finished(&mut self, outcome: Outcome, trainer: &Trainer) -> Result<()> {
        // A run that was stopped and resumed leaves the same sheets as one that was not.
        if outcome == Outcome::Stopped || trainer.step() == 0 { Ok(()) } else { self.draw(trainer) }
    }
}

/// Observer that draws a training batch at the start, and at the end the loss plot, the animations, and real samples beside generated ones
/// with their nearest neighbors.
pub(crate) struct Final {
    /// Folder of the run.
    pub folder: RunFolder,
}

impl Final {
    fn losses(&self) -> Result<()> {
        let figure = gan_report::plot::losses_figure(&self.folder.join(METRICS))?;
        let size = figure.suggested_size();
        figure.save_png(&self.folder.join("losses.png"), size)?;
        Ok(figure.save_svg(&self.folder.join("losses.svg"), size)?)
    }

    fn films(&self) -> Result<()> {
        let films = [(SAMPLES, "progress"), ("planes", "planes"), ("surfaces", "surfaces"), ("meshes", "meshes")];
        films.iter().try_for_each(|(dir, name)| film(&self.folder.join(dir), &self.folder.join(&format!("{name}.gif"))))
    }
}

impl Observer for Final {
    fn started(&mut self, trainer: &Trainer) -> Result<()> {
        let dir = self.folder.join("pictures");
        if trainer.units().is_some() {
            return Ok(());
        }
        make(&dir)?;
        let path = dir.join("batch.png");
        // The first batch of a resumed run is the same.
        if path.exists() { Ok(()) } else { Ok(images::batch(trainer)?.save_png(&path)?) }
    }

    fn finished(&mut self, _: Outcome, trainer: &Trainer) -> Result<()> {
        if trainer.step() == 0 {
            return Ok(());
        }
        self.losses()?;
        self.films()?;
        if trainer.units().is_some() {
            return Ok(());
        }
        let dir = self.folder.join("pictures");
        images::beside(trainer)?.save_png(&dir.join("real-and-generated.png"))?;
        Ok(images::neighbours(trainer)?.save_png(&dir.join("neighbours.png"))?)
    }
}

const MOST_FRAMES: usize = 60;
const FRAME_MS: u16 = 150;

/// Writes the pictures of `dir` in the order of their steps as a GIF, with a limited number of frames. An empty folder gives none.
fn film(dir: &Path, out: &Path) -> Result<()> {
    let found = frames(dir);
    let every = found.len().div_ceil(MOST_FRAMES).max(1);
    // Counted from the end, so that the animation ends with the last picture.
    let chosen = found.iter().rev().step_by(every);
    let mut frames: Vec<Picture> = chosen.filter_map(|frame| readable(&frame.path)).collect();
    frames.reverse();
    // A resumed run may draw pictures of another size; an animation has the size of its last picture.
    let size = frames.last().map(|f| (f.width(), f.height(), f.colour()));
    frames.retain(|f| Some((f.width(), f.height(), f.colour())) == size);
    if frames.is_empty() { Ok(()) } else { Ok(gan_report::animate(&frames, FRAME_MS, out)?) }
}

/// Reads a picture; `None` if the file is not a picture.
fn readable(path: &Path) -> Option<Picture> {
    Picture::open_png(path).inspect_err(|error| tracing::warn!("{error}; it is left out of the animation")).ok()
}
