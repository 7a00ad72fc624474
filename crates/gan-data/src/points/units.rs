//! Points' own units and back: each coordinate's range against [−1, 1].

/// For each coordinate the values that −1 and 1 stand for.
#[derive(Clone, Debug, PartialEq)]
pub struct Units(Vec<[f64; 2]>);

impl Units {
    /// From `[low, high]` of each coordinate. A coordinate that never changes gets a range around its value.
    pub fn new(ranges: Vec<[f64; 2]>) -> Self {
        let wide = |[low, high]: [f64; 2]| if high > low { [low, high] } else { [low - 1.0, low + 1.0] };
        Self(ranges.into_iter().map(wide).collect())
    }

    /// From the outermost centres of modes in the plane: the same for both coordinates, so that distances keep their ratios.
    pub(crate) fn around_modes(reach: f64) -> Self {
        Self::new(vec![[-reach, reach]; 2])
    }

    /// `[low, high]` of each coordinate.
    pub fn ranges(&self) -> &[[f64; 2]] {
        &self.0
    }

    /// How many coordinates a point has.
    pub fn dimensions(&self) -> usize {
        self.0.len()
    }

    /// A point in its own units -> in [−1, 1].
    pub fn scaled(&self, point: &[f64]) -> Vec<f32> {
        point.iter().zip(&self.0).map(|(v, [low, high])| ((v - low) / (high - low) * 2.0 - 1.0) as f32).collect()
    }

    /// Points in [−1, 1], one after the other -> in their own units.
    pub fn restored(&self, values: &[f32]) -> Vec<f32> {
        let units = self.0.iter().cycle();
        values
            .iter()
            .zip(units)
            .map(|(v, [low, high])| (low + (f64::from(*v) + 1.0) / 2.0 * (high - low)) as f32)
            .collect()
    }
}
