//! PyTorch: a Python file with the network as an `nn.Module`, and its weights beside it.
//!
//! The module's parameters have the names of the weight file, so that `load_state_dict(strict=True)` takes them. Nothing from a weight file
//! stands in the Python source except numbers and quoted text.

use super::{ExportedFile, Format};
use crate::error::{Error, Result};
use crate::{Model, Network};
use gan_core::graph::samples_name;
use gan_core::pytorch::{TorchModule, sequential, tuple};
use gan_core::{Discriminator, Distribution, Generator, LayeredDiscriminator, weights};
use serde_json::to_string;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A PyTorch module with its weights.
pub static PYTORCH: Format = Format {
    name: "pytorch",
    ending: "py",
    about: "a Python file with the network as a PyTorch module, and its weights as .safetensors",
    files,
    paths,
};

/// First line of the Python file, by which it is recognized before it is replaced.
pub const FIRST_LINE: &str = "# Exported by gan";

fn paths(path: &Path) -> Vec<PathBuf> {
    vec![path.with_extension("safetensors"), path.to_path_buf()]
}

fn files(model: &Model, path: &Path) -> Result<Vec<ExportedFile>> {
    let network = model.layers();
    let module = sequential(network.input(), network.layers()).map_err(Error::Unsupported)?;
    let params = match &model.network {
        Network::Generator(generator) => generator.params(),
        Network::Discriminator(discriminator) => discriminator.params(),
    };
    let weights = path.with_extension("safetensors");
    let weights_name = weights.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let source = source(model, &module, &weights_name)?;
    let bytes = weights::to_bytes(&params, &model.description)?;
    Ok(vec![
        ExportedFile { path: weights, bytes },
        ExportedFile { path: path.to_path_buf(), bytes: source.into_bytes() },
    ])
}

/// Returns the Python source.
fn source(model: &Model, module: &TorchModule, weights: &str) -> Result<String> {
    let quoted = |text: &str| to_string(text).map_err(|e| Error::Unsupported(e.to_string()));
    let network = model.layers();
    let samples = shape(network, &model.network);
    let noun = samples_name(samples);
    let is_sheet = matches!(&model.network, Network::Generator(_)) && matches!(samples, [1..=4, _, _]);
    let description = &model.description;
    let mut text = format!("{FIRST_LINE} {}.\n", env!("CARGO_PKG_VERSION"));
    let is_generator = matches!(&model.network, Network::Generator(_));
    let latent = &description.latent;
    let is_truncated = latent.distribution == Distribution::Normal && latent.truncation.is_some();
    let docs = match (is_generator, is_sheet) {
        (true, true) => {
            "A generator of images. Run this file to write a sheet of samples, or import `load` and `generate`."
        }
        (true, false) => "A generator. Run this file to write some samples, or import `load` and `generate`.",
        (false, _) => "A discriminator. Import `load` to use it.",
    };
    let modules = [
        ("math", is_sheet || (is_generator && is_truncated)),
        ("struct", is_sheet),
        ("sys", is_generator),
        ("zlib", is_sheet),
    ];
    let needed = modules.iter().filter(|(_, is_needed)| *is_needed);
    let imports: String = needed.map(|(module, _)| format!("import {module}\n")).collect();
    let needs_f = module.helpers.iter().any(|helper| helper.0.contains("F."));
    let functional = if needs_f { "import torch.nn.functional as F\n" } else { "" };
    push(
        &mut text,
        &format!(
            "\"\"\"{docs}\n\nIt needs PyTorch and safetensors.\n\"\"\"\n\n{imports}from pathlib import Path\n\nimport torch\n{functional}from \
             safetensors.torch import load_file\nfrom torch import nn\n\n"
        ),
    );
    push(&mut text, &format!("WEIGHTS = Path(__file__).with_name({})\n", quoted(weights)?));
    push(&mut text, &format!("PRESET = {}\nSTEPS = {}\n", quoted(&description.preset)?, description.step));
    let known = module.takes_class.then(|| model.classes()).flatten();
    if let Some(known) = known {
        push(&mut text, &format!("CLASSES = {known}\n"));
        if !description.data.classes.is_empty() {
            let names = to_string(&description.data.classes).map_err(|e| Error::Unsupported(e.to_string()))?;
            push(&mut text, &format!("CLASS_NAMES = {names}\n"));
        }
    }
    for helper in &module.helpers {
        push(&mut text, &format!("\n\n{}", helper.0));
    }
    let body = module.expression.replace('\n', "\n        ");
    match &model.network {
        Network::Generator(_) => {
            push(&mut text, &generator_class(model, &body, known.is_some(), noun, samples));
            push(&mut text, &loader("Generator"));
            push(&mut text, &generate(model, known.is_some(), noun, samples));
            push(&mut text, &main_part(is_sheet));
        }
        Network::Discriminator(_) => {
            push(&mut text, &discriminator_class(model, &body, known.is_some(), noun, samples));
            push(&mut text, &loader("Discriminator"));
        }
    }
    Ok(text)
}

/// Appends text; writing to a string cannot fail.
fn push(text: &mut String, more: &str) {
    let _ = text.write_str(more);
}

/// Returns the shape of one sample.
fn shape<'a>(layers: &'a gan_core::Network, network: &Network) -> &'a [usize] {
    match network {
        Network::Generator(_) => layers.output(),
        Network::Discriminator(_) => layers.input(),
    }
}

/// Formats the shape of a batch for a comment: `[N, 1, 28, 28]`.
fn batch(shape: &[usize]) -> String {
    let sides: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("[N, {}]", sides.join(", "))
}

fn generator_class(model: &Model, body: &str, takes_class: bool, noun: &str, samples: &[usize]) -> String {
    let latent = model.description.latent.dim;
    let (more, argument) = if takes_class { (" and classes [N]", "classes") } else { ("", "") };
    let comma = if takes_class { ", " } else { "" };
    let x = match model.layers().input() {
        [_] => "z".to_string(),
        input => format!("z.reshape(len(z), *{})", tuple(input)),
    };
    format!(
        r#"

class Generator(nn.Module):
    """Latent vectors [N, {latent}]{more} -> {noun} {} in -1 to 1."""

    latent = {latent}

    def __init__(self):
        super().__init__()
        self.main = {body}

    def forward(self, z{comma}{argument}):
        return self.main({x}{comma}{argument})
"#,
        batch(samples)
    )
}

fn discriminator_class(model: &Model, body: &str, takes_class: bool, noun: &str, samples: &[usize]) -> String {
    let (more, argument) = if takes_class { (" and classes [N]", ", classes") } else { ("", "") };
    let auxiliary = LayeredDiscriminator::auxiliary_classes(model.layers().layers());
    let (made, end) = match auxiliary {
        Some(classes) => (
            format!("logits [N] and the classes' logits [N, {classes}]"),
            format!("y = self.main(x{argument})\n        return y[:, 0], y[:, 1:]"),
        ),
        None => (
            "logits [N], the log-odds that a sample is real".into(),
            format!("return self.main(x{argument}).flatten()"),
        ),
    };
    format!(
        r#"

class Discriminator(nn.Module):
    """{noun} {} in -1 to 1{more} -> {made}."""

    def __init__(self):
        super().__init__()
        self.main = {body}

    def forward(self, x{argument}):
        {end}
"#,
        batch(samples)
    )
}

fn loader(class: &str) -> String {
    format!(
        r#"

def load(weights=WEIGHTS):
    """Returns the network with its weights, in evaluation mode."""
    network = {class}()
    network.load_state_dict(load_file(weights), strict=True)
    return network.eval()
"#
    )
}

fn generate(model: &Model, takes_class: bool, noun: &str, samples: &[usize]) -> String {
    let latent = &model.description.latent;
    let dim = latent.dim;
    let limit = latent.truncation;
    let draw = match (latent.distribution, limit) {
        (Distribution::Normal, None) => format!("z = torch.randn(count, {dim}, generator=random)"),
        (Distribution::Normal, Some(most)) => format!(
            "# Normal numbers within {most:?} of 0, by the inverse of their distribution function.\n    \
             part = math.erf({most:?} / math.sqrt(2))\n    \
             z = math.sqrt(2) * torch.erfinv((2 * torch.rand(count, {dim}, generator=random) - 1) * part)"
        ),
        (Distribution::Uniform, most) => {
            let most = most.unwrap_or(1.0).min(1.0);
            format!("z = {most:?} * (2 * torch.rand(count, {dim}, generator=random) - 1)")
        }
    };
    let (argument, classes, call) = match takes_class {
        true => (
            ", classes=None",
            "    if classes is None:\n        classes = torch.arange(count) % CLASSES\n    classes = torch.as_tensor(classes)\n",
            "network(z, classes)",
        ),
        false => ("", "", "network(z)"),
    };
    let each = if takes_class { ", of these classes, or of each class in turn" } else { "" };
    let units = &model.description.data.units;
    let (range, end) = match (samples, units.is_empty()) {
        ([_], false) => {
            let side =
                |index: usize| units.iter().map(|unit| format!("{:?}", unit[index])).collect::<Vec<_>>().join(", ");
            let low = side(0);
            let high = side(1);
            (
                "in the units of the data",
                format!(
                    "low = torch.tensor([{low}])\n    high = torch.tensor([{high}])\n    return low + ({call} + 1) / 2 * (high - low)"
                ),
            )
        }
        _ => ("in -1 to 1", format!("return {call}")),
    };
    let shape = batch(samples);
    format!(
        r#"

@torch.no_grad()
def generate(count=64, seed=0{argument}, network=None):
    """Returns {noun} {shape} {range}{each}."""
    network = load() if network is None else network
    random = torch.Generator().manual_seed(seed)
    {draw}
{classes}    {end}
"#
    )
}

fn main_part(is_sheet: bool) -> String {
    if !is_sheet {
        return r#"

if __name__ == "__main__":
    samples = generate()
    torch.save(samples, sys.argv[1] if len(sys.argv) > 1 else "samples.pt")
"#
        .into();
    }
    r#"

def save_png(images, path, columns=8):
    """Writes images [N, C, H, W] in -1 to 1 as one PNG file."""
    pixels = ((images + 1) * 127.5).round().clamp(0, 255).byte()
    count, channels, height, width = pixels.shape
    rows = math.ceil(count / columns)
    sheet = torch.zeros(rows * columns, channels, height, width, dtype=torch.uint8)
    sheet[:count] = pixels
    sheet = sheet.view(rows, columns, channels, height, width).permute(0, 3, 1, 4, 2)
    lines = sheet.reshape(rows * height, columns * width * channels)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    # Gray, gray with alpha, RGB, RGBA.
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", columns * width, rows * height, 8, color, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(line.tolist()) for line in lines))
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


if __name__ == "__main__":
    save_png(generate(), sys.argv[1] if len(sys.argv) > 1 else "samples.png")
"#
    .into()
}
