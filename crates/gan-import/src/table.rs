//! Layers and tensors side by side, for messages.

use crate::matching::{Expected, Match, same_shape};
use crate::tensor::ForeignTensor;
use std::fmt::Write;

/// Maximum number of rows.
const MOST_ROWS: usize = 80;

/// Maximum number of characters of a name.
const LONGEST: usize = 40;

/// One parameter and one tensor.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    cells: [String; 5],
    differs: bool,
}

impl Row {
    /// Returns a row with both sides, or one of them.
    pub fn of(expected: Option<&Expected>, tensor: Option<&ForeignTensor>) -> Self {
        let shape = |shape: &[usize]| format!("{shape:?}");
        let cut = |name: &str| match name.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &name[..end]),
            None => name.to_string(),
        };
        let differs = match (expected, tensor) {
            (Some(expected), Some(tensor)) => !same_shape(&expected.shape, &tensor.shape),
            _ => true,
        };
        Self {
            cells: [
                expected.map(|param| format!("{} {}", param.number, param.layer)).unwrap_or_default(),
                expected.map(|param| param.name.clone()).unwrap_or_default(),
                expected.map(|param| shape(&param.shape)).unwrap_or_default(),
                tensor.map(|tensor| cut(&tensor.name)).unwrap_or_default(),
                tensor.map(|tensor| shape(&tensor.shape)).unwrap_or_default(),
            ],
            differs,
        }
    }

    /// Returns the row of a parameter with its tensor.
    pub fn matched(found: &Match) -> Self {
        Self::of(Some(&found.expected), Some(found.tensor))
    }
}

/// Formats rows as a table in which differences are marked.
pub(crate) fn table(rows: &[Row]) -> String {
    let head = Row { cells: ["layer", "parameter", "expects", "in the file", "has"].map(String::from), differs: false };
    let shown = &rows[..rows.len().min(MOST_ROWS)];
    let all = || std::iter::once(&head).chain(shown);
    let widths: [usize; 5] =
        std::array::from_fn(|column| all().map(|row| row.cells[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in all() {
        let mark = if row.differs { "≠" } else { " " };
        let cells = row.cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = format!("{mark} {}", cells.collect::<Vec<_>>().join("  "));
        writeln!(text, "{}", line.trim_end()).ok();
    }
    if rows.len() > shown.len() {
        writeln!(text, "  … and {} more", rows.len() - shown.len()).ok();
    }
    text.trim_end().into()
}
