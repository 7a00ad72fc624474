//! Files by `torch.save`: a zip archive, or several pickles before PyTorch 1.6. Both hold one pickle of everything and the storages of its tensors.

use crate::archive;
use crate::pickle::{Id, Object, Pickle};
use crate::tensor::{ElementType, ForeignTensor, MOST_AXES};
use std::collections::HashMap;

/// The pickled number at the start of PyTorch's files before 1.6.
pub(crate) const LEGACY: [u8; 15] = *b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

/// A pickle with the storages to which it refers.
#[derive(Debug)]
pub(crate) struct TorchFile<'a> {
    pub pickle: Pickle<'a>,
    storages: HashMap<Id, Storage<'a>>,
}

/// The numbers of one or more tensors.
#[derive(Clone, Copy, Debug)]
struct Storage<'a> {
    element: ElementType,
    bytes: &'a [u8],
}

impl<'a> TorchFile<'a> {
    /// Reads an archive: `NAME/data.pkl` is the pickle, `NAME/data/KEY` are the storages.
    ///
    /// # Errors
    /// If the archive is damaged, or the pickle or a storage is missing.
    pub fn of_archive(bytes: &'a [u8]) -> Result<Self, String> {
        // The code of TorchScript is compressed.
        let is_needed =
            |name: &str| name.contains("/data/") || name.ends_with("data.pkl") || name.ends_with("byteorder");
        let files = archive::files_of(bytes, is_needed)?;
        let main = files.iter().find_map(|(name, content)| Some((name.strip_suffix("data.pkl")?, *content)));
        let (folder, mut pickle) = main.ok_or("it holds no data.pkl")?;
        let order = files.get(&format!("{folder}byteorder"));
        if order.is_some_and(|order| *order != b"little") {
            return Err(
                "its numbers are in big-endian order: save it again on a machine with little-endian order".into()
            );
        }
        let pickle = Pickle::read(&mut pickle)?;
        let mut storages = HashMap::new();
        for (id, storage) in references(&pickle) {
            let key = storage.key;
            let bytes =
                files.get(&format!("{folder}data/{key}")).ok_or_else(|| format!("the storage \"{key}\" is missing"))?;
            storages.insert(id, Storage { element: storage.element, bytes });
        }
        Ok(Self { pickle, storages })
    }

    /// Reads the pickles of a file before PyTorch 1.6: a version, the system, the object and the storages' keys; then each storage follows: its length
    /// and its numbers.
    ///
    /// # Errors
    /// If it is damaged or cut off.
    pub fn of_legacy(bytes: &'a [u8]) -> Result<Self, String> {
        let mut rest = &bytes[LEGACY.len()..];
        let _version = Pickle::read(&mut rest)?;
        let _system = Pickle::read(&mut rest)?;
        let pickle = Pickle::read(&mut rest)?;
        let keys = Pickle::read(&mut rest)?;
        let references = references(&pickle);
        let elements: HashMap<&str, ElementType> =
            references.iter().map(|(_, storage)| (storage.key, storage.element)).collect();
        let ids = keys.list(keys.root()).ok_or("its storages have no names")?;
        let mut found = HashMap::new();
        for id in ids {
            let key = keys.text(*id).ok_or("its storages have no names")?;
            let element = elements.get(key).ok_or("a storage belongs to no tensor")?;
            found.insert(key, next_storage(&mut rest, *element).ok_or("it is cut off")?);
        }
        let mut storages = HashMap::new();
        for (id, Reference { key, element, part }) in references {
            let bytes = found.get(key).copied().ok_or_else(|| format!("the storage \"{key}\" is missing"))?;
            let outside = || format!("the storage \"{key}\" is shorter than its view");
            let bytes = part.map_or(Some(bytes), |part| part.of(bytes, element)).ok_or_else(outside)?;
            storages.insert(id, Storage { element, bytes });
        }
        Ok(Self { pickle, storages })
    }

    /// Reads a pickle by Python's own `pickle`, where each storage is a file of its own inside.
    ///
    /// # Errors
    /// If it is damaged or cut off.
    pub fn of_pickle(mut bytes: &'a [u8]) -> Result<Self, String> {
        let pickle = Pickle::read(&mut bytes)?;
        let mut inside: HashMap<Id, Option<Storage>> = HashMap::new();
        let mut storages = HashMap::new();
        for (id, object) in pickle.objects().iter().enumerate() {
            let Object::Call(function, arguments, _) = object else { continue };
            let is_storage = matches!(pickle.at(*function), Object::Global("torch.storage", "_load_from_bytes"));
            let Some([argument]) = pickle.list(*arguments).filter(|_| is_storage) else { continue };
            let Object::Bytes(file) = pickle.at(*argument) else { continue };
            let storage = inside.entry(*argument).or_insert_with(|| Self::only_storage(file));
            storages.insert(id, storage.ok_or("a storage inside it is damaged")?);
        }
        Ok(Self { pickle, storages })
    }

    /// Returns the storage that a whole file consists of.
    fn only_storage(bytes: &'a [u8]) -> Option<Storage<'a>> {
        let file = match bytes.starts_with(&LEGACY) {
            true => Self::of_legacy(bytes),
            false => Self::of_archive(bytes),
        };
        let file = file.ok()?;
        file.storages.get(&file.pickle.root()).copied()
    }

    /// Returns the tensor that an object is, perhaps wrapped as a parameter, with a name. `None` if it is something else.
    ///
    /// # Errors
    /// If it is described wrongly.
    pub fn tensor(&self, value: Id, name: impl FnOnce() -> String) -> Option<Result<ForeignTensor<'a>, String>> {
        let arguments = rebuilt(&self.pickle, value)?;
        let name = name();
        let problem = format!("the tensor \"{name}\" lies outside of its storage, or repeats its numbers");
        Some(self.read(arguments, name).ok_or(problem))
    }

    /// Returns whether an object is a tensor.
    pub fn is_tensor(&self, value: Id) -> bool {
        rebuilt(&self.pickle, value).is_some()
    }

    /// Reads `_rebuild_tensor_v2(storage, offset, size, stride, …)`.
    fn read(&self, arguments: &[Id], name: String) -> Option<ForeignTensor<'a>> {
        let [storage, offset, shape, strides, ..] = arguments else { return None };
        let Storage { element, bytes } = *self.storages.get(storage)?;
        let sizes = |id: Id| {
            let list = self.pickle.list(id)?;
            let is_short = list.len() <= MOST_AXES;
            list.iter()
                .filter(|_| is_short)
                .map(|n| self.pickle.size(*n))
                .collect::<Option<Vec<usize>>>()
                .filter(|_| is_short)
        };
        let shape = sizes(*shape)?;
        let strides = sizes(*strides)?;
        ForeignTensor::new(name, element, shape, bytes, self.pickle.size(*offset)?, strides)
    }
}

/// A storage as a pickle refers to it.
#[derive(Clone, Copy)]
struct Reference<'a> {
    key: &'a str,
    element: ElementType,
    /// Part of the storage of that key, if it is a view of it.
    part: Option<Part>,
}

/// Part of a storage, in numbers.
#[derive(Clone, Copy)]
struct Part {
    offset: usize,
    count: usize,
}

impl Part {
    fn of(self, bytes: &[u8], element: ElementType) -> Option<&[u8]> {
        let start = self.offset.checked_mul(element.size())?;
        bytes.get(start..start.checked_add(self.count.checked_mul(element.size())?)?)
    }
}

/// Returns the storages to which a pickle refers: `("storage", class, key, device, count)`, before PyTorch 1.6 with `(key, offset, count)` of a view
/// or None.
fn references<'a>(pickle: &Pickle<'a>) -> Vec<(Id, Reference<'a>)> {
    let read = |storage: &Object<'a>| {
        let Object::Outside(storage) = storage else { return None };
        let [kind, class, key, more @ ..] = pickle.list(*storage)? else { return None };
        let (_, class) = pickle.global(*class).filter(|_| pickle.text(*kind) == Some("storage"))?;
        let part = more.get(2).and_then(|view| match pickle.list(*view)? {
            [_, offset, count] => Some(Part { offset: pickle.size(*offset)?, count: pickle.size(*count)? }),
            _ => None,
        });
        Some(Reference { key: pickle.text(*key)?, element: element(class)?, part })
    };
    pickle.objects().iter().enumerate().filter_map(|(id, object)| Some((id, read(object)?))).collect()
}

/// Returns the type of the numbers in a storage of this class.
fn element(class: &str) -> Option<ElementType> {
    Some(match class {
        "FloatStorage" => ElementType::F32,
        "DoubleStorage" => ElementType::F64,
        "HalfStorage" => ElementType::F16,
        "BFloat16Storage" => ElementType::Bf16,
        "ByteStorage" => ElementType::U8,
        "CharStorage" => ElementType::I8,
        "ShortStorage" => ElementType::I16,
        "IntStorage" => ElementType::I32,
        "LongStorage" => ElementType::I64,
        "BoolStorage" => ElementType::Bool,
        _ => return None,
    })
}

/// Reads the bytes of the next storage of a file before PyTorch 1.6.
fn next_storage<'a>(rest: &mut &'a [u8], element: ElementType) -> Option<&'a [u8]> {
    let (count, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*count)).ok()?.checked_mul(element.size())?;
    let (found, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(found)
}

/// Returns the arguments from which a tensor is rebuilt, if the object is a tensor, perhaps wrapped as a parameter.
fn rebuilt<'p>(pickle: &'p Pickle<'_>, value: Id) -> Option<&'p [Id]> {
    let call = |value: Id| match pickle.at(value) {
        Object::Call(function, arguments, _) => Some((pickle.global(*function)?, pickle.list(*arguments)?)),
        _ => None,
    };
    let (mut function, mut arguments) = call(value)?;
    if let (("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state"), [tensor, ..]) =
        (function, arguments)
    {
        (function, arguments) = call(*tensor)?;
    }
    if let (("torch._tensor", "_rebuild_from_type_v2"), [inner, _, list, ..]) = (function, arguments) {
        function = pickle.global(*inner)?;
        arguments = pickle.list(*list)?;
    }
    matches!(function, ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor")).then_some(arguments)
}
