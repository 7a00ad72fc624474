//! `gan data`: fetch, inspect and pack data sets, with one module per command; [`chosen`] opens the data of a command, [`meter`] shows its
//! progress.

pub mod args;
pub mod chosen;
mod fetch;
mod inspect;
mod list;
pub mod meter;
mod pack;

use crate::args::DataCommand;
use anyhow::Result;

/// Runs the command.
pub fn run(command: &DataCommand, quiet: bool) -> Result<()> {
    match command {
        DataCommand::List(args) => list::run(args),
        DataCommand::Fetch(args) => fetch::run(args, quiet),
        DataCommand::Inspect(args) => inspect::run(args, quiet),
        DataCommand::Pack(args) => pack::run(args, quiet),
    }
}
