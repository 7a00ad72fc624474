//! Reading of a run's `metrics.jsonl`: one JSON object per logged step, in which any field may be missing.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value};

use crate::Error;

/// All numbers of a run, by name, over its steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    series: BTreeMap<String, Vec<(f64, f64)>>,
}

impl Metrics {
    /// Reads `path`. A value that is not a number (JSON has no NaN, so `null` stands for it) becomes NaN. If a step
    /// number occurs again, as after a resumed run, the later line and what follows it replace the earlier ones.
    ///
    /// # Errors
    /// [`Error::File`] if `path` cannot be read; [`Error::Content`] with its number for a line which is not a JSON object,
    /// except the last one: a killed process leaves it incomplete, and it is ignored.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = gan_base::regular_file::read(path, crate::MOST_BYTES).map_err(Error::file("read", path))?;
        let (metrics, damaged) = Self::of_lines(&bytes);
        match damaged.into_iter().next() {
            None => Ok(metrics),
            Some((line, problem)) => {
                let problem = format!("line {line}: {problem}; expected one JSON object a line");
                Err(Error::Content { path: path.to_owned(), problem })
            }
        }
    }

    /// Returns the readable part of the text of a `metrics.jsonl`, and the number (from 1) and problem of each
    /// unreadable line; the last line may be incomplete.
    pub fn of_lines(bytes: &[u8]) -> (Self, Vec<(usize, String)>) {
        let lines: Vec<(usize, &[u8])> = bytes
            .split(|&byte| byte == b'\n')
            .enumerate()
            .map(|(index, line)| (index + 1, line.trim_ascii()))
            .filter(|(_, line)| !line.is_empty())
            .collect();
        let mut metrics = Self::default();
        let mut damaged = Vec::new();
        let mut reached = f64::NEG_INFINITY;
        for (at, &(line, text)) in lines.iter().enumerate() {
            match serde_json::from_slice::<Map<String, Value>>(text) {
                Ok(object) => metrics.add(&object, &mut reached),
                Err(_) if at + 1 == lines.len() => {}
                Err(reason) => damaged.push((line, reason.to_string())),
            }
        }
        (metrics, damaged)
    }

    /// Returns (step, value) of the field `name`, by ascending step; empty if no line has it.
    pub fn series(&self, name: &str) -> &[(f64, f64)] {
        self.series.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns all fields of lines with a step, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.series.keys().map(String::as_str)
    }

    /// Renames every field with `current`. Fields that get the same name are joined by step.
    pub fn rename(&mut self, current: impl Fn(&str) -> String) {
        for (name, points) in std::mem::take(&mut self.series) {
            let series = self.series.entry(current(&name)).or_default();
            series.extend(points);
            series.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
    }

    /// Adds a line that follows one of step `reached`. A line without a step has no place on the axis and is skipped.
    fn add(&mut self, object: &Map<String, Value>, reached: &mut f64) {
        let Some(step) = object.get("step").and_then(Value::as_f64) else { return };
        // The values of an alarm are text.
        if object.contains_key("alarm") {
            return;
        }
        // Several lines of one step are merged: the losses, and the evaluations. A step back replaces what was there.
        if step < *reached {
            self.series.values_mut().for_each(|series| series.truncate(series.partition_point(|point| point.0 < step)));
        }
        *reached = step;
        for (name, value) in object.iter().filter(|(name, _)| *name != "step") {
            let point = (step, value.as_f64().unwrap_or(f64::NAN));
            let series = self.series.entry(name.clone()).or_default();
            series.pop_if(|last| last.0 == step);
            series.push(point);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read(text: &str) -> Result<Metrics, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        fs::write(&path, text).unwrap();
        Metrics::read(&path)
    }

    #[test]
    fn fields_may_be_missing_or_null() {
        let metrics =
            read("{\"step\":1,\"a\":2}\n\n{\"step\":2}\n{\"step\":3,\"a\":null,\"b\":1e-3}\n{\"a\":9}\n").unwrap();
        assert_eq!(metrics.series("a")[0], (1.0, 2.0));
        assert!(metrics.series("a")[1].1.is_nan() && metrics.series("a").len() == 2);
        assert_eq!(metrics.series("b"), [(3.0, 1e-3)]);
        assert_eq!(metrics.series("none"), []);
        assert_eq!(metrics.names().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn renamed_fields_are_joined() {
        let mut metrics = read("{\"step\":1,\"old\":9}\n{\"step\":2,\"new\":8,\"a\":1}\n").unwrap();
        metrics.rename(|name| name.replace("old", "new"));
        assert_eq!(metrics.series("new"), [(1.0, 9.0), (2.0, 8.0)]);
        assert_eq!(metrics.names().collect::<Vec<_>>(), ["a", "new"]);
    }

    #[test]
    fn only_the_last_line_may_be_broken() {
        assert_eq!(read("{\"step\":1,\"a\":2}\n{\"step\":2,\"a\":").unwrap().series("a"), [(1.0, 2.0)]);
        let message = read("{\"step\":1}\n\n{\"step\":\n{\"step\":3}\n").unwrap_err().to_string();
        assert!(message.contains("metrics.jsonl: line 3:"), "{message}");
        assert!(read("[1]\n{\"step\":3}\n").unwrap_err().to_string().contains("line 1"));
        assert_eq!(read("").unwrap(), Metrics::default());
    }

    #[test]
    fn a_resumed_run_replaces_what_it_repeats() {
        let metrics = read(
            "{\"step\":1,\"a\":1,\"b\":1}\n{\"step\":2,\"a\":2,\"b\":2}\n{\"step\":3,\"a\":3}\n{\"step\":2,\"a\":20}\n",
        );
        let metrics = metrics.unwrap();
        assert_eq!(metrics.series("a"), [(1.0, 1.0), (2.0, 20.0)]);
        assert_eq!(metrics.series("b"), [(1.0, 1.0)]);
    }

    #[test]
    fn lines_of_one_step_add_up_and_alarms_are_no_numbers() {
        let metrics = read(
            "{\"step\":1,\"a\":1}\n{\"step\":1,\"fid\":9}\n{\"step\":1,\"alarm\":\"x\",\"at\":1}\n{\"step\":2,\"a\":2}\n",
        );
        let metrics = metrics.unwrap();
        assert_eq!(metrics.series("a"), [(1.0, 1.0), (2.0, 2.0)]);
        assert_eq!((metrics.series("fid"), metrics.series("at")), (&[(1.0, 9.0)][..], &[][..]));
    }

    #[test]
    fn a_missing_file_is_named() {
        assert!(Metrics::read(Path::new("no-such.jsonl")).unwrap_err().to_string().contains("no-such.jsonl"));
    }
}
