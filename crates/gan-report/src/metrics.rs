//! Reading of a run's `metrics.jsonl`: one JSON object per logged step, in which any field may be missing.

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// All numbers of a run, by name, over its steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    series: BTreeMap<String, Vec<(f64, f64)>>,
    /// Step of the last line.
    reached: f64,
}

/// Effect of a line on the numbers that were there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// They stay.
    After,
    /// Later ones were removed, because the run continued from an earlier step.
    Replacing,
}

impl Metrics {
    /// Returns the readable part of the text of a `metrics.jsonl`, and the number (from 1) and problem of each line which is not a JSON object.
    /// The last line may be incomplete, as a killed process leaves it, and is then ignored.
    ///
    /// A value that is not a number (JSON has no NaN, so `null` stands for it) becomes NaN. If a step number occurs again, as after a resumed
    /// run, the later line and what follows it replace the earlier ones.
    pub fn of_lines(bytes: &[u8]) -> (Self, Vec<(usize, String)>) {
        let lines = (1..).zip(bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii));
        let mut lines = lines.filter(|(_, line)| !line.is_empty()).peekable();
        let mut metrics = Self::default();
        let mut damaged = Vec::new();
        while let Some((number, line)) = lines.next() {
            match metrics.add_line(line) {
                Ok(_) => {}
                Err(_) if lines.peek().is_none() => {}
                Err(reason) => damaged.push((number, reason.to_string())),
            }
        }
        (metrics, damaged)
    }

    /// Adds a line of `metrics.jsonl` that follows those before it. A line without a step has no place on the axis and is skipped.
    ///
    /// # Errors
    /// If it is not a JSON object.
    pub fn add_line(&mut self, line: &[u8]) -> serde_json::Result<Added> {
        let Line(fields) = serde_json::from_slice(line)?;
        let Some((_, step)) = fields.iter().find(|(name, value)| name == "step" && value.is_finite()) else {
            return Ok(Added::After);
        };
        // The values of an alarm are text.
        if fields.iter().any(|(name, _)| name == "alarm") {
            return Ok(Added::After);
        }
        // Several lines of one step are merged: the losses, and the evaluations. A step back replaces what was there.
        let added = if *step < self.reached { Added::Replacing } else { Added::After };
        if added == Added::Replacing {
            self.series
                .values_mut()
                .for_each(|series| series.truncate(series.partition_point(|point| point.0 < *step)));
        }
        self.reached = *step;
        for (name, value) in fields.iter().filter(|(name, _)| name != "step") {
            let series = match self.series.get_mut(name.as_ref()) {
                Some(series) => series,
                None => self.series.entry(name.to_string()).or_default(),
            };
            series.pop_if(|last| last.0 == *step);
            series.push((*step, *value));
        }
        Ok(added)
    }

    /// Returns (step, value) of the field `name`, by ascending step; empty if no line has it.
    pub fn series(&self, name: &str) -> &[(f64, f64)] {
        self.series.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns all fields of lines with a step, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.series.keys().map(String::as_str)
    }

    /// Returns the step of the last line, or 0.
    pub fn reached(&self) -> f64 {
        self.reached
    }

    /// Returns the number of points of the longest series.
    pub fn longest(&self) -> usize {
        self.series.values().map(Vec::len).max().unwrap_or(0)
    }

    /// Renames every field with `current`. Fields that get the same name are joined by step.
    pub fn rename(&mut self, current: impl Fn(&str) -> String) {
        for (name, points) in std::mem::take(&mut self.series) {
            let series = self.series.entry(current(&name)).or_default();
            series.extend(points);
            series.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
    }
}

/// Names and values of a line; a value that is not a number is NaN. Runs have millions of lines, so no [`serde_json::Value`] is built.
struct Line<'a>(Vec<(Cow<'a, str>, f64)>);

impl<'de> Deserialize<'de> for Line<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Line<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line<'de>, A::Error> {
        let mut fields = Vec::with_capacity(16);
        while let Some(Name(name)) = map.next_key()? {
            let Number(value) = map.next_value()?;
            fields.push((name, value));
        }
        Ok(Line(fields))
    }
}

/// Name of a field, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
        Ok(Number(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
        Ok(Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
        Ok(Number(value as f64))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
        Ok(Number(f64::NAN))
    }

    fn visit_unit<E>(self) -> Result<Number, E> {
        Ok(Number(f64::NAN))
    }

    fn visit_str<E>(self, _: &str) -> Result<Number, E> {
        Ok(Number(f64::NAN))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Number, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Number(f64::NAN))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Number, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Number(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the metrics of a text without damaged lines.
    fn read(text: &str) -> Metrics {
        let (metrics, damaged) = Metrics::of_lines(text.as_bytes());
        assert_eq!(damaged, []);
        metrics
    }

    #[test]
    fn fields_may_be_missing_or_null() {
        let metrics = read("{\"step\":1,\"a\":2}\n\n{\"step\":2}\n{\"step\":3,\"a\":null,\"b\":1e-3}\n{\"a\":9}\n");
        assert_eq!(metrics.series("a")[0], (1.0, 2.0));
        assert!(metrics.series("a")[1].1.is_nan() && metrics.series("a").len() == 2);
        assert_eq!(metrics.series("b"), [(3.0, 1e-3)]);
        assert_eq!(metrics.series("none"), []);
        assert_eq!(metrics.names().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn renamed_fields_are_joined() {
        let mut metrics = read("{\"step\":1,\"old\":9}\n{\"step\":2,\"new\":8,\"a\":1}\n");
        metrics.rename(|name| name.replace("old", "new"));
        assert_eq!(metrics.series("new"), [(1.0, 9.0), (2.0, 8.0)]);
        assert_eq!(metrics.names().collect::<Vec<_>>(), ["a", "new"]);
    }

    #[test]
    fn only_the_last_line_may_be_broken() {
        assert_eq!(read("{\"step\":1,\"a\":2}\n{\"step\":2,\"a\":").series("a"), [(1.0, 2.0)]);
        let damaged =
            |text: &str| Metrics::of_lines(text.as_bytes()).1.into_iter().map(|line| line.0).collect::<Vec<_>>();
        assert_eq!(damaged("{\"step\":1}\n\n{\"step\":\n{\"step\":3}\n"), [3]);
        assert_eq!(damaged("[1]\n{\"step\":3}\n"), [1]);
        assert_eq!(read(""), Metrics::default());
    }

    #[test]
    fn a_resumed_run_replaces_what_it_repeats() {
        let metrics = read(
            "{\"step\":1,\"a\":1,\"b\":1}\n{\"step\":2,\"a\":2,\"b\":2}\n{\"step\":3,\"a\":3}\n{\"step\":2,\"a\":20}\n",
        );
        assert_eq!(metrics.series("a"), [(1.0, 1.0), (2.0, 20.0)]);
        assert_eq!(metrics.series("b"), [(1.0, 1.0)]);
    }

    #[test]
    fn lines_of_one_step_are_merged_and_alarms_are_ignored() {
        let metrics = read(
            "{\"step\":1,\"a\":1}\n{\"step\":1,\"fid\":9}\n{\"step\":1,\"alarm\":\"x\",\"at\":1}\n{\"step\":2,\"a\":2}\n",
        );
        assert_eq!(metrics.series("a"), [(1.0, 1.0), (2.0, 2.0)]);
        assert_eq!((metrics.series("fid"), metrics.series("at")), (&[(1.0, 9.0)][..], &[][..]));
    }
}
