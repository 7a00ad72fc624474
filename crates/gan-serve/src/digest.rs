//! A run in a line: its state, length, best value, alarms and a small curve, updated from what its files have gained.

use gan_metrics::{Metric, format_value};
use gan_run::{Fresh, Raised, RunFolder, RunSummary, Tail, is_alarm};
use gan_train::config::Policy;
use gan_train::layering;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Time after the last line for which a run that nobody has locked counts as training: it may run on another machine whose locks do not
/// reach this one.
const RECENT: Duration = Duration::from_secs(60);

/// Maximum number of points of the small curve, an even number.
const POINTS: usize = 96;

/// What a run is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Steps are being added.
    Training,
    /// All steps are done.
    Finished,
    /// It ended by itself or was stopped. Its files do not tell which, because its length depends on its data.
    Ended,
    /// It was stopped or killed.
    #[default]
    Stopped,
    /// An alarm ended it.
    Failed,
}

impl State {
    /// Returns the word for users.
    pub fn word(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Finished => "finished",
            Self::Ended => "ended",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// A run in a line.
#[derive(Debug)]
pub(crate) struct Digest {
    path: PathBuf,
    tail: Tail,
    /// Length and time of config.toml and evaluations.jsonl when they were read.
    stamps: [Option<(u64, SystemTime)>; 2],
    settings: Settings,
    pub state: State,
    pub steps: u64,
    pub alarms: Vec<Raised>,
    /// Name of the metric and its best value.
    pub best: Option<(String, String)>,
    pub curve_d: Spark,
    pub curve_g: Spark,
    /// Time of the last line.
    pub changed: Option<SystemTime>,
}

/// Settings that the list shows or needs.
#[derive(Clone, Debug, Default)]
struct Settings {
    preset: String,
    steps: Option<u64>,
    metric: Option<&'static Metric>,
    has_goal: bool,
}

impl Digest {
    /// Starts with nothing; [`Digest::look`] reads the files of the run at `path`.
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            tail: Tail::new(&path.join("metrics.jsonl")),
            stamps: [None; 2],
            settings: Settings::default(),
            state: State::default(),
            steps: 0,
            alarms: vec![],
            best: None,
            curve_d: Spark::default(),
            curve_g: Spark::default(),
            changed: None,
        }
    }

    /// Preset of the run.
    pub(crate) fn preset(&self) -> &str {
        &self.settings.preset
    }

    /// Number of steps of the whole run, if the settings name it.
    pub(crate) fn total(&self) -> Option<u64> {
        self.settings.steps
    }

    /// Reads what the files have gained. Files that cannot be read leave the digest as it was.
    pub(crate) fn look(&mut self) {
        let now = [stamp(&self.path.join("config.toml")), stamp(&self.path.join("evaluations.jsonl"))];
        if now[0] != self.stamps[0] {
            self.settings = Settings::of(&self.path);
        }
        let mut has_grown = false;
        while let Ok(Fresh { bytes, restarted }) = self.tail.read() {
            has_grown |= restarted || !bytes.is_empty();
            if restarted {
                (self.steps, self.alarms) = (0, vec![]);
                (self.curve_d, self.curve_g) = Default::default();
            }
            if bytes.is_empty() {
                break;
            }
            bytes.split(|byte| *byte == b'\n').for_each(|line| self.add(line));
        }
        if now != self.stamps || has_grown {
            let summary = RunSummary::of_log(&self.path, self.settings.metric, vec![], self.steps);
            self.best = summary.best.map(|best| (best.metric.title.to_string(), format_value(best.value)));
        }
        self.stamps = now;
        self.changed = stamp(&self.path.join("metrics.jsonl")).map(|(_, time)| time);
        self.state = self.state();
    }

    fn add(&mut self, line: &[u8]) {
        if is_alarm(line) {
            self.alarms.extend(serde_json::from_slice::<Raised>(line).ok());
            return;
        }
        if let Some(step) = number(line, b"\"step\":") {
            self.steps = step as u64;
        }
        self.curve_d.add(number(line, b"\"loss_d\":"));
        self.curve_g.add(number(line, b"\"loss_g\":"));
    }

    fn state(&self) -> State {
        if RunFolder::is_busy(&self.path) {
            return State::Training;
        }
        if self.alarms.last().is_some_and(|last| last.done == Policy::Stop && last.alarm.at >= self.steps) {
            return State::Failed;
        }
        if self.settings.steps.is_some_and(|steps| self.steps >= steps) {
            return State::Finished;
        }
        // A run that ends or is stopped draws its report after its last line.
        let drawn = stamp(&self.path.join("report.html")).map(|(_, time)| time);
        if drawn.is_some() && drawn >= self.changed {
            let is_known = self.settings.steps.is_some() && !self.settings.has_goal;
            return if is_known { State::Stopped } else { State::Ended };
        }
        let age = self.changed.and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age < RECENT) { State::Training } else { State::Stopped }
    }
}

impl Settings {
    fn of(run: &Path) -> Self {
        let Ok(table) = layering::from_file(&run.join("config.toml")) else { return Self::default() };
        let train = table.get("train");
        let metric = table.get("evaluate").and_then(|evaluate| evaluate.get("best")?.as_str());
        let goals = train.and_then(|train| train.get("until")?.as_table());
        Self {
            preset: table.get("preset").and_then(|preset| preset.as_str()).unwrap_or_default().to_string(),
            steps: train.and_then(|train| train.get("steps")?.as_integer()?.try_into().ok()),
            metric: metric.and_then(Metric::find),
            has_goal: goals.is_some_and(|goals| !goals.is_empty()),
        }
    }
}

/// Returns length and time of change of a file.
fn stamp(path: &Path) -> Option<(u64, SystemTime)> {
    let found = fs::metadata(path).ok()?;
    Some((found.len(), found.modified().ok()?))
}

/// Returns the number that follows `key` in a line of JSON, without parsing the line.
fn number(line: &[u8], key: &[u8]) -> Option<f64> {
    let at = line.windows(key.len()).position(|part| part == key)? + key.len();
    let rest = line[at..].trim_ascii_start();
    let end = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b' ')).unwrap_or(rest.len());
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

/// A curve of at most [`POINTS`] points, however many values are added. Each point is a mean over the same number of values.
#[derive(Clone, Debug)]
pub(crate) struct Spark {
    means: Vec<f64>,
    /// Number of values of each mean.
    width: usize,
    sum: f64,
    count: usize,
}

impl Default for Spark {
    fn default() -> Self {
        Self { means: vec![], width: 1, sum: 0.0, count: 0 }
    }
}

impl Spark {
    /// Adds a value, if it is a number.
    fn add(&mut self, value: Option<f64>) {
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        self.sum += value;
        self.count += 1;
        if self.count < self.width {
            return;
        }
        self.means.push(self.sum / self.count as f64);
        (self.sum, self.count) = (0.0, 0);
        if self.means.len() == POINTS {
            self.means = self.means.as_chunks::<2>().0.iter().map(|[a, b]| (a + b) / 2.0).collect();
            self.width *= 2;
        }
    }

    /// Returns the curve.
    pub(crate) fn means(&self) -> &[f64] {
        &self.means
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_without_parsing() {
        let line = br#"{"step": 12,"loss_d":-1.5e-3,"loss_g":null}"#;
        let found = ["\"step\":", "\"loss_d\":", "\"loss_g\":", "\"x\":"].map(|key| number(line, key.as_bytes()));
        assert_eq!(found, [Some(12.0), Some(-1.5e-3), None, None]);
    }

    #[test]
    fn a_spark_stays_small_and_keeps_its_shape() {
        let mut spark = Spark::default();
        (0..100_000).for_each(|i| spark.add(Some(f64::from(i))));
        let means = spark.means();
        assert!((POINTS / 2 - 1..POINTS).contains(&means.len()) && means.is_sorted());
        spark.add(Some(f64::NAN));
        spark.add(None);
        assert!(spark.means().iter().all(|mean| mean.is_finite()));
    }

    #[test]
    fn the_state_follows_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("config.toml", "# A run of gan.\npreset = \"x\"\n[train]\nsteps = 3\n");
        let mut digest = Digest::new(dir.path());
        digest.look();
        assert_eq!((digest.state, digest.steps, digest.preset(), digest.total()), (State::Stopped, 0, "x", Some(3)));
        write("metrics.jsonl", "{\"step\":1,\"loss_d\":1}\n{\"step\":2,\"loss_d\":2}\n");
        digest.look();
        assert_eq!((digest.state, digest.steps, digest.curve_d.means()), (State::Training, 2, &[1.0, 2.0][..]));
    }
}
