//! Checkpoints: everything that is needed to resume bit for bit, complete or absent.
//!
//! `checkpoints/step-0000500/` holds `tensors.safetensors` (weights, running averages, moments) and `state.json` (step, position in the
//! data, random streams, the length and CRC-32 of the tensor file, and its own CRC-32). The folder is written under a temporary name,
//! flushed, and renamed. `latest` names the last complete one.

use crate::config::Extended;
use crate::error::{Error, Result};
use crate::step::{Order, unreadable};
use crate::trainer::Trainer;
use crate::trainer::adaptive::Adaptive;
use candle_core::Tensor;
use gan_base::{Rng, atomic, regular_file};
use gan_comm::Communicator;
use gan_core::Param;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

mod discriminator;
mod folders;
pub(crate) mod identity;

pub use discriminator::discriminator;
use folders::{candidates, name, prune};
pub use folders::{forget_after, newest};

use identity::DataIdentity;

const FORMAT: u32 = 1;
/// File name of a checkpoint's tensors.
pub const TENSORS: &str = "tensors.safetensors";
/// File name of everything else in a checkpoint.
pub const STATE: &str = "state.json";
/// Maximum size of the state in bytes; class names take most of it.
const MOST_STATE: u64 = 256 << 20;

/// Everything that is not a tensor.
#[derive(Clone, Serialize, Deserialize)]
struct State {
    format: u32,
    step: u64,
    optimizer_steps_g: u64,
    optimizer_steps_d: u64,
    /// Steps that the average of G's weights has followed, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ema_steps: Option<u64>,
    /// Adjusted probability of augmentations, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    adaptive: Option<Adaptive>,
    /// Number of rollbacks by alarms, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rollbacks: Option<u64>,
    position: gan_data::Position,
    noise: Rng,
    dropout: Rng,
    /// Dropout streams of the ranks after the first, in distributed training.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dropout_of_others: Vec<Rng>,
    /// Settings that must not change when a run is resumed; see [`identity`].
    identity: String,
    /// Identity of the data, which must not change either. Older versions did not save it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<DataIdentity>,
    /// Former lengths of the run, for the ranks that receive this state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extended: Vec<Extended>,
    tensors_len: u64,
    tensors_crc32: u32,
    /// [`checksum`] of the other fields.
    crc32: u32,
}

/// Returns the CRC-32 of all fields except the checksum itself.
fn checksum(state: &State) -> u32 {
    let others = State { crc32: 0, ..state.clone() };
    crc32fast::hash(serde_json::to_string(&others).unwrap_or_default().as_bytes())
}

/// Returns `json`, the text of a [`STATE`], with checksums that match it and the tensor file `tensors`. Tests use it to get past the
/// checksums.
///
/// # Errors
/// If `json` is not a valid state.
#[doc(hidden)]
pub fn resealed(json: &[u8], tensors: &[u8]) -> serde_json::Result<Vec<u8>> {
    let mut state: State = serde_json::from_slice(json)?;
    state.tensors_len = tensors.len() as u64;
    state.tensors_crc32 = crc32fast::hash(tensors);
    state.crc32 = checksum(&state);
    serde_json::to_vec(&state)
}

/// Saves the trainer's state below `dir`, deletes all but the newest `keep` checkpoints, and returns the new folder.
///
/// # Errors
/// If it cannot be written. Earlier checkpoints are then untouched.
pub fn save(trainer: &Trainer, dir: &Path, keep: usize) -> Result<PathBuf> {
    let name = name(trainer.step());
    let target = dir.join(&name);
    let temporary = dir.join(format!(".{name}.tmp"));
    let written = write(trainer, &temporary).and_then(|()| match same(&temporary, &target) {
        true => fs::remove_dir_all(&temporary).map_err(io(&temporary, "removed")),
        false => publish(&temporary, &target, dir),
    });
    if let Err(error) = written {
        // The remains of the attempt are useless.
        fs::remove_dir_all(&temporary).ok();
        return Err(error);
    }
    atomic::write(&dir.join("latest"), name.as_bytes())?;
    prune(dir, trainer.step(), keep);
    Ok(target)
}

fn io<'a>(path: &'a Path, what: &'a str) -> impl Fn(std::io::Error) -> Error + 'a {
    move |e| Error::file(path, format!("cannot be {what}: {e}; the previous checkpoint is still there"))
}

fn write(trainer: &Trainer, dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(io(dir, "cleared"))?;
    }
    fs::create_dir_all(dir).map_err(io(dir, "created"))?;
    let bytes = serialized(trainer)?;
    let state = state(trainer, &bytes)?;
    let json = serde_json::to_string_pretty(&state).map_err(|e| Error::file(dir, e.to_string()))?;
    atomic::write(&dir.join(TENSORS), &bytes)?;
    Ok(atomic::write(&dir.join(STATE), json.as_bytes())?)
}

/// Returns every tensor of the run under a name that begins with its owner, as safetensors.
fn serialized(trainer: &Trainer) -> Result<Vec<u8>> {
    trainer.settle()?;
    let mut all = BTreeMap::new();
    let mut add = |owner: &str, tensors: BTreeMap<String, Tensor>| {
        all.extend(tensors.into_iter().map(|(name, t)| (format!("{owner}.{name}"), t)));
    };
    add("generator", Param::tensors(&trainer.generator.params())?);
    add("discriminator", Param::tensors(&trainer.discriminator.params())?);
    add("optimizer.generator", trainer.optimizer_g.averages.tensors()?);
    add("optimizer.discriminator", trainer.optimizer_d.averages.tensors()?);
    if let Some(ema) = &trainer.ema {
        add("ema", ema.averages.tensors()?);
    }
    Ok(safetensors::serialize(all, None).map_err(candle_core::Error::from)?)
}

/// Returns the state to store beside the tensors `bytes`.
fn state(trainer: &Trainer, bytes: &[u8]) -> Result<State> {
    let mut state = State {
        format: FORMAT,
        step: trainer.step,
        optimizer_steps_g: trainer.optimizer_g.averages.steps,
        optimizer_steps_d: trainer.optimizer_d.averages.steps,
        ema_steps: trainer.ema.as_ref().map(|ema| ema.averages.steps),
        adaptive: trainer.adaptive,
        rollbacks: Some(trainer.rollbacks).filter(|times| *times > 0),
        position: trainer.loader.position(),
        noise: trainer.noise.clone(),
        dropout: trainer.dropout.clone(),
        dropout_of_others: vec![],
        identity: identity::settings(trainer),
        data: Some(trainer.data_identity()?.clone()),
        extended: trainer.plan.config().train.extended.clone(),
        tensors_len: bytes.len() as u64,
        tensors_crc32: crc32fast::hash(bytes),
        crc32: 0,
    };
    state.dropout_of_others = of_others(trainer, &state, bytes)?;
    state.crc32 = checksum(&state);
    Ok(state)
}

/// What a checkpoint needs from one rank.
#[derive(Serialize, Deserialize)]
struct OfRank {
    tensors_crc32: u32,
    dropout: Rng,
}

/// Collects the random streams of the ranks that this one leads. All ranks must hold the same tensors. Ranks that do not, because their
/// processors round differently, receive this rank's tensors.
fn of_others(trainer: &Trainer, state: &State, bytes: &[u8]) -> Result<Vec<Rng>> {
    if !trainer.group.leads() {
        return Ok(vec![]);
    }
    let ranks = &trainer.group.ranks;
    trainer.group.order(Order::Save)?;
    let read = |bytes: &Vec<u8>| serde_json::from_slice(bytes).map_err(unreadable);
    let found: Vec<OfRank> = ranks.gather(&[])?.iter().skip(1).map(read).collect::<Result<_, _>>()?;
    let other = found.iter().position(|of| of.tensors_crc32 != state.tensors_crc32);
    ranks.broadcast(&[u8::from(other.is_some())])?;
    let dropout: Vec<Rng> = found.into_iter().map(|of| of.dropout).collect();
    if let Some(other) = other {
        tracing::warn!(
            "rank {} holds other numbers than rank 0 after step {}, as processors of different kinds may: it takes those of rank 0",
            other + 1,
            state.step
        );
        spread(ranks.as_ref(), &State { dropout_of_others: dropout.clone(), ..state.clone() }, bytes)?;
    }
    trainer.group.done();
    Ok(dropout)
}

/// Sends rank 0, which saves the checkpoint, what it needs from this rank.
pub(crate) fn tell(trainer: &mut Trainer) -> Result<()> {
    let mine = OfRank { tensors_crc32: crc32fast::hash(&serialized(trainer)?), dropout: trainer.dropout.clone() };
    trainer.group.ranks.gather(&serde_json::to_vec(&mine).map_err(unreadable)?)?;
    let differ = trainer.group.ranks.broadcast(&[])?;
    if differ == [1] { receive(trainer) } else { Ok(()) }
}

/// Sends a state to the ranks that this one leads, which [`receive`] it.
fn spread(ranks: &dyn Communicator, state: &State, bytes: &[u8]) -> Result<()> {
    ranks.broadcast(&serde_json::to_vec(state).map_err(unreadable)?)?;
    ranks.broadcast(bytes)?;
    Ok(())
}

/// Receives the state from rank 0.
pub(crate) fn receive(trainer: &mut Trainer) -> Result<()> {
    let state = trainer.group.ranks.broadcast(&[])?;
    let tensors = trainer.group.ranks.broadcast(&[])?;
    let state: State = serde_json::from_slice(&state).map_err(unreadable)?;
    let tensors = candle_core::safetensors::load_buffer(&tensors, &candle_core::Device::Cpu)?;
    trainer.plan.set_extended(state.extended.clone());
    apply(trainer, state, &tensors.into_iter().collect(), Path::new("the state of rank 0"))
}

/// Returns the dropout stream for this rank: its saved one, or a new one if the number of ranks has changed.
fn dropout(trainer: &Trainer, state: &State) -> Rng {
    let ranks = &trainer.group.ranks;
    match ranks.rank() {
        0 => state.dropout.clone(),
        rank if state.dropout_of_others.len() + 1 == ranks.size() => state.dropout_of_others[rank - 1].clone(),
        rank => Rng::numbered(trainer.plan.config().train.seed, &format!("dropout after {}", state.step), rank as u64),
    }
}

fn publish(temporary: &Path, target: &Path, dir: &Path) -> Result<()> {
    sync(temporary)?;
    if target.exists() {
        fs::remove_dir_all(target).map_err(io(target, "replaced"))?;
    }
    fs::rename(temporary, target).map_err(io(target, "put in place"))?;
    sync(dir)
}

/// Flushes a folder's entries to disk, if the system supports it.
fn sync(dir: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(dir).and_then(|f| f.sync_all()).map_err(io(dir, "flushed"))?;
    }
    Ok(())
}

/// Restores the newest complete checkpoint below `dir`, if there is one, and returns its step. Skips damaged ones with a warning. `total` is
/// the length in steps that the run had until now, if it may have changed.
///
/// # Errors
/// If the newest complete checkpoint belongs to other settings or data, or if all are damaged.
pub fn restore(trainer: &mut Trainer, dir: &Path, total: Option<u64>) -> Result<Option<u64>> {
    let mut damage = None;
    for path in candidates(dir) {
        let (state, tensors) = match read(&path) {
            Ok(whole) => whole,
            Err(error) => {
                tracing::warn!("{error}; it is skipped");
                damage = Some(error);
                continue;
            }
        };
        apply(trainer, state.clone(), &tensors, &path)?;
        if let Some(total) = total {
            trainer.extend(total);
        }
        if trainer.group.leads() {
            let state = State { extended: trainer.plan.config().train.extended.clone(), ..state };
            trainer.group.order(Order::Restore)?;
            spread(trainer.group.ranks.as_ref(), &state, &serialized(trainer)?)?;
            trainer.group.done();
        }
        return Ok(Some(trainer.step));
    }
    let Some(error) = damage else { return Ok(None) };
    Err(Error::file(dir, format!("no checkpoint is whole; the oldest: {error}. Start again with --overwrite")))
}

/// Returns whether both checkpoints are complete and hold the same state.
fn same(a: &Path, b: &Path) -> bool {
    b.exists() && matches!((read(a), read(b)), (Ok(a), Ok(b)) if a.0.crc32 == b.0.crc32)
}

fn read(path: &Path) -> Result<(State, BTreeMap<String, Tensor>)> {
    let damaged = |what: String| Error::file(path, format!("the checkpoint is damaged: {what}"));
    let bytes = |name: &str, most: u64| {
        regular_file::read(&path.join(name), most).map_err(|e| damaged(format!("{name} cannot be read ({e})")))
    };
    let state: State =
        serde_json::from_slice(&bytes(STATE, MOST_STATE)?).map_err(|e| damaged(format!("{STATE}: {e}")))?;
    if state.format != FORMAT {
        return Err(damaged(format!("format {} is not {FORMAT}, the one this version reads", state.format)));
    }
    if checksum(&state) != state.crc32 {
        return Err(damaged(format!("{STATE} holds other values than were saved: its checksum differs")));
    }
    let tensors = bytes(TENSORS, state.tensors_len.saturating_add(1))?;
    if tensors.len() as u64 != state.tensors_len {
        return Err(damaged(format!("{TENSORS} has {} bytes, {} were saved", tensors.len(), state.tensors_len)));
    }
    if crc32fast::hash(&tensors) != state.tensors_crc32 {
        return Err(damaged(format!("{TENSORS} holds other bytes than were saved: their checksums differ")));
    }
    let tensors = candle_core::safetensors::load_buffer(&tensors, &candle_core::Device::Cpu)?;
    Ok((state, tensors.into_iter().collect()))
}

fn apply(trainer: &mut Trainer, state: State, tensors: &BTreeMap<String, Tensor>, path: &Path) -> Result<()> {
    fits(trainer, &state, path)?;
    trainer.changed();
    let part = |owner: &str| of_owner(tensors, owner);
    Param::load(&trainer.generator.params(), &part("generator"), path)?;
    Param::load(&trainer.discriminator.params(), &part("discriminator"), path)?;
    trainer.optimizer_g.averages.load(state.optimizer_steps_g, &part("optimizer.generator"), path)?;
    trainer.optimizer_d.averages.load(state.optimizer_steps_d, &part("optimizer.discriminator"), path)?;
    if let Some(ema) = &mut trainer.ema {
        ema.averages.load(state.ema_steps.unwrap_or(0), &part("ema"), path)?;
    }
    if let Some(adaptive) = &mut trainer.adaptive {
        *adaptive = state.adaptive.unwrap_or(*adaptive);
    }
    trainer.loader.seek(&state.position)?;
    trainer.queued.clear();
    trainer.set_rollbacks(state.rollbacks.unwrap_or(0));
    trainer.dropout = dropout(trainer, &state);
    trainer.noise = state.noise;
    trainer.step = state.step;
    Ok(())
}

/// Returns the tensors whose names begin with `owner`, without it.
fn of_owner(tensors: &BTreeMap<String, Tensor>, owner: &str) -> BTreeMap<String, Tensor> {
    let rest = |name: &str| name.strip_prefix(owner).and_then(|name| name.strip_prefix('.')).map(String::from);
    tensors.iter().filter_map(|(name, t)| rest(name).map(|name| (name, t.clone()))).collect()
}

/// Checks that a checkpoint belongs to the settings and the data of `trainer`.
fn fits(trainer: &Trainer, state: &State, path: &Path) -> Result<()> {
    let refused = |problem: String| Err(Error::config(path.display().to_string(), problem));
    if let Some(found) = identity::difference(&identity::renewed(&state.identity), &identity::settings(trainer)) {
        return refused(format!(
            "was made with other settings: {found}. A run goes on with the settings that it began with: leave out what changes them, or \
             begin a new run"
        ));
    }
    let Some(before) = &state.data else { return Ok(()) };
    match before.difference(trainer.data_identity()?) {
        None => Ok(()),
        Some(found) => {
            let data = &trainer.plan.config().data;
            let from = data.dir.as_ref().map(|dir| format!(" in {}", dir.display())).unwrap_or_default();
            refused(format!(
                "was made with other data: the set \"{}\"{from} is not the one that this run was trained on ({found}). A run goes on with \
                 the data that it began with: name them by --set data.dir=DIR, or begin a new run",
                data.name()
            ))
        }
    }
}
