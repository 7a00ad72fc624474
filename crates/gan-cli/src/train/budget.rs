//! `--budget`: the length of a run as a time or as a number of images, and the trial steps that convert a time into a number of steps.

use crate::distributed::Rank;
use anyhow::{Result, bail};
use gan_train::{Plan, Trainer};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Number of trial steps, unless they take too long.
const STEPS: u64 = 20;
/// Number of the first steps that are not timed, because they allocate memory or are recorded on a device.
const WARM_UP: u64 = 4;
/// Time after which a trial ends early.
const LONGEST: Duration = Duration::from_secs(40);
/// Fraction of the time for training; evaluations, pictures and the report take the rest.
const FOR_TRAINING: f64 = 0.95;

/// Length of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// Seconds on this machine.
    Seconds(f64),
    /// Number of real images that D sees.
    Images(u64),
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || format!("expected a time such as 30m, 1h30m or 90s, or images such as 500kimg, found \"{text}\"");
        let lower = text.to_ascii_lowercase();
        let images = [("kimg", 1e3), ("mimg", 1e6), ("img", 1.0)];
        if let Some((number, unit)) = images.iter().find_map(|(name, unit)| Some((lower.strip_suffix(name)?, unit))) {
            let count = number.parse::<f64>().ok().map(|number| number * unit).filter(|n| (1.0..1e15).contains(n));
            return count.map(|count| Self::Images(count as u64)).ok_or_else(expected);
        }
        let mut seconds = 0.0;
        let mut rest = lower.as_str();
        while !rest.is_empty() {
            let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(expected)?;
            let (number, after) = rest.split_at(end);
            let unit = match after.as_bytes()[0] {
                b's' => 1.0,
                b'm' => 60.0,
                b'h' => 3600.0,
                b'd' => 86400.0,
                _ => return Err(expected()),
            };
            seconds += number.parse::<f64>().map_err(|_| expected())? * unit;
            rest = &after[1..];
        }
        if (1.0..1e9).contains(&seconds) { Ok(Self::Seconds(seconds)) } else { Err(expected()) }
    }
}

/// Measurements of a plan's first steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Median duration of a step in seconds.
    pub step: f64,
    /// Number of steps that counted.
    pub steps: usize,
    /// Bytes of device memory in use, if the networks live on a device.
    pub device_memory: Option<usize>,
    /// Number of samples of the data.
    pub data: usize,
    /// Number of steps that the plan asks for.
    pub asked: u64,
}

impl Trial {
    /// Trains for a few steps and discards the result.
    ///
    /// # Errors
    /// If the plan cannot be trained here.
    pub fn of(plan: Plan, rank: &Rank) -> Result<Self> {
        if rank.group.size() > 1 {
            bail!(
                "--budget: a time needs a trial, which one process alone can do: give images instead, e.g. --budget 500kimg"
            );
        }
        let mut trainer = Trainer::new(plan, &rank.device()?)?;
        rank.place(&mut trainer, true)?;
        let begun = Instant::now();
        let mut times = vec![];
        for step in 0..WARM_UP + STEPS {
            let start = Instant::now();
            trainer.advance()?;
            if step >= WARM_UP || times.is_empty() && begun.elapsed() > LONGEST {
                times.push(start.elapsed().as_secs_f64());
            }
            if begun.elapsed() > LONGEST {
                break;
            }
        }
        times.sort_by(f64::total_cmp);
        Ok(Self {
            step: times[times.len() / 2],
            steps: times.len(),
            device_memory: trainer.device_memory(),
            data: trainer.dataset().len(),
            asked: trainer.total_steps(),
        })
    }

    /// Returns the number of steps that fit into `seconds`.
    pub fn steps_in(&self, seconds: f64) -> u64 {
        ((FOR_TRAINING * seconds / self.step) as u64).max(1)
    }

    /// Returns the seconds that a run of `steps` steps takes.
    pub fn seconds_of(&self, steps: u64) -> f64 {
        self.step * steps as f64 / FOR_TRAINING
    }
}

/// Returns a time for people, in two units.
pub fn shown(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 86400, whole / 3600 % 24, whole / 60 % 60, whole % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_images_are_read() {
        for (text, budget) in [
            ("30m", Budget::Seconds(1800.0)),
            ("1h30m", Budget::Seconds(5400.0)),
            ("1.5h", Budget::Seconds(5400.0)),
            ("2d", Budget::Seconds(172_800.0)),
            ("500kimg", Budget::Images(500_000)),
            ("1.5Mimg", Budget::Images(1_500_000)),
            ("64img", Budget::Images(64)),
        ] {
            assert_eq!(text.parse(), Ok(budget), "{text}");
        }
        for text in ["", "30", "m", "0s", "-5m", "5x", "kimg", "0kimg", "3mm", "nanh"] {
            let problem = text.parse::<Budget>().unwrap_err();
            assert!(problem.contains("such as 30m") && problem.contains(&format!("\"{text}\"")), "{problem}");
        }
    }

    #[test]
    fn steps_and_seconds_follow_from_the_time_of_a_step() {
        let trial = Trial { step: 0.1, steps: 20, device_memory: None, data: 1000, asked: 1 };
        assert_eq!(trial.steps_in(100.0), 950);
        assert!((trial.seconds_of(950) - 100.0).abs() < 1e-9);
        assert_eq!([59.4, 61.0, 5400.0, 90_000.0].map(shown), ["59 s", "1 min 1 s", "1 h 30 min", "1 d 1 h"]);
    }
}
