//! The data set of a command: a data set by its name, a folder of images, or a pack.

use super::SourceArgs;
use crate::args::usage;
use anyhow::Result;
use gan_data::images::is_collection;
use gan_data::pack::{Header, Pack, is_pack};
use gan_data::{Dataset, DatasetEntry, DatasetSpec, Folder, SampleSizes};
use gan_train::config::DataConfig;
use gan_train::data;
use gan_train::layering::{self, Table};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Height and width of samples without their own size, unless the arguments specify another.
const SIDE: i64 = 64;

/// Seed of random data.
const SEED: u64 = 0;

/// An opened data set.
pub struct Chosen {
    /// Name of the data set.
    pub name: String,
    /// Description of the source, for people.
    pub from: String,
    /// File or folder that it is read from, if there is one.
    pub files: Option<PathBuf>,
    /// Samples of the data set.
    pub data: Arc<dyn Dataset>,
}

/// Purpose of opening a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Listing: what training would refuse is skipped by default.
    Inspect,
    /// Use as in training.
    Use,
}

/// Opens the data that `args` select.
pub fn open(args: &SourceArgs, purpose: Purpose) -> Result<Chosen> {
    let (mut table, header) = named(&args.source)?;
    assign(&mut table, args)?;
    if purpose == Purpose::Inspect && !["small", "upscale"].iter().any(|key| table.contains_key(*key)) {
        table.insert("small".into(), "skip".into());
    }
    let config = layering::read_data(with_defaults(&table))?;
    // A set of one size keeps it unless the arguments specify another.
    let is_free = matches!(config.sizes(), SampleSizes::Stored | SampleSizes::Any) || table.contains_key("size");
    let size = config.size.into_iter().flat_map(|size| size.get());
    let shape: Vec<usize> = std::iter::once(config.channels).chain(size).filter(|_| is_free).collect();
    let data = data::find(&config, &shape, SEED)?;
    data::check_shape(&config, &wanted(&table, &config, &data.shape()), &data.shape())?;
    let usual = || DatasetEntry::find(config.name())?.found();
    let files = config.dir.clone().or_else(usual);
    if let Some(Header { name, made_from, .. }) = header {
        return Ok(Chosen { name, from: made_from, files, data });
    }
    let name = config.name().to_string();
    let from = config.dir.as_ref().map_or(name.clone(), |dir| format!("{name} in {}", dir.display()));
    Ok(Chosen { name, from, files, data })
}

/// Returns `[data]` of the data set, folder or pack called `source`, with its channels if the name determines them, and without a size.
pub fn settings(source: &str) -> Result<Table> {
    let mut settings = with_defaults(&named(source)?.0);
    if let Some(data) = settings.get_mut("data").and_then(|data| data.as_table_mut()) {
        data.remove("size");
    }
    Ok(settings)
}

/// Returns `[data]` of `source`, and the header if it is a pack.
fn named(source: &str) -> Result<(Table, Option<Header>)> {
    let path = Path::new(source);
    let mut table = Table::new();
    if DatasetEntry::find(source).is_some() {
        table.insert("name".into(), source.into());
        return Ok((table, None));
    }
    if !path.exists() {
        let nearest = gan_base::messages::choose(source, &DatasetEntry::names());
        return Err(usage(source, format_args!("there is no such folder, archive, array, pack or data set{nearest}")));
    }
    table.insert("name".into(), Folder::NAME.into());
    table.insert("dir".into(), source.into());
    // Any other file gets the message of a damaged pack.
    let is_files = (path.is_dir() && !is_pack(path)) || is_collection(path);
    let header = if is_files { None } else { Some(Pack::open(path)?.header().clone()) };
    Ok((table, header))
}

/// Merges `--set`, `--size`, `--channels` and `--strict` over the table.
fn assign(table: &mut Table, args: &SourceArgs) -> Result<()> {
    let mut all = Table::from_iter([("data".to_string(), std::mem::take(table).into())]);
    let size = args.size.map(|(height, width)| format!("data.size=[{height}, {width}]"));
    let channels = args.channels.map(|channels| format!("data.channels={channels}"));
    let strict = args.strict.then(|| "data.strict=true".to_string());
    for assignment in args.set.iter().cloned().chain(size).chain(channels).chain(strict) {
        layering::set(&mut all, &assignment)?;
    }
    let data = all.remove("data").and_then(|value| value.try_into().ok());
    match (data, all.keys().next()) {
        (Some(data), None) => *table = data,
        (_, other) => {
            let problem = "is no setting of the data; expected data.KEY=VALUE, e.g. data.dir=DIR";
            return Err(usage(format_args!("--set {}", other.map_or("data", String::as_str)), problem));
        }
    }
    Ok(())
}

fn with_defaults(table: &Table) -> Table {
    let name = table.get("name").and_then(|name| name.as_str());
    let info = name.and_then(DatasetEntry::find).map_or(gan_data::Info::IMAGES, |set| set.info);
    let channels = i64::try_from(info.channels).unwrap_or(i64::MAX);
    let mut data = Table::from_iter([("size".to_string(), SIDE.into()), ("channels".to_string(), channels.into())]);
    data.extend(table.clone());
    Table::from_iter([("data".to_string(), data.into())])
}

/// Returns the shape `own` of the data set, overridden by the user's settings.
fn wanted(table: &Table, config: &DataConfig, own: &[usize]) -> Vec<usize> {
    let mut wanted = own.to_vec();
    if table.contains_key("channels") {
        wanted[0] = config.channels;
    }
    if let (true, Some(size)) = (table.contains_key("size"), config.size) {
        wanted.splice(1.., size.get());
    }
    wanted
}
