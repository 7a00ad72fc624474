//! The device of a run.
//!
//! On NVIDIA GPUs, networks from layer lists run in `gan-cuda`, whose trainer keeps everything on the GPU ([`Trainer::move_to`]); candle's devices
//! (features `cuda` and `metal`) run any network, operation by operation.

use crate::Trainer;
use crate::error::{Error, Result};
use crate::resident::on_device;
use candle_core::Device;
use gan_core::{Generator, LayeredGenerator, strip_backtrace};
use gan_cuda::{Cuda, Products, probe};
use gan_kernels::Precision;

/// A device by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Auto,
    Cpu,
    /// The GPU with this number.
    Cuda(usize),
    Metal,
}

impl Name {
    fn read(name: &str) -> Result<Self> {
        match name.split_once(':') {
            None if name == "auto" => Ok(Self::Auto),
            None if name == "cpu" => Ok(Self::Cpu),
            None if name == "cuda" => Ok(Self::Cuda(0)),
            None if name == "metal" => Ok(Self::Metal),
            Some(("cuda", number)) if let Ok(number) = number.parse() => Ok(Self::Cuda(number)),
            _ => fail(name, "expected auto, cpu, cuda, cuda:N or metal".into()),
        }
    }
}

fn fail<T>(name: &str, problem: String) -> Result<T> {
    Err(Error::config(format!("--device {name}"), problem))
}

/// Whether candle's operations run on NVIDIA GPUs in this build.
const HAS_CANDLE_CUDA: bool = cfg!(feature = "cuda");

/// Opens the device called `name`: `auto`, `cpu`, `cuda`, `cuda:1`, `metal`. It is the CPU if a GPU is only used by [`place`].
///
/// # Errors
/// If the name is none of these, or if this build (the message names the missing feature) or the machine lacks the device.
pub fn open(name: &str) -> Result<Device> {
    match Name::read(name)? {
        Name::Cpu => Ok(Device::Cpu),
        Name::Auto => Ok(automatic()),
        Name::Cuda(number) if HAS_CANDLE_CUDA => Device::new_cuda(number).or_else(|e| {
            fail(
                name,
                format!("cannot be opened (nvidia-smi -L lists the GPUs that there are): {}", strip_backtrace(&e)),
            )
        }),
        Name::Cuda(_) => match probe() {
            Ok(_) => Ok(Device::Cpu),
            Err(missing) => {
                fail(name, format!("{missing}. `gan devices` lists what was found; --device cpu needs none of it"))
            }
        },
        Name::Metal if !cfg!(feature = "metal") => {
            let built = "cargo build --release -p gan-cli --features metal";
            fail(name, format!("this build has no Metal: build with `{built}`, or use --device cpu"))
        }
        Name::Metal => {
            Device::new_metal(0).or_else(|e| fail(name, format!("cannot be opened: {}", strip_backtrace(&e))))
        }
    }
}

fn automatic() -> Device {
    let cuda = HAS_CANDLE_CUDA.then(|| Device::new_cuda(0).ok()).flatten();
    let metal = || cfg!(feature = "metal").then(|| Device::new_metal(0).ok()).flatten();
    cuda.or_else(metal).unwrap_or(Device::Cpu)
}

/// Returns whether there is a GPU that whole passes can run on.
pub fn has_gpu() -> bool {
    probe().is_ok()
}

/// Moves a trainer to the GPU that `name` asks for, where it trains from then on, and returns what was chosen, for people. With `auto` it stays
/// on the CPU if there is no GPU, if the GPU would be slower, or if the run needs what only the CPU can do.
///
/// # Errors
/// If a GPU is asked for and cannot be used.
pub fn place(trainer: &mut Trainer, name: &str) -> Result<Option<String>> {
    let name_of = Name::read(name)?;
    if !trainer.device().is_cpu() || HAS_CANDLE_CUDA {
        return Ok(None);
    }
    let config = trainer.plan().config();
    let products = match config.train.precision {
        Precision::F32 => Products::Tf32,
        Precision::F32Accurate => Products::F32,
        Precision::Bf16 => Products::Bf16,
    };
    let has_images = config.data.size.is_some();
    match name_of {
        Name::Cpu | Name::Metal => Ok(None),
        Name::Cuda(number) => {
            let cuda = open_cuda(number, products).or_else(|problem| fail(name, problem))?;
            trainer.move_to(&cuda)?;
            Ok(Some(format!("trains on {}", cuda.name())))
        }
        Name::Auto if probe().is_err() => Ok(None),
        Name::Auto if !has_images => {
            Ok(Some("trains on the CPU, where networks for points are faster than on a GPU".into()))
        }
        Name::Auto => Ok(Some(match open_cuda(0, products) {
            Err(problem) => format!("trains on the CPU: the GPU cannot be opened ({problem})"),
            Ok(cuda) => match trainer.move_to(&cuda) {
                Ok(()) => format!("trains on {}", cuda.name()),
                Err(error) => format!("trains on the CPU: {error}"),
            },
        })),
    }
}

fn open_cuda(number: usize, products: Products) -> Result<Cuda, String> {
    Cuda::open(number, products).map_err(|e| strip_backtrace(&e).to_string())
}

/// Returns `generator` for inference: on the GPU, to which its weights are sent now, if `name` is that of one. A few samples are made faster on
/// the CPU than a GPU is opened, so `auto` stays there.
///
/// # Errors
/// If the GPU cannot be used, or lacks one of the generator's layers.
pub fn sampler(generator: LayeredGenerator, name: &str) -> Result<Box<dyn Generator>> {
    match Name::read(name)? {
        Name::Cuda(number) if !HAS_CANDLE_CUDA => {
            let cuda = open_cuda(number, Products::Tf32).or_else(|problem| fail(name, problem))?;
            on_device(&cuda, generator)
        }
        _ => Ok(Box::new(generator)),
    }
}

/// A device, as `gan devices` lists it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Name for `--device`.
    pub name: String,
    /// What it is, or what is missing and what to do.
    pub description: String,
    /// Whether it can be used.
    pub is_usable: bool,
}

/// Returns every kind of device, with what was found and what is missing.
pub fn list() -> Vec<Listed> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = gan_base::messages::counted(threads, "thread");
    let cpu = format!("{cores}, {} kernels", gan_kernels::Level::current().name());
    let mut all = vec![Listed { name: "cpu".into(), description: cpu, is_usable: true }];
    match probe() {
        Err(missing) => {
            all.push(Listed { name: "cuda".into(), description: missing.to_string(), is_usable: false });
        }
        Ok(found) => {
            let count = gan_cuda::count();
            if count == 0 {
                let description = "the driver is there, but it lists no GPU".into();
                all.push(Listed { name: "cuda".into(), description, is_usable: false });
            }
            for number in 0..count {
                let (description, is_usable) = match Cuda::open(number, Products::Tf32) {
                    Ok(cuda) => (gan_cuda::describe(&found, &cuda), true),
                    Err(e) => (strip_backtrace(&e).to_string(), false),
                };
                all.push(Listed { name: format!("cuda:{number}"), description, is_usable });
            }
        }
    }
    let metal = match cfg!(feature = "metal") {
        true => "in this build, through candle's operations".into(),
        false => "not in this build: build with `cargo build --release -p gan-cli --features metal` on a Mac".into(),
    };
    all.push(Listed { name: "metal".into(), description: metal, is_usable: cfg!(feature = "metal") });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_others_refused() {
        assert_eq!(Name::read("cuda:3").unwrap(), Name::Cuda(3));
        assert_eq!(Name::read("auto").unwrap(), Name::Auto);
        for wrong in ["gpu", "cuda:x", "cuda:", "metal:1", "cpu:0", ""] {
            let message = Name::read(wrong).unwrap_err().to_string();
            assert!(message.contains("expected auto, cpu, cuda, cuda:N or metal"), "{wrong}: {message}");
        }
    }

    #[test]
    fn every_kind_of_device_is_listed() {
        let all = list();
        assert!(all[0].name == "cpu" && all[0].is_usable);
        assert!(all.iter().any(|device| device.name.starts_with("cuda")));
        assert!(all.iter().all(|device| !device.description.is_empty()));
    }
}
