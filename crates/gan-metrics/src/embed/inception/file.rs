//! Weights from a file: safetensors, or what `torch.save` writes, now (a zip archive) or before PyTorch 1.6 (pickles in a row).

use crate::error::{Error, Result};
use candle_core::pickle::{Object, Stack, TensorInfo};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::io::{BufRead, Cursor, Read};
use std::path::Path;

/// By name, as in a state dict.
pub type Tensors = BTreeMap<String, Tensor>;

/// The pickled number that PyTorch's files began with before 1.6.
const LEGACY: [u8; 15] = *b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

/// The tensors in `bytes`, which are the file at `path`.
///
/// # Errors
/// [`Error::File`] where it is cut off or of another kind.
pub fn tensors(bytes: &[u8], path: &Path) -> Result<Tensors> {
    let found = match bytes {
        [b'P', b'K', ..] => candle_core::pickle::read_all(path).map(|all| all.into_iter().collect()),
        _ if bytes.starts_with(&LEGACY) => legacy(&bytes[LEGACY.len()..]),
        _ => candle_core::safetensors::load_buffer(bytes, &Device::Cpu).map(|all| all.into_iter().collect()),
    };
    let found: Tensors = found.map_err(|error| {
        let error = gan_core::error::bare(&error);
        let kinds = "neither a whole safetensors file nor a whole state dict by torch.save";
        Error::file(path, format!("is {kinds} ({error}): fetch it again. {}", super::Inception::how_to_get()))
    })?;
    Ok(found)
}

/// Pickles of a version and of the system, the state dict, the storages' keys; then each storage: its length, its numbers.
fn legacy(bytes: &[u8]) -> candle_core::Result<Tensors> {
    let mut reader = Cursor::new(bytes);
    let (_version, _system) = (pickle(&mut reader)?, pickle(&mut reader)?);
    let (state, keys) = (pickle(&mut reader)?, pickle(&mut reader)?);
    let Object::Dict(entries) = state else { candle_core::bail!("it holds no state dict") };
    let infos = entries.into_iter().map(|(name, value)| value.into_tensor_info(name, Path::new("")));
    let infos: Vec<TensorInfo> = infos.collect::<candle_core::Result<Vec<_>>>()?.into_iter().flatten().collect();
    let Object::List(keys) = keys else { candle_core::bail!("its storages have no names") };
    let mut tensors = Tensors::new();
    for key in keys {
        let own = format!("/{}", key.unicode()?);
        let own: Vec<&TensorInfo> = infos.iter().filter(|info| info.path == own).collect();
        let Some(first) = own.first() else { candle_core::bail!("a storage belongs to no tensor") };
        let storage = storage(&mut reader, first.dtype.size_in_bytes())?;
        for info in own {
            tensors.insert(info.name.clone(), tensor(info, storage)?);
        }
    }
    Ok(tensors)
}

fn pickle(reader: &mut impl BufRead) -> candle_core::Result<Object> {
    let mut stack = Stack::empty();
    stack.read_loop(reader)?;
    stack.finalize()
}

/// The next storage's bytes, of numbers that take `size` bytes each.
fn storage<'a>(reader: &mut Cursor<&'a [u8]>, size: usize) -> candle_core::Result<&'a [u8]> {
    let mut count = [0; 8];
    reader.read_exact(&mut count)?;
    let start = reader.position() as usize;
    let length = usize::try_from(u64::from_le_bytes(count)).ok().and_then(|count| count.checked_mul(size));
    let end = length.and_then(|length| start.checked_add(length));
    let Some(found) = end.and_then(|end| reader.get_ref().get(start..end)) else { candle_core::bail!("it is cut off") };
    reader.set_position((start + found.len()) as u64);
    Ok(found)
}

fn tensor(info: &TensorInfo, storage: &[u8]) -> candle_core::Result<Tensor> {
    let (layout, size) = (&info.layout, info.dtype.size_in_bytes());
    if !layout.is_contiguous() {
        candle_core::bail!("\"{}\" is not stored in order", info.name);
    }
    // Candle counts a pickled offset in bytes.
    let start = layout.start_offset();
    let end = layout.shape().elem_count().checked_mul(size).and_then(|length| start.checked_add(length));
    let Some(bytes) = end.and_then(|end| storage.get(start..end)) else {
        candle_core::bail!("\"{}\" is larger than what is stored", info.name)
    };
    Tensor::from_raw_buffer(bytes, info.dtype, layout.dims(), &Device::Cpu)
}
