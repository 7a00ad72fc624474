//! `gan data`: get data sets and look into them, one module a command.

mod fetch;

use crate::args::DataCommand;
use anyhow::Result;

/// Runs the command.
pub fn run(command: &DataCommand, quiet: bool) -> Result<()> {
    match command {
        DataCommand::Fetch(args) => fetch::run(args, quiet),
    }
}
