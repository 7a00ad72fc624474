//! The state dicts in a pickle: alone, in a checkpoint's dict, or as the parameters of a pickled module.

use crate::pickle::{Id, Object, Pickle};
use crate::tensor::ForeignTensor;
use crate::torch::TorchFile;

/// The named tensors of one network, in the order of the file.
#[derive(Clone, Debug)]
pub struct StateDict<'a> {
    /// Keys that lead to it, joined by dots; empty if the file is the state dict.
    pub key: String,
    /// Class of the pickled module that it comes from, as `MODULE.NAME`.
    pub class: Option<String>,
    /// The tensors.
    pub tensors: Vec<ForeignTensor<'a>>,
}

/// What was found in a pickle.
#[derive(Debug, Default)]
pub(crate) struct Contents<'a> {
    pub dicts: Vec<StateDict<'a>>,
    /// Keys of the states of optimizers.
    pub optimizers: Vec<String>,
    /// Whether a module was compiled by TorchScript.
    pub is_script: bool,
}

/// Maximum depth of nested dicts and modules; real ones stay below ten.
const MOST_NESTED: usize = 32;

/// Maximum length of a key or name; real ones stay below a hundred.
const LONGEST_NAME: usize = 512;

/// Bytes of descriptions for each byte of the file. A pickle may repeat a dict in other dicts, which would otherwise multiply.
const PER_BYTE: usize = 24;

/// Finds every state dict in `file`, which has `length` bytes.
///
/// # Errors
/// If a tensor is described wrongly, or objects are nested or repeated too often.
pub(crate) fn contents<'a>(file: &TorchFile<'a>, length: usize) -> Result<Contents<'a>, String> {
    let room = length.saturating_mul(PER_BYTE).saturating_add(1 << 16);
    let mut walk = Walk { file, room, found: Contents::default() };
    walk.visit(file.pickle.root(), "", 0)?;
    Ok(walk.found)
}

struct Walk<'f, 'a> {
    file: &'f TorchFile<'a>,
    /// Bytes that descriptions may still take.
    room: usize,
    found: Contents<'a>,
}

impl<'f, 'a> Walk<'f, 'a> {
    fn pickle(&self) -> &'f Pickle<'a> {
        &self.file.pickle
    }

    /// Visits an object to which `key` leads.
    fn visit(&mut self, id: Id, key: &str, depth: usize) -> Result<(), String> {
        self.spend(key.len())?;
        if depth > MOST_NESTED {
            return Err(format!("its objects are nested more than {MOST_NESTED} deep"));
        }
        match self.pickle().at(id) {
            Object::Dict(entries) => self.dict(id, entries, key, depth),
            Object::List(items) => {
                self.spend(items.len())?;
                let inner = items.iter().enumerate().filter(|(_, item)| self.holds_objects(**item));
                let inner: Vec<(usize, &Id)> = inner.collect();
                inner.into_iter().try_for_each(|(i, item)| self.visit(*item, &joined(key, &i.to_string()), depth + 1))
            }
            Object::Call(function, _, Some(attributes)) if !self.file.is_tensor(id) => {
                self.object(*function, *attributes, key, depth)
            }
            _ => Ok(()),
        }
    }

    /// Returns whether an object may hold others. The numbers of long lists need not be visited.
    fn holds_objects(&self, id: Id) -> bool {
        matches!(self.pickle().at(id), Object::Dict(_) | Object::List(_) | Object::Call(..))
    }

    fn dict(&mut self, id: Id, entries: &'f [(Id, Id)], key: &str, depth: usize) -> Result<(), String> {
        self.spend(8 * entries.len())?;
        if self.pickle().get(id, "param_groups").is_some() {
            self.found.optimizers.push(key.into());
            return Ok(());
        }
        let place = self.found.dicts.len();
        let mut tensors = vec![];
        for (name, value) in entries {
            let name = match self.pickle().at(*name) {
                // Not the name of a network or tensor.
                Object::Text(name) if key.len() + name.len() > LONGEST_NAME => continue,
                Object::Text(name) => (*name).to_string(),
                Object::Int(number) => number.to_string(),
                _ => continue,
            };
            match self.file.is_tensor(*value) {
                true => self.tensor(*value, name, &mut tensors)?,
                false if self.holds_objects(*value) => self.visit(*value, &joined(key, &name), depth + 1)?,
                false => {}
            }
        }
        // Beside the state dicts of a checkpoint, tensors are states of random numbers and losses.
        if !tensors.is_empty() && self.found.dicts.len() == place {
            self.found.dicts.push(StateDict { key: key.into(), class: None, tensors });
        }
        Ok(())
    }

    /// Visits an object of a class: a module, or one with modules and dicts as its attributes.
    fn object(&mut self, class: Id, attributes: Id, key: &str, depth: usize) -> Result<(), String> {
        let class = self.pickle().global(class);
        let is_script = class.is_some_and(|(module, _)| module.starts_with("__torch__"));
        let is_module = is_script || self.pickle().get(attributes, "_parameters").is_some();
        if !is_module {
            return self.visit(attributes, key, depth + 1);
        }
        self.found.is_script |= is_script;
        let mut tensors = vec![];
        match is_script {
            true => self.script(attributes, "", depth, &mut tensors)?,
            false => self.module(attributes, "", depth, &mut tensors)?,
        }
        if !tensors.is_empty() {
            let class = class.map(|(module, name)| format!("{module}.{name}"));
            self.found.dicts.push(StateDict { key: key.into(), class, tensors });
        }
        Ok(())
    }

    /// Adds the tensors of a module in the order of its state dict: parameters, buffers, and then those of the modules inside it.
    fn module(
        &mut self,
        attributes: Id,
        prefix: &str,
        depth: usize,
        to: &mut Vec<ForeignTensor<'a>>,
    ) -> Result<(), String> {
        self.spend(prefix.len())?;
        if depth > MOST_NESTED {
            return Err(format!("its modules are nested more than {MOST_NESTED} deep"));
        }
        let pickle = self.pickle();
        for kind in ["_parameters", "_buffers"] {
            let Some(dict) = pickle.get(attributes, kind) else { continue };
            for (name, value) in self.entries(dict, prefix)? {
                self.tensor(value, joined(prefix, name), to)?;
            }
        }
        let Some(dict) = pickle.get(attributes, "_modules") else { return Ok(()) };
        for (name, value) in self.entries(dict, prefix)? {
            if let Object::Call(_, _, Some(inner)) = pickle.at(value) {
                self.module(*inner, &joined(prefix, name), depth + 1, to)?;
            }
        }
        Ok(())
    }

    /// Adds the tensors of a module of TorchScript, whose attributes are its parameters, buffers and modules by name.
    fn script(
        &mut self,
        attributes: Id,
        prefix: &str,
        depth: usize,
        to: &mut Vec<ForeignTensor<'a>>,
    ) -> Result<(), String> {
        self.spend(prefix.len())?;
        if depth > MOST_NESTED {
            return Err(format!("its modules are nested more than {MOST_NESTED} deep"));
        }
        for (name, value) in self.entries(attributes, prefix)? {
            match self.pickle().at(value) {
                _ if self.file.is_tensor(value) => self.tensor(value, joined(prefix, name), to)?,
                Object::Call(_, _, Some(inner)) => self.script(*inner, &joined(prefix, name), depth + 1, to)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the entries of a module's dict that have short names.
    fn entries(&mut self, dict: Id, prefix: &str) -> Result<Vec<(&'a str, Id)>, String> {
        let pickle = self.pickle();
        let entries = pickle.dict(dict).unwrap_or_default();
        self.spend(16 * entries.len())?;
        let named = entries.iter().filter_map(|(name, value)| Some((pickle.text(*name)?, *value)));
        let named: Vec<(&str, Id)> = named.collect();
        match named.iter().find(|(name, _)| prefix.len() + name.len() > LONGEST_NAME) {
            Some((name, _)) => {
                Err(format!("it has a name of {} bytes, expected at most {LONGEST_NAME}", prefix.len() + name.len()))
            }
            None => Ok(named),
        }
    }

    /// Adds an object, if it is a tensor.
    fn tensor(&mut self, value: Id, name: String, to: &mut Vec<ForeignTensor<'a>>) -> Result<(), String> {
        if let Some(tensor) = self.file.tensor(value, || name) {
            let tensor = tensor?;
            self.spend(tensor.name.len() + size_of::<ForeignTensor>() + 2 * size_of::<usize>() * tensor.shape.len())?;
            to.push(tensor);
        }
        Ok(())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        self.room = self.room.checked_sub(bytes + 8).ok_or("it repeats its objects too often")?;
        Ok(())
    }
}

/// Joins `a` and `b` to `a.b`.
fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.into() } else { format!("{prefix}.{name}") }
}
