//! Axes: a range with a margin, ticks at round numbers, short labels.

/// A range of values and the ticks along it.
#[derive(Debug)]
pub(super) struct Axis {
    pub low: f64,
    pub high: f64,
    /// Values and labels, ascending.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Returns exactly `low` to `high` (or a range around them if they are equal) with up to `most` ticks.
    pub(super) fn exact(span: [f64; 2], most: usize) -> Self {
        Self::with_ticks(span, most, 0.0)
    }

    /// Returns an axis with ticks that are at least `least` apart.
    fn with_ticks([low, high]: [f64; 2], most: usize, least: f64) -> Self {
        let [low, high] = widened([low.min(high), low.max(high)]);
        Self { low, high, ticks: ticks([low, high], most, least) }
    }

    /// Returns an axis with a margin of a twentieth at both ends.
    pub(super) fn with_room(span: [f64; 2], most: usize) -> Self {
        let [low, high] = widened(span);
        let room = (high - low) / 20.0;
        Self::exact([low - room, high + room], most)
    }

    /// Returns an axis for steps, which are whole numbers: starts at 0 if the data start near it.
    pub(super) fn from_zero([low, high]: [f64; 2], most: usize) -> Self {
        let near = low > 0.0 && low <= (high - low) / 20.0;
        Self::with_ticks([if near { 0.0 } else { low }, high], most, 1.0)
    }

    /// Returns 0 at `low` and 1 at `high`.
    pub(super) fn part(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// Widens the range of a constant curve by a tenth of its value, or one half, on either side.
fn widened([low, high]: [f64; 2]) -> [f64; 2] {
    let size = low.abs().max(high.abs());
    if high - low > size * 1e-9 {
        return [low, high];
    }
    let room = if size > 0.0 { size / 10.0 } else { 0.5 };
    [low - room, high + room]
}

/// Returns multiples of 1, 2 or 5 times a power of ten, at least `least` apart.
fn ticks([low, high]: [f64; 2], most: usize, least: f64) -> Vec<(f64, String)> {
    let step = round_step(((high - low) / most.max(1) as f64).max(least));
    // Tolerance: 0.3 / 0.1 is under 3.
    let first = (low / step - 1e-6).ceil() as i64;
    let last = (high / step + 1e-6).floor() as i64;
    let largest = low.abs().max(high.abs());
    (first..=last).map(|i| i as f64 * step).map(|value| (value, label(value, step, largest))).collect()
}

/// Returns the smallest of 1, 2, 5 · 10ⁿ that is at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|&step| step >= least * 0.999_999)
        .unwrap_or(10.0 * power)
}

/// Formats `20k`, `1.5M`, `0.25`, `−3`, `2e−5`, with as many decimals as the step between ticks needs.
fn label(value: f64, step: f64, largest: f64) -> String {
    let (unit, suffix) = match largest {
        ..1e-3 | 1e10.. => return scientific(value, step),
        1e6.. => (1e6, "M"),
        1e4.. => (1e3, "k"),
        _ => (1.0, ""),
    };
    let decimals = (-(step / unit).log10().floor()).max(0.0) as usize;
    let zero = value.abs() < step / 2.0;
    let text = if zero { "0".into() } else { format!("{:.decimals$}{suffix}", value / unit) };
    text.replace('-', "−")
}

fn scientific(value: f64, step: f64) -> String {
    if value.abs() < step / 2.0 {
        return "0".into();
    }
    let digits = (value.abs().log10().floor() - step.log10().floor()).max(0.0) as usize;
    format!("{value:.digits$e}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn steps_read_in_thousands() {
        assert_eq!(labels(&Axis::from_zero([1.0, 100_001.0], 8)), ["0", "20k", "40k", "60k", "80k", "100k"]);
        assert_eq!(labels(&Axis::from_zero([100.0, 2000.0], 5)), ["500", "1000", "1500", "2000"]);
        assert_eq!(labels(&Axis::from_zero([1.0, 2_500_000.0], 6)), ["0", "0.5M", "1.0M", "1.5M", "2.0M", "2.5M"]);
    }

    #[test]
    fn step_ticks_are_integers() {
        assert_eq!(labels(&Axis::from_zero([1.0, 2.0], 8)), ["1", "2"]);
        assert_eq!(labels(&Axis::from_zero([1.0, 4.0], 9)), ["1", "2", "3", "4"]);
        assert_eq!(labels(&Axis::from_zero([3.0, 3.0], 8)), ["3"]);
    }

    #[test]
    fn decimals_follow_the_step() {
        assert_eq!(labels(&Axis::exact([0.0, 1.0], 5)), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Axis::exact([-2.0, 4.0], 6)), ["−2", "−1", "0", "1", "2", "3", "4"]);
        assert_eq!(labels(&Axis::exact([0.0, 4e-5], 2)), ["0", "2e−5", "4e−5"]);
        assert_eq!(labels(&Axis::exact([0.0, 0.3], 3)), ["0", "0.1", "0.2", "0.3"]);
    }

    #[test]
    fn no_range_is_too_small_or_large() {
        for value in [0.0, 1.0, -3.5, 1e-30, 1e30, 1e9] {
            let axis = Axis::with_room([value, value], 5);
            assert!(axis.low < value && value < axis.high, "{value}: {axis:?}");
            assert!((1..=12).contains(&axis.ticks.len()), "{value}: {axis:?}");
            assert!((axis.part(value) - 0.5).abs() < 1e-6);
        }
        let huge = Axis::with_room([-1e38, 1e38], 5);
        assert!(huge.ticks.len() >= 3, "{huge:?}");
    }
}
