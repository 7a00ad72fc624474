//! Layers as PyTorch modules: Python source whose parameters have the names of the weight files.
//!
//! Each layer returns its own module ([`LayerSpec::pytorch`](crate::layers::LayerSpec::pytorch)): a class of `torch.nn` where one does the same,
//! else a [`Helper`] class. A list becomes an `nn.Sequential`.

use crate::layers::Layer;
use crate::shape::infer_list;
use std::fmt::{Debug, Write};

/// A layer as a PyTorch module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TorchModule {
    /// Python expression that constructs the module, for instance `nn.Conv2d(3, 64, 4, stride=2)`.
    pub expression: String,
    /// Definitions that the expression needs, each after those that it needs itself.
    pub helpers: Vec<Helper>,
    /// Whether the module is called with the samples' classes as a second argument. Its class then has `takes_class = True`.
    pub takes_class: bool,
}

/// Python source of a class or function that a module needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Helper(pub &'static str);

/// The module, or why a layer has none.
pub type TorchResult = std::result::Result<TorchModule, String>;

impl TorchModule {
    /// Returns a module of `torch.nn`.
    pub fn new(expression: impl Into<String>) -> Self {
        Self { expression: expression.into(), ..Self::default() }
    }

    /// Adds the definitions that the expression needs.
    #[must_use]
    pub fn with_helpers(mut self, helpers: &[Helper]) -> Self {
        helpers.iter().for_each(|helper| self.need(*helper));
        self
    }

    /// Marks the module as one that takes the samples' classes.
    #[must_use]
    pub fn with_class(mut self) -> Self {
        self.takes_class = true;
        self
    }

    fn need(&mut self, helper: Helper) {
        if !self.helpers.contains(&helper) {
            self.helpers.push(helper);
        }
    }
}

/// A call in Python source.
#[derive(Debug)]
pub(crate) struct Call {
    text: String,
    is_first: bool,
}

impl Call {
    /// Begins the call of `function`.
    pub fn new(function: &str) -> Self {
        Self { text: format!("{function}("), is_first: true }
    }

    /// Adds an argument.
    pub fn with(mut self, argument: impl std::fmt::Display) -> Self {
        if !std::mem::replace(&mut self.is_first, false) {
            self.text.push_str(", ");
        }
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{argument}");
        self
    }

    /// Adds a keyword argument, unless the value is the default.
    pub fn with_key<T: Debug + PartialEq>(self, key: &str, value: T, default: &T) -> Self {
        if value == *default { self } else { self.with(format_args!("{key}={}", python(&value))) }
    }

    /// Adds a keyword argument for both directions, `[vertical, horizontal]`, unless the value is the default.
    pub fn with_pair(self, key: &str, value: [usize; 2], default: [usize; 2]) -> Self {
        if value == default { self } else { self.with(format_args!("{key}={}", pair(value))) }
    }

    /// Returns the source.
    pub fn end(self) -> String {
        self.text + ")"
    }

    /// Returns the module that the call constructs.
    pub fn module(self) -> TorchModule {
        TorchModule::new(self.end())
    }
}

/// Formats a value as Python source: a truth value, a number or a list.
fn python(value: &impl Debug) -> String {
    match format!("{value:?}").as_str() {
        "true" => "True".into(),
        "false" => "False".into(),
        other => other.into(),
    }
}

/// Formats `[vertical, horizontal]` as a number if both are equal, else as a tuple.
pub(crate) fn pair([vertical, horizontal]: [usize; 2]) -> String {
    if vertical == horizontal { vertical.to_string() } else { format!("({vertical}, {horizontal})") }
}

/// Formats numbers as a Python tuple.
pub fn tuple(numbers: &[usize]) -> String {
    let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    if let [one] = &list[..] { format!("({one},)") } else { format!("({})", list.join(", ")) }
}

/// A list that gives the classes to the modules that take them.
const CLASS_SEQUENTIAL: Helper = Helper(
    r#"class ClassSequential(nn.Sequential):
    """nn.Sequential that passes each sample's class to the modules that take it."""

    takes_class = True

    def forward(self, x, classes):
        for module in self:
            x = module(x, classes) if getattr(module, "takes_class", False) else module(x)
        return x
"#,
);

/// Returns a list of layers for samples of shape `input` as an `nn.Sequential`, with each layer's output shape in a comment.
///
/// # Errors
/// If a layer has no module; the message names it.
pub fn sequential(input: &[usize], layers: &[Layer]) -> TorchResult {
    let inferred = infer_list("network", input, layers).map_err(|error| error.to_string())?;
    let mut all = TorchModule::default();
    let mut lines = String::new();
    for (index, (layer, found)) in layers.iter().zip(&inferred).enumerate() {
        let module = layer.pytorch(&found.input)?;
        module.helpers.iter().for_each(|helper| all.need(*helper));
        all.takes_class |= module.takes_class;
        let expression = module.expression.replace('\n', "\n    ");
        let _ = writeln!(lines, "    {expression},  # {index}: {:?}", found.output);
    }
    let class = if all.takes_class { "ClassSequential" } else { "nn.Sequential" };
    if all.takes_class {
        all.need(CLASS_SEQUENTIAL);
    }
    all.expression = if lines.is_empty() { format!("{class}()") } else { format!("{class}(\n{lines})") };
    Ok(all)
}
