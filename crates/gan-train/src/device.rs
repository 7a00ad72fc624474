//! The device of a run.

use crate::error::{Error, Result};
use candle_core::Device;
use gan_core::strip_backtrace;

/// Opens the device called `name`: `auto`, `cpu`, `cuda`, `cuda:1`, `metal`.
///
/// # Errors
/// If the name is none of these, or if this build (the message names the missing feature) or the machine lacks the device.
pub fn open(name: &str) -> Result<Device> {
    let fail = |problem: String| Err(Error::config(format!("--device {name}"), problem));
    let (kind, ordinal) = match name.split_once(':') {
        None => (name, 0),
        Some((kind, n)) => match n.parse() {
            Ok(n) if kind == "cuda" => (kind, n),
            _ => return fail("expected auto, cpu, cuda, cuda:N or metal".into()),
        },
    };
    match kind {
        "cpu" => Ok(Device::Cpu),
        "auto" => Ok(automatic()),
        "cuda" if !cfg!(feature = "cuda") => fail(lacking("CUDA", "cuda")),
        "metal" if !cfg!(feature = "metal") => fail(lacking("Metal", "metal")),
        "cuda" => Device::new_cuda(ordinal).or_else(|e| {
            fail(format!("cannot be opened (nvidia-smi -L lists the GPUs that there are): {}", strip_backtrace(&e)))
        }),
        "metal" => Device::new_metal(0).or_else(|e| fail(format!("cannot be opened: {}", strip_backtrace(&e)))),
        _ => fail("expected auto, cpu, cuda, cuda:N or metal".into()),
    }
}

fn lacking(what: &str, feature: &str) -> String {
    format!(
        "this build has no {what}: build with `cargo build --release -p gan-cli --features {feature}`, or use --device cpu"
    )
}

fn automatic() -> Device {
    let cuda = cfg!(feature = "cuda").then(|| Device::new_cuda(0).ok()).flatten();
    let metal = || cfg!(feature = "metal").then(|| Device::new_metal(0).ok()).flatten();
    cuda.or_else(metal).unwrap_or(Device::Cpu)
}
