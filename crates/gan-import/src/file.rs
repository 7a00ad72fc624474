//! Kinds of weight files, told from their first bytes, and the state dicts in them.

use crate::contents::{Contents, StateDict, contents};
use crate::error::{Error, Result};
use crate::pickle::Object;
use crate::tensor::{ElementType, ForeignTensor};
use crate::torch::{LEGACY, TorchFile};
use safetensors::{Dtype, SafeTensors};
use std::cmp::Ordering;
use std::fmt;

/// Kind of a file that was told from its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// safetensors.
    Safetensors,
    /// `torch.save` since PyTorch 1.6.
    TorchZip,
    /// `torch.save` before PyTorch 1.6.
    TorchLegacy,
    /// `torch.jit.save`.
    TorchScript,
    /// Python's own `pickle.dump`.
    Pickle,
    /// HDF5, in which Keras saves weights.
    Hdf5,
    /// Keras' own archive.
    Keras,
    /// NumPy's arrays.
    Numpy,
    /// ONNX.
    Onnx,
    /// A tar archive, as before PyTorch 0.1.10 and as TensorFlow Hub's models.
    Tar,
    /// A file of another archive.
    Zip,
    /// The pointer that Git LFS leaves instead of a file.
    GitLfs,
    /// A page of a website.
    Html,
    /// Text.
    Text,
    /// Nothing.
    Empty,
    /// Anything else, such as TensorFlow's checkpoints.
    Unknown,
}

/// Bytes at both ends of an archive in which names of files are searched.
const NAMES: usize = 1 << 18;

/// Advice for files of Keras and TensorFlow, whose layouts of kernels differ.
const KERAS: &str = "load it in Keras, set the weights of a PyTorch module of the same layers (kernels transposed: dense (1, 0), convolutions \
                     (3, 2, 0, 1)), and save that with torch.save(net.state_dict(), \"net.pth\")";

impl FileKind {
    /// Tells the kind from the bytes of a file.
    pub fn of(bytes: &[u8]) -> Self {
        // The archives of PyTorch, Keras and NumPy have these names; a whole archive is checked later.
        let ends = [&bytes[..bytes.len().min(NAMES)], &bytes[bytes.len().saturating_sub(NAMES)..]];
        let has = |name: &[u8]| ends.iter().any(|end| end.windows(name.len()).any(|part| part == name));
        match bytes {
            [] => Self::Empty,
            [b'P', b'K', 3, 4, ..] if has(b"constants.pkl") && has(b"data.pkl") => Self::TorchScript,
            [b'P', b'K', 3, 4, ..] if has(b"data.pkl") => Self::TorchZip,
            [b'P', b'K', 3, 4, ..] if has(b"model.weights.h5") => Self::Keras,
            [b'P', b'K', 3, 4, ..] if has(b".npy") => Self::Numpy,
            [b'P', b'K', 3, 4, ..] => Self::Zip,
            _ if bytes.starts_with(&LEGACY) => Self::TorchLegacy,
            [0x80, 2..=5, ..] => Self::Pickle,
            _ if bytes.starts_with(b"\x89HDF") => Self::Hdf5,
            _ if bytes.starts_with(b"\x93NUMPY") => Self::Numpy,
            // The length of a header, and then the header.
            [_, _, _, 0..=5, 0, 0, 0, 0, b'{', ..] => Self::Safetensors,
            _ if bytes.get(257..262) == Some(b"ustar") => Self::Tar,
            _ if bytes.starts_with(b"version https://git-lfs") => Self::GitLfs,
            // The field of the IR version, and the name of the producer.
            [8, 1..=20, 0x12, ..] => Self::Onnx,
            _ if bytes.trim_ascii_start().starts_with(b"<") => Self::Html,
            _ if is_text(&bytes[..bytes.len().min(256)]) => Self::Text,
            _ => Self::Unknown,
        }
    }

    /// Returns why a file of this kind holds no weights that can be imported, and what to do; `None` for kinds that are read.
    fn refusal(self) -> Option<String> {
        let advice = match self {
            Self::Safetensors | Self::TorchZip | Self::TorchLegacy | Self::TorchScript | Self::Pickle => return None,
            Self::Hdf5 | Self::Keras => KERAS,
            Self::Numpy => "save its arrays by name, with PyTorch's layouts, with safetensors.numpy.save_file",
            Self::Onnx => {
                "import the weights from which it was exported, or read its initializers with onnx.numpy_helper and save them by name with safetensors.numpy.save_file"
            }
            Self::Tar => {
                "extract it and name the weights inside; files of PyTorch before 0.1.10 are read by torch.load, then use torch.save(net.state_dict(), \"net.pth\")"
            }
            Self::Zip => "extract it and name the weights inside",
            Self::GitLfs => "the weights themselves were not downloaded: run git lfs pull",
            Self::Html => "the download gave a page instead of the weights: download the file itself",
            Self::Empty => "download it again",
            Self::Text | Self::Unknown => {
                "expected .safetensors or a file by torch.save; save a network of TensorFlow or another library by name, with PyTorch's \
                 layouts, as safetensors"
            }
        };
        Some(format!("is {self}: {advice}"))
    }
}

/// Returns whether bytes are the beginning of a text in UTF-8, which may end within a character.
fn is_text(bytes: &[u8]) -> bool {
    let is_utf8 = std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true);
    is_utf8 && !bytes.contains(&0)
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "a safetensors file",
            Self::TorchZip => "a file by torch.save",
            Self::TorchLegacy => "a file by torch.save before PyTorch 1.6",
            Self::TorchScript => "a module of TorchScript",
            Self::Pickle => "a pickle by Python's own pickle",
            Self::Hdf5 => "an HDF5 file, as Keras saves weights",
            Self::Keras => "a model of Keras",
            Self::Numpy => "an array of NumPy",
            Self::Onnx => "a model in ONNX",
            Self::Tar => "a tar archive",
            Self::Zip => "a zip archive without weights of PyTorch",
            Self::GitLfs => "a pointer of Git LFS",
            Self::Html => "a web page",
            Self::Text => "text",
            Self::Empty => "empty",
            Self::Unknown => "of an unknown kind",
        })
    }
}

/// The state dicts of a file, as views of its bytes.
#[derive(Debug)]
pub struct ForeignFile<'a> {
    /// Kind of the file.
    pub kind: FileKind,
    /// State dicts in the order of the file.
    pub state_dicts: Vec<StateDict<'a>>,
    /// Keys of the states of optimizers, which are not weights.
    pub optimizers: Vec<String>,
}

impl<'a> ForeignFile<'a> {
    /// Reads a file without its values.
    ///
    /// # Errors
    /// If it is of a kind that is not read, damaged, or holds no tensors.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let kind = FileKind::of(bytes);
        if let Some(refusal) = kind.refusal() {
            return Err(Error::File(refusal));
        }
        let damaged =
            |problem: String| Error::File(format!("is {kind}, but is damaged or cut off ({problem}): copy it again"));
        if kind == FileKind::Safetensors {
            let tensors = safetensors(bytes).map_err(damaged)?;
            return Self { kind, state_dicts: vec![tensors], optimizers: vec![] }.not_empty("");
        }
        let file = match kind {
            FileKind::TorchLegacy => TorchFile::of_legacy(bytes),
            FileKind::Pickle => TorchFile::of_pickle(bytes),
            _ => TorchFile::of_archive(bytes),
        };
        let file = file.map_err(damaged)?;
        let Contents { dicts, optimizers, is_script } = contents(&file, bytes.len()).map_err(damaged)?;
        let kind = if is_script { FileKind::TorchScript } else { kind };
        Self { kind, state_dicts: dicts, optimizers }.not_empty(&advice(&file))
    }

    fn not_empty(self, advice: &str) -> Result<Self> {
        if self.state_dicts.iter().any(|dict| !dict.tensors.is_empty()) {
            return Ok(self);
        }
        let holds = match self.optimizers.is_empty() {
            true => format!("no state dict{advice}"),
            false => "the state of an optimizer, but no weights".into(),
        };
        let kind = self.kind;
        Err(Error::File(format!(
            "is {kind} with {holds}: save the weights with torch.save(net.state_dict(), \"net.pth\")"
        )))
    }
}

/// Returns what a pickle without a state dict holds instead.
fn advice(file: &TorchFile) -> String {
    if (0..file.pickle.objects().len()).any(|id| file.is_tensor(id)) {
        return ", only tensors without names".into();
    }
    let module = file.pickle.objects().iter().find_map(|object| match object {
        Object::Global(module, name) if !matches!(*module, "builtins" | "__builtin__" | "copyreg" | "copy_reg") => {
            Some(format!("{module}.{name}"))
        }
        _ => None,
    });
    match module {
        Some(class) if class.starts_with("numpy") => ", only arrays of NumPy".into(),
        Some(class) => format!(" (its first class is {})", class.chars().take(80).collect::<String>()),
        None => String::new(),
    }
}

/// Reads the tensors of a safetensors file, sorted by their names, because the file does not keep an order.
fn safetensors(bytes: &[u8]) -> Result<StateDict<'_>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut tensors = vec![];
    for (name, view) in file.iter() {
        let element = match view.dtype() {
            Dtype::F16 => ElementType::F16,
            Dtype::BF16 => ElementType::Bf16,
            Dtype::F32 => ElementType::F32,
            Dtype::F64 => ElementType::F64,
            Dtype::U8 => ElementType::U8,
            Dtype::I8 => ElementType::I8,
            Dtype::I16 => ElementType::I16,
            Dtype::I32 => ElementType::I32,
            Dtype::I64 => ElementType::I64,
            Dtype::BOOL => ElementType::Bool,
            other => return Err(format!("\"{name}\" holds numbers of the type {other:?}")),
        };
        let tensor = ForeignTensor::whole(name.into(), element, view.shape(), view.data());
        tensors.push(tensor.ok_or_else(|| format!("\"{name}\" has {} axes", view.shape().len()))?);
    }
    tensors.sort_by(|a, b| natural(&a.name, &b.name));
    Ok(StateDict { key: String::new(), class: None, tensors })
}

/// Compares names so that `main.9` comes before `main.10`.
fn natural(a: &str, b: &str) -> Ordering {
    let key = |name: &str| -> Vec<(Option<u64>, String)> {
        let parts = name.split_inclusive(|c: char| !c.is_ascii_digit());
        parts
            .map(|part| {
                let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
                (digits.parse().ok(), part[digits.len()..].to_string())
            })
            .collect()
    };
    key(a).cmp(&key(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_sorted_as_numbers() {
        let mut names = ["main.10.bias", "main.9.weight", "fc2.bias", "fc10.bias", "main.9.bias", "fc2.w"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["fc2.bias", "fc2.w", "fc10.bias", "main.9.bias", "main.9.weight", "main.10.bias"]);
    }

    #[test]
    fn files_of_other_kinds_are_named_with_advice() {
        let mut tar = vec![0; 300];
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, words) in [
            (&b""[..], ["is empty", "again"]),
            (b"\x89HDF\r\n\x1a\n", ["HDF5", "kernels transposed"]),
            (b"\x93NUMPY\x01", ["NumPy", "safetensors"]),
            (b"\x08\x06\x12\x07pytorch", ["ONNX", "initializers"]),
            (b"version https://git-lfs.github.com/spec/v1", ["Git LFS", "git lfs pull"]),
            (b"\n<!DOCTYPE html>", ["web page", "download"]),
            (b"[generator]\n", ["is text", "torch.save"]),
            (b"\xff\xfe\x00\x01", ["unknown kind", "torch.save"]),
            (b"PK\x03\x04 model.weights.h5", ["Keras", "transposed"]),
            (b"PK\x03\x04 other", ["zip archive", "extract"]),
            (&tar, ["tar archive", "extract"]),
            (b"\x80\x04N.", ["pickle", "no state dict"]),
            (b"\x80\x04cnumpy.core.multiarray\n_reconstruct\n.", ["arrays of NumPy", "state_dict"]),
            (b"\x80\x02}X\x0c\x00\x00\x00param_groupsNs.", ["optimizer", "state_dict"]),
            (b"\x80\x04", ["pickle", "cut off"]),
        ] {
            let message = ForeignFile::read(bytes).unwrap_err().to_string();
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
    }
}
