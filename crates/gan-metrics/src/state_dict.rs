//! State dicts of PyTorch from a file: safetensors, or what `torch.save` writes, now (a zip archive) or before PyTorch 1.6 (several pickles).

use crate::archive;
use candle_core::{DType, Device, Tensor};
use pickle::{Id, Object, Pickle};
use std::collections::BTreeMap;

mod pickle;

/// The pickled number at the start of PyTorch's files before 1.6.
const LEGACY: [u8; 15] = *b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

/// Tensors may share their numbers, but all of them together may only be this many times larger than the file.
const SHARED: usize = 8;

/// Tensors by name.
type Tensors = BTreeMap<String, Tensor>;

/// Reads the tensors in the bytes of a file, by name. Tensors of integer types that candle lacks are skipped.
///
/// # Errors
/// The problem in words, if the file is cut off or of another kind.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, String> {
    match bytes {
        [b'P', b'K', ..] => read_archive(bytes),
        _ if bytes.starts_with(&LEGACY) => read_legacy(bytes),
        _ => candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
            .map(|all| all.into_iter().collect())
            .map_err(|error| gan_core::strip_backtrace(&error).to_string()),
    }
}

/// `NAME/data.pkl` describes the tensors, `NAME/data/KEY` are the storages.
fn read_archive(bytes: &[u8]) -> Result<Tensors, String> {
    let files = archive::files(bytes)?;
    let (folder, mut pickle) = files
        .iter()
        .find_map(|(name, content)| Some((name.strip_suffix("data.pkl")?, *content)))
        .ok_or("it holds no state dict")?;
    let pickle = Pickle::read(&mut pickle)?;
    let storage = |key: &str| files.get(&format!("{folder}data/{key}")).copied();
    tensors(&TensorInfo::all(&pickle)?, SHARED * bytes.len(), storage)
}

/// The pickles are a version, the system, the state dict and the storages' keys; then each storage follows: its length and its numbers.
fn read_legacy(bytes: &[u8]) -> Result<Tensors, String> {
    let mut rest = &bytes[LEGACY.len()..];
    let _version = Pickle::read(&mut rest)?;
    let _system = Pickle::read(&mut rest)?;
    let state = Pickle::read(&mut rest)?;
    let keys = Pickle::read(&mut rest)?;
    let infos = TensorInfo::all(&state)?;
    let sizes: BTreeMap<&str, usize> = infos.iter().map(|info| (info.key, info.size)).collect();
    let Object::List(ids) = keys.root() else { return Err("its storages have no names".into()) };
    let mut storages = BTreeMap::new();
    for id in ids {
        let key = keys.text(*id).ok_or("its storages have no names")?;
        let size = sizes.get(key).ok_or("a storage belongs to no tensor")?;
        storages.insert(key, next_storage(&mut rest, *size).ok_or("it is cut off")?);
    }
    tensors(&infos, SHARED * bytes.len(), |key| storages.get(key).copied())
}

/// Reads the bytes of the next storage, whose numbers have `size` bytes each.
fn next_storage<'a>(rest: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (count, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*count)).ok()?.checked_mul(size)?;
    let (found, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(found)
}

/// Returns the tensors, which may take at most `most` bytes together.
fn tensors<'a>(
    infos: &[TensorInfo<'_>],
    most: usize,
    storage: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<Tensors, String> {
    let mut taken = 0usize;
    let mut tensors = BTreeMap::new();
    for info in infos {
        let Some(dtype) = info.dtype else { continue };
        let storage = storage(info.key).ok_or_else(|| format!("the storage \"{}\" is missing", info.key))?;
        let outside = || format!("\"{}\" is larger than what is stored", info.name);
        let length = info.shape.iter().try_fold(info.size, |all, side| all.checked_mul(*side)).ok_or_else(outside)?;
        taken = taken.saturating_add(length);
        if taken > most {
            return Err("its tensors are larger than the file".into());
        }
        let bytes = info.bytes(storage, length).ok_or_else(outside)?;
        let tensor = Tensor::from_raw_buffer(&bytes, dtype, &info.shape, &Device::Cpu);
        tensors.insert(info.name.into(), tensor.map_err(|error| gan_core::strip_backtrace(&error).to_string())?);
    }
    Ok(tensors)
}

/// Location of a tensor in a storage.
#[derive(Debug)]
struct TensorInfo<'a> {
    name: &'a str,
    /// Bytes of a number.
    size: usize,
    /// `None` if candle lacks the type.
    dtype: Option<DType>,
    /// Key of the storage.
    key: &'a str,
    /// Index of the first number.
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl<'a> TensorInfo<'a> {
    /// Returns the tensors among the entries of a state dict, which may contain other things too.
    fn all(pickle: &Pickle<'a>) -> Result<Vec<Self>, String> {
        let Object::Dict(entries) = pickle.root() else { return Err("it holds no state dict".into()) };
        let named = entries.iter().filter_map(|(name, value)| Some((pickle.text(*name)?, rebuilt(pickle, *value)?)));
        let read = |(name, arguments): (&'a str, &[Id])| {
            Self::read(pickle, name, arguments).ok_or_else(|| format!("\"{name}\" is described wrongly"))
        };
        named.map(read).collect()
    }

    /// Reads `_rebuild_tensor_v2(storage, offset, size, stride, …)`, where a storage is `("storage", class, key, place, length)`.
    fn read(pickle: &Pickle<'a>, name: &'a str, arguments: &[Id]) -> Option<Self> {
        let [storage, offset, shape, strides, ..] = arguments else { return None };
        let Object::Outside(storage) = pickle.at(*storage) else { return None };
        let [_, class, key, ..] = pickle.list(*storage)? else { return None };
        let Object::Global(_, class) = pickle.at(*class) else { return None };
        let (size, dtype) = match *class {
            "FloatStorage" => (4, Some(DType::F32)),
            "DoubleStorage" => (8, Some(DType::F64)),
            "HalfStorage" => (2, Some(DType::F16)),
            "BFloat16Storage" => (2, Some(DType::BF16)),
            "ByteStorage" => (1, Some(DType::U8)),
            "LongStorage" => (8, Some(DType::I64)),
            "CharStorage" | "BoolStorage" => (1, None),
            "ShortStorage" => (2, None),
            "IntStorage" => (4, None),
            _ => return None,
        };
        let sizes = |id: Id| pickle.list(id)?.iter().map(|n| pickle.size(*n)).collect::<Option<Vec<usize>>>();
        let shape = sizes(*shape)?;
        let strides = sizes(*strides)?;
        let (key, offset) = (pickle.text(*key)?, pickle.size(*offset)?);
        (shape.len() == strides.len()).then_some(Self { name, size, dtype, key, offset, shape, strides })
    }

    /// Returns the `length` bytes of the numbers.
    fn bytes(&self, storage: &[u8], length: usize) -> Option<Vec<u8>> {
        // No two numbers of a tensor that can be trained share a place.
        if length > storage.len() {
            return None;
        }
        if self.is_contiguous() {
            let start = self.offset.checked_mul(self.size)?;
            return Some(storage.get(start..start.checked_add(length)?)?.to_vec());
        }
        let mut bytes = Vec::with_capacity(length);
        for place in self.places()? {
            let start = place.checked_mul(self.size)?;
            bytes.extend_from_slice(storage.get(start..start.checked_add(self.size)?)?);
        }
        Some(bytes)
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1usize;
        self.shape.iter().zip(&self.strides).rev().all(|(side, stride)| {
            let fits = *side == 1 || *stride == expected;
            expected = expected.saturating_mul(*side);
            fits
        })
    }

    /// Returns the index of each number; the last axis varies fastest.
    fn places(&self) -> Option<Vec<usize>> {
        if self.shape.contains(&0) {
            return Some(vec![]);
        }
        let mut places = vec![self.offset];
        for (side, stride) in self.shape.iter().zip(&self.strides) {
            let steps = (0..*side).map(|step| step.checked_mul(*stride)).collect::<Option<Vec<usize>>>()?;
            let along = places.iter().flat_map(|place| steps.iter().map(|step| place.checked_add(*step)));
            places = along.collect::<Option<_>>()?;
        }
        Some(places)
    }
}

/// Returns the arguments from which a tensor is rebuilt, if the object is a tensor, perhaps wrapped as a parameter.
fn rebuilt<'p>(pickle: &'p Pickle<'_>, value: Id) -> Option<&'p [Id]> {
    let Object::Call(function, arguments) = pickle.at(value) else { return None };
    let arguments = pickle.list(*arguments)?;
    let (function, arguments) = match (pickle.at(*function), arguments) {
        (Object::Global("torch._tensor", "_rebuild_from_type_v2"), [function, _, arguments, ..]) => {
            (*function, pickle.list(*arguments)?)
        }
        (Object::Global("torch._utils", "_rebuild_parameter"), [tensor, ..]) => match pickle.at(*tensor) {
            Object::Call(function, arguments) => (*function, pickle.list(*arguments)?),
            _ => return None,
        },
        _ => (*function, arguments),
    };
    (*pickle.at(function) == Object::Global("torch._utils", "_rebuild_tensor_v2")).then_some(arguments)
}
