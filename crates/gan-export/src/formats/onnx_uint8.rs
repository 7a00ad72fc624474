//! ONNX with images as bytes, as torch-fidelity's reader of ONNX generators expects them: `[N, 3, H, W]` uint8.
//!
//! torch-fidelity passes the latent vectors as the first input, the classes as the second, and takes the first output. Its Inception-v3 accepts
//! images of three channels only, so the channel of gray images is repeated.

use super::onnx::proto::data_type;
use super::onnx::{Exporter, file, main_path};
use super::{ExportedFile, Format};
use crate::{Error, Model, Network, Result};
use std::path::Path;

/// ONNX with images as bytes.
pub static ONNX_UINT8: Format = Format {
    name: "onnx-uint8",
    ending: "onnx",
    about: "an ONNX file whose images are bytes, [N, 3, H, W] uint8, for torch-fidelity",
    files,
    paths: main_path,
};

fn files(model: &Model, path: &Path) -> Result<Vec<ExportedFile>> {
    let shape = model.layers().output();
    let channels = match (&model.network, shape) {
        (Network::Discriminator(_), _) => return unsupported("is for generators, this is a discriminator"),
        (_, [channels @ (1 | 3), _, _]) => *channels,
        (_, [_]) => return unsupported("is for images, this generator makes points"),
        _ => {
            let made = format!("{shape:?}");
            return unsupported(&format!("is for images of 1 or 3 channels, this generator makes {made}"));
        }
    };
    let graph = model.graph()?;
    let mut exporter = Exporter::new(&graph)?;
    let images = graph.outputs()[0].clone();
    let mut value = exporter.name(images.value).to_string();
    // round((x + 1)·127.5), as in the pictures that `gan generate` writes. ONNX's Round would round halves to even numbers.
    for (op, number) in [("Add", 1.0), ("Mul", 127.5), ("Add", 0.5)] {
        let number = exporter.floats("bytes/constant", &[1], &[number]);
        value = exporter.add("bytes", op, &[&value, &number], vec![]);
    }
    value = exporter.add("bytes", "Floor", &[&value], vec![]);
    let low = exporter.floats("bytes/low", &[], &[0.0]);
    let high = exporter.floats("bytes/high", &[], &[255.0]);
    value = exporter.add("bytes", "Clip", &[&value, &low, &high], vec![]);
    value = exporter.add("bytes", "Cast", &[&value], vec![Exporter::int("to", i64::from(data_type::UINT8))]);
    if channels == 1 {
        value = exporter.add("bytes", "Concat", &[&value, &value, &value], vec![Exporter::int("axis", 1)]);
    }
    let made = [3, shape[1], shape[2]];
    exporter.output(&images.name, &value, data_type::UINT8, &made);
    file(exporter, model, path)
}

fn unsupported<T>(problem: &str) -> Result<T> {
    Err(Error::Unsupported(format!("--format {} {problem}", ONNX_UINT8.name)))
}
