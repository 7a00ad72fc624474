//! Summary of a network as a table: layer, output shape, parameters, multiply-adds. Nothing is allocated for it.

use crate::error::Result;
use crate::layers::{Layer, ParamSpec, Residual};
use crate::shape;
use std::fmt;

/// One layer of a [`Summary`].
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Name, as in PyTorch, which is the prefix of its parameters: `main.0`; within a residual block `main.2.body.0`.
    pub name: String,
    /// The layer.
    pub layer: Layer,
    /// Output shape, without the batch.
    pub output: Vec<usize>,
    /// Number of trainable values.
    pub trained: usize,
    /// Number of values in running averages.
    pub fixed: usize,
    /// Multiply-adds for one sample.
    pub multiply_adds: usize,
}

/// A network as a table; [`fmt::Display`] draws it.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Name of the network.
    pub name: String,
    /// Shape of one input, without the batch.
    pub input: Vec<usize>,
    /// Its layers.
    pub rows: Vec<Row>,
}

impl Summary {
    /// Computes the table.
    ///
    /// # Errors
    /// If the layers do not fit together.
    pub fn new(name: &str, input: &[usize], layers: &[Layer]) -> Result<Self> {
        let inferred = shape::infer(name, input, layers)?;
        let mut rows = vec![];
        // A layer with lists inside has a row without numbers, and one for each layer inside.
        shape::each_named("main", layers, &inferred, &mut |name, layer, found| {
            let [trained, fixed] = [true, false].map(|trained| {
                found.params.iter().filter(|p| p.role.is_trained() == trained).map(ParamSpec::elem_count).sum()
            });
            let output = found.output.clone();
            let multiply_adds = found.multiply_adds;
            rows.push(Row { name: name.into(), layer: layer.clone(), output, trained, fixed, multiply_adds });
        });
        Ok(Self { name: name.into(), input: input.to_vec(), rows })
    }

    /// Returns (trainable, fixed, multiply-adds) over all layers.
    pub fn totals(&self) -> (usize, usize, usize) {
        let total = |of: fn(&Row) -> usize| self.rows.iter().map(of).fold(0, usize::saturating_add);
        (total(|row| row.trained), total(|row| row.fixed), total(|row| row.multiply_adds))
    }

    /// Returns name and value of the totals over all layers.
    pub fn written_totals(&self) -> [(&'static str, String); 4] {
        let (trained, fixed, multiply_adds) = self.totals();
        let sized = |n: usize| format!("{} ({})", grouped(n), bytes(n * FLOAT));
        [
            ("parameters", sized(trained + fixed)),
            ("trained", sized(trained)),
            ("not trained: running averages", sized(fixed)),
            ("multiply-adds a sample", grouped(multiply_adds)),
        ]
    }
}

impl Row {
    /// Formats the layer with its settings: `conv 64, kernel 4, stride 2`.
    pub fn written(&self) -> String {
        if let Some(block) = self.layer.downcast::<Residual>() {
            return format!("residual: body + {}", if block.skip.is_empty() { "input" } else { "skip" });
        }
        let toml = self.layer.written().replace(" = ", " ").replace('"', "");
        toml.replace("{ ", "").replace(" }", "").trim().to_string()
    }
}

/// Number of bytes of a parameter.
const FLOAT: usize = size_of::<f32>();

/// Prints a header, the layers between two rules, and the totals.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["name", "layer", "output", "parameters", "multiply-adds"].map(String::from);
        let cells: Vec<[String; 5]> = self.rows.iter().map(cells).collect();
        let width = |column: usize| cells.iter().chain([&head]).map(|c| c[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 5] = std::array::from_fn(width);
        let line = |f: &mut fmt::Formatter<'_>, c: &[String; 5]| {
            let [a, b, d, e, g] = widths;
            let line = format!("{:<a$}  {:<b$}  {:<d$}  {:>e$}  {:>g$}", c[0], c[1], c[2], c[3], c[4]);
            writeln!(f, "{}", line.trim_end())
        };
        let rule = "─".repeat(widths.iter().sum::<usize>() + 8);
        writeln!(f, "{}, input {:?}\n{rule}", self.name, self.input)?;
        line(f, &head)?;
        writeln!(f, "{rule}")?;
        cells.iter().try_for_each(|c| line(f, c))?;
        writeln!(f, "{rule}")?;
        let totals = self.written_totals();
        let width = totals.iter().map(|total| total.0.chars().count()).max().unwrap_or(0);
        totals.iter().try_for_each(|(name, value)| writeln!(f, "{name:<width$}  {value}"))
    }
}

fn cells(row: &Row) -> [String; 5] {
    [
        row.name.clone(),
        row.written(),
        format!("{:?}", row.output),
        grouped(row.trained + row.fixed),
        if row.multiply_adds == 0 { String::new() } else { grouped(row.multiply_adds) },
    ]
}

/// Formats a number of bytes: `512 B`, `4.45 MiB`.
fn bytes(n: usize) -> String {
    let units = ["KiB", "MiB", "GiB"];
    let mut value = n as f64;
    let fits = units.into_iter().find(|unit| {
        value /= 1024.0;
        value < 1024.0 || *unit == "GiB"
    });
    if n < 1024 { format!("{n} B") } else { format!("{value:.2} {}", fits.unwrap_or_default()) }
}

/// Formats 1234567 as 1,234,567.
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
