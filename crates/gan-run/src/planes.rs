//! Features of points during a run, as in the article on the 2-D GAN: where D's last hidden layer maps real and generated samples before
//! and after each network's update.
//!
//! `planes.jsonl` gets one line per logged step, and `planes/step-….png` a picture whenever samples are drawn and that layer has two units.
//! The expected behavior is that G's update leaves real features exactly unchanged, and mostly moves the centroid of the generated ones
//! towards theirs.

use crate::error::Result;
use crate::folder::{FEATURES, RunFolder};
use crate::log::{Cut, append, flush, lines, write_line};
use crate::pictures::{cloud, file_name, make};
use crate::run::{Observer, Outcome};
use candle_core::Tensor;
use gan_base::messages::counted;
use gan_core::ForwardContext;
use gan_report::plot::{Ink, Mark, Plane, panels, span};
use gan_train::{Moment, StepReport, Trainer};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::path::Path;

/// D's features of the observed samples at one moment.
struct Seen {
    moment: Moment,
    real: Vec<Vec<f32>>,
    fake: Vec<Vec<f32>>,
    numbers: Numbers,
}

/// Numbers of one moment in a line.
#[derive(Clone, Serialize, Deserialize)]
struct Numbers {
    /// Centroids of the real and of the generated features.
    real: Vec<f32>,
    fake: Vec<f32>,
    /// Distance between the two.
    distance: f32,
    /// Mean D(x) and D(G(z)).
    d_real: f32,
    d_fake: f32,
}

/// Line of `planes.jsonl`.
#[derive(Serialize, Deserialize)]
struct Line {
    /// Step of the run, counted from 1.
    step: u64,
    before_d: Numbers,
    after_d: Numbers,
    after_g: Numbers,
    /// Largest movement of a real feature in G's update, which must be 0.
    real_moved_by_g: f32,
    /// Whether G's update moved the generated centroid closer to the real one.
    towards: bool,
    /// Whether G's update raised the mean D(G(z)), which is its purpose.
    convinced: bool,
}

/// Summary of all lines of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Number of observed steps.
    pub steps: usize,
    /// Fraction of them in which G's update moved the generated centroid closer to the real one.
    pub towards: f64,
    /// The same in the first tenth of the steps, before the centroids meet.
    pub towards_early: f64,
    /// Fraction in which G's update raised the mean D(G(z)).
    pub convinced: f64,
    /// Largest movement of a real feature in G's update.
    pub real_moved_by_g: f32,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, real_moved_by_g, .. } = self;
        let [raised, early, all] = [self.convinced, self.towards_early, self.towards].map(|s| (100.0 * s).round());
        write!(
            f,
            "in {} G's update moved real ones by at most {real_moved_by_g}, raised D(G(z)) in {raised} %, and drew \
             the generated centroid nearer to the real one in {early} % of the first tenth, {all} % of all",
            counted(steps, "step")
        )
    }
}

/// Summarizes `planes.jsonl`; `None` if there is no such file, or no complete line in it.
pub fn summary(path: &Path) -> Option<Summary> {
    let lines: Vec<Line> = lines(path).collect();
    let share = |lines: &[Line], is: fn(&Line) -> bool| {
        lines.iter().filter(|line| is(line)).count() as f64 / lines.len() as f64
    };
    let early = &lines[..lines.len().div_ceil(10)];
    (!lines.is_empty()).then(|| Summary {
        steps: lines.len(),
        towards: share(&lines, |line| line.towards),
        towards_early: share(early, |line| line.towards),
        convinced: share(&lines, |line| line.convinced),
        real_moved_by_g: lines.iter().map(|line| line.real_moved_by_g).fold(0.0, f32::max),
    })
}

/// Observer that records the features.
pub(crate) struct Planes {
    folder: RunFolder,
    /// Real points and noise that are observed in every step.
    followed: Option<[Tensor; 2]>,
    file: Option<File>,
    seen: Vec<Seen>,
}

impl Planes {
    pub(crate) fn new(folder: &RunFolder) -> Self {
        Self { folder: folder.clone(), followed: None, file: None, seen: Vec::new() }
    }

    fn is_drawn(step: u64, trainer: &Trainer) -> bool {
        trainer.plan().config().samples.is_due(step) || step == trainer.total_steps()
    }

    fn write(&mut self, line: &Line) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        write_line(file, &self.folder.join(FEATURES), &serde_json::to_string(line).unwrap_or_default())
    }
}

impl Observer for Planes {
    fn started(&mut self, trainer: &Trainer) -> Result<()> {
        let config = trainer.plan().config();
        // A D that sees several points at once has no features of a single one.
        if trainer.units().is_none() || config.train.pacgan > 1 {
            return Ok(());
        }
        let count = config.samples.rows * config.samples.columns;
        let followed = [trainer.progress_reals(count)?, trainer.progress_noise(count)?];
        let Some(first) = see(Moment::BeforeD, &followed, trainer)? else { return Ok(()) };
        if first.numbers.real.len() == 2 {
            make(&self.folder.join("planes"))?;
        }
        let path = self.folder.join(FEATURES);
        Cut::of(trainer).apply(&path)?;
        self.file = Some(append(&path)?);
        self.followed = Some(followed);
        Ok(())
    }

    fn watches(&self, step: u64, trainer: &Trainer) -> bool {
        let logged = step.is_multiple_of(trainer.plan().config().train.log_every);
        self.followed.is_some() && (logged || Self::is_drawn(step, trainer))
    }

    fn moment(&mut self, moment: Moment, trainer: &Trainer) -> Result<()> {
        let Some(followed) = &self.followed else { return Ok(()) };
        self.seen.extend(see(moment, followed, trainer)?);
        Ok(())
    }

    fn stepped(&mut self, report: &StepReport, trainer: &Trainer) -> Result<()> {
        let seen = std::mem::take(&mut self.seen);
        let Ok([before_d, after_d, after_g]) = <[Seen; 3]>::try_from(seen) else { return Ok(()) };
        self.write(&Line {
            step: report.step,
            real_moved_by_g: furthest(&after_d.real, &after_g.real),
            towards: after_g.numbers.distance < after_d.numbers.distance,
            convinced: after_g.numbers.d_fake > after_d.numbers.d_fake,
            before_d: before_d.numbers.clone(),
            after_d: after_d.numbers.clone(),
            after_g: after_g.numbers.clone(),
        })?;
        if before_d.numbers.real.len() == 2 && Self::is_drawn(report.step, trainer) {
            let picture = draw(report.step, &[before_d, after_d, after_g])?;
            picture.save_png(&self.folder.join("planes").join(file_name(report.step)))?;
        }
        Ok(())
    }

    fn finished(&mut self, _: Outcome, _: &Trainer) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| flush(file, &self.folder.join(FEATURES)))
    }
}

/// Returns D's features of the observed samples for the current networks; `None` for a discriminator without features.
fn see(moment: Moment, [real, noise]: &[Tensor; 2], trainer: &Trainer) -> Result<Option<Seen>> {
    let made = gan_core::samples(trainer.generator(), noise, None)?;
    let judge = |x: &Tensor| -> Result<Option<(Vec<Vec<f32>>, f32)>> {
        let verdict = trainer.discriminator().forward(x, &mut ForwardContext::eval().with_features())?;
        let Some(features) = verdict.features else { return Ok(None) };
        let mean = gan_kernels::ops::sigmoid(&verdict.logits.detach())?.mean_all()?.to_scalar::<f32>()?;
        Ok(Some((features.detach().flatten_from(1)?.to_vec2()?, mean)))
    };
    let (Some((real, d_real)), Some((fake, d_fake))) = (judge(real)?, judge(&made)?) else {
        return Ok(None);
    };
    let [at_real, at_fake] = [&real, &fake].map(|rows| centroid(rows));
    let distance = at_real.iter().zip(&at_fake).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
    Ok(Some(Seen { moment, real, fake, numbers: Numbers { real: at_real, fake: at_fake, distance, d_real, d_fake } }))
}

/// Returns the mean of rows.
fn centroid(rows: &[Vec<f32>]) -> Vec<f32> {
    let width = rows.first().map_or(0, Vec::len);
    let mean = |i: usize| (rows.iter().map(|row| f64::from(row[i])).sum::<f64>() / rows.len() as f64) as f32;
    (0..width).map(mean).collect()
}

/// Returns the largest difference in any coordinate.
fn furthest(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    let differences = a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

/// Draws the three moments side by side on the same axes; arrows show the movement of the centroids.
fn draw(step: u64, seen: &[Seen; 3]) -> Result<gan_report::Picture> {
    let all = |axis: usize| seen.iter().flat_map(|s| s.real.iter().chain(&s.fake)).map(move |p| p[axis]);
    let [x, y] = [span(all(0)), span(all(1))];
    let panel = |(at, now): (usize, &Seen)| {
        let before = at.checked_sub(1).map(|at| &seen[at].numbers);
        let mark = |now: &[f32], from: Option<&Vec<f32>>, ink| Mark { at: pair(now), from: from.map(|f| pair(f)), ink };
        let marks = vec![
            mark(&now.numbers.real, before.map(|n| &n.real), Ink::Real),
            mark(&now.numbers.fake, before.map(|n| &n.fake), Ink::Generated),
        ];
        let clouds = vec![
            cloud("real", Ink::Real, &now.real, [0, 1], 0.35),
            cloud("generated", Ink::Generated, &now.fake, [0, 1], 0.35),
        ];
        let title = match now.moment {
            Moment::BeforeD => format!("step {step}: D's features before its update"),
            Moment::AfterD => "after D's update, before G's".into(),
            Moment::AfterG => "after G's update".into(),
        };
        Plane { title, x, y, clouds, marks, ..Plane::default() }
    };
    let planes: Vec<Plane> = seen.iter().enumerate().map(panel).collect();
    Ok(panels(&planes, [400, 400])?)
}

fn pair(values: &[f32]) -> [f32; 2] {
    [values[0], values[1]]
}
