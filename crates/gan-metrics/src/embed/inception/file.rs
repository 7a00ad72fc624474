//! Weights from a file: safetensors, or what `torch.save` writes, now (a zip archive) or before PyTorch 1.6 (pickles in a row).

use super::pickle::{Id, Object, Pickle};
use crate::error::{Error, Result};
use crate::zip;
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// By name, as in a state dict.
pub type Tensors = BTreeMap<String, Tensor>;

/// The pickled number that PyTorch's files began with before 1.6.
const LEGACY: [u8; 15] = *b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

/// Tensors may share their numbers, but all together take at most as many times the file's bytes.
const SHARED: usize = 8;

/// Returns the tensors in `bytes`, which are the file at `path`: safetensors, or a state dict by `torch.save`.
///
/// # Errors
/// [`Error::File`] where it is cut off or of another kind.
pub fn tensors(bytes: &[u8], path: &Path) -> Result<Tensors> {
    let found = match bytes {
        [b'P', b'K', ..] => archive(bytes),
        _ if bytes.starts_with(&LEGACY) => legacy(bytes),
        _ => candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
            .map(|all| all.into_iter().collect())
            .map_err(|error| gan_core::strip_backtrace(&error).to_string()),
    };
    found.map_err(|problem| {
        let kinds = "neither a whole safetensors file nor a whole state dict by torch.save";
        Error::file(path, format!("is {kinds} ({problem}): fetch it again. {}", super::Inception::how_to_get()))
    })
}

/// `NAME/data.pkl` describes the tensors, `NAME/data/KEY` are the storages.
fn archive(bytes: &[u8]) -> std::result::Result<Tensors, String> {
    let files = zip::files(bytes)?;
    let (name, mut pickle) = files
        .iter()
        .find_map(|(name, content)| Some((name.strip_suffix("data.pkl")?, *content)))
        .ok_or("it holds no state dict")?;
    let mut tensors = Collected { most: SHARED * bytes.len(), ..Collected::default() };
    for info in Info::all(&Pickle::read(&mut pickle)?)? {
        let key = format!("{name}data/{}", info.key);
        tensors.add(&info, files.get(key.as_str()).ok_or_else(|| format!("\"{key}\" is missing"))?)?;
    }
    Ok(tensors.all)
}

/// Pickles of a version and of the system, the state dict, the storages' keys; then each storage: its length, its numbers.
fn legacy(bytes: &[u8]) -> std::result::Result<Tensors, String> {
    let mut rest = &bytes[LEGACY.len()..];
    let _version = Pickle::read(&mut rest)?;
    let _system = Pickle::read(&mut rest)?;
    let state = Pickle::read(&mut rest)?;
    let keys = Pickle::read(&mut rest)?;
    let infos = Info::all(&state)?;
    let Object::List(names) = keys.root() else { return Err("its storages have no names".into()) };
    let mut by_key: BTreeMap<&str, Vec<&Info>> = BTreeMap::new();
    infos.iter().for_each(|info| by_key.entry(info.key).or_default().push(info));
    let mut tensors = Collected { most: SHARED * bytes.len(), ..Collected::default() };
    for name in names {
        let own = keys.text(*name).and_then(|key| by_key.remove(key)).ok_or("a storage belongs to no tensor")?;
        let storage = storage(&mut rest, own[0].kind.size).ok_or("it is cut off")?;
        own.into_iter().try_for_each(|info| tensors.add(info, storage))?;
    }
    Ok(tensors.all)
}

/// The next storage's bytes, of numbers that take `size` bytes each.
fn storage<'a>(rest: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (count, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*count)).ok()?.checked_mul(size)?;
    let (found, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(found)
}

/// A storage's number type: bytes of a number, and candle's type where it has one.
#[derive(Clone, Copy, Debug)]
struct Kind {
    size: usize,
    dtype: Option<DType>,
}

impl Kind {
    fn of(class: &str) -> Option<Self> {
        let (size, dtype) = match class {
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
        Some(Self { size, dtype })
    }
}

/// How a tensor lies in a storage.
#[derive(Debug)]
struct Info<'a> {
    name: &'a str,
    kind: Kind,
    /// Which storage.
    key: &'a str,
    /// The first number's place.
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl<'a> Info<'a> {
    /// The tensors among the entries of a state dict; it may hold other things too.
    fn all(pickle: &Pickle<'a>) -> std::result::Result<Vec<Self>, String> {
        let Object::Dict(entries) = pickle.root() else { return Err("it holds no state dict".into()) };
        let named = entries.iter().filter_map(|(name, value)| Some((pickle.text(*name)?, rebuilt(pickle, *value)?)));
        let read = |(name, arguments): (&'a str, &[Id])| {
            Self::read(pickle, name, arguments).ok_or_else(|| format!("\"{name}\" is described wrongly"))
        };
        named.map(read).collect()
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, …)`, where a storage is named by `("storage", class, key, place, length)`.
    fn read(pickle: &Pickle<'a>, name: &'a str, arguments: &[Id]) -> Option<Self> {
        let [storage, offset, shape, strides, ..] = arguments else { return None };
        let Object::Outside(storage) = pickle.at(*storage) else { return None };
        let [_, class, key, ..] = pickle.list(*storage)? else { return None };
        let Object::Global(_, class) = pickle.at(*class) else { return None };
        let sizes = |id: Id| pickle.list(id)?.iter().map(|n| pickle.size(*n)).collect::<Option<Vec<usize>>>();
        let info = Self {
            name,
            kind: Kind::of(class)?,
            key: pickle.text(*key)?,
            offset: pickle.size(*offset)?,
            shape: sizes(*shape)?,
            strides: sizes(*strides)?,
        };
        (info.shape.len() == info.strides.len()).then_some(info)
    }

    /// The numbers' places, counted in numbers; the last axis varies fastest. `None` where one has no place within `length`.
    fn places(&self, length: usize) -> Option<Vec<usize>> {
        if self.shape.contains(&0) {
            return Some(vec![]);
        }
        let mut places = vec![self.offset];
        for (side, stride) in self.shape.iter().zip(&self.strides) {
            let steps = (0..*side).map(|step| step.checked_mul(*stride)).collect::<Option<Vec<usize>>>()?;
            let along = places.iter().flat_map(|place| steps.iter().map(|step| place.checked_add(*step)));
            places = along.collect::<Option<_>>()?;
        }
        places.iter().all(|place| *place < length).then_some(places)
    }

    /// Whether the numbers stand in a row.
    fn is_contiguous(&self) -> bool {
        let mut wanted = 1usize;
        self.shape.iter().zip(&self.strides).rev().all(|(side, stride)| {
            let fits = *side == 1 || *stride == wanted;
            wanted = wanted.saturating_mul(*side);
            fits
        })
    }

    /// The numbers' bytes, of which there are `count`.
    fn bytes(&self, storage: &[u8], count: usize) -> Option<Vec<u8>> {
        let size = self.kind.size;
        // No number stands in two places of a tensor that a network can be trained with.
        if count > storage.len() {
            return None;
        }
        if self.is_contiguous() {
            let start = self.offset.checked_mul(size)?;
            return Some(storage.get(start..start.checked_add(count)?)?.to_vec());
        }
        let places = self.places(storage.len() / size)?;
        Some(places.iter().flat_map(|place| &storage[place * size..][..size]).copied().collect())
    }
}

/// The arguments that a tensor is rebuilt from, if the object is one, perhaps wrapped as a parameter.
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

/// Tensors so far, and how many bytes they may take in all.
#[derive(Default)]
struct Collected {
    all: Tensors,
    taken: usize,
    most: usize,
}

impl Collected {
    /// Adds a tensor, unless its numbers are of a type that no network here has.
    fn add(&mut self, info: &Info<'_>, storage: &[u8]) -> std::result::Result<(), String> {
        let Some(dtype) = info.kind.dtype else { return Ok(()) };
        let outside = || format!("\"{}\" is larger than what is stored", info.name);
        let count = info.shape.iter().try_fold(info.kind.size, |all, side| all.checked_mul(*side));
        let count = count.ok_or_else(outside)?;
        self.taken = self.taken.saturating_add(count);
        if self.taken > self.most {
            return Err("its tensors are larger than the file".into());
        }
        let bytes = info.bytes(storage, count).ok_or_else(outside)?;
        let tensor = Tensor::from_raw_buffer(&bytes, dtype, &info.shape, &Device::Cpu);
        self.all.insert(info.name.into(), tensor.map_err(|error| gan_core::strip_backtrace(&error).to_string())?);
        Ok(())
    }
}
