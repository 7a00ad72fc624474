//! `gan serve`.

use crate::args::usage;
use crate::interrupt::Interrupt;
use crate::{print, report};
use anyhow::Result;
use clap::Args;
use gan_serve::{Error, Options, Server};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;

/// Folder of runs that `gan train` makes.
const RUNS: &str = "runs";

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan serve --open\n  gan serve runs /mnt/cluster/runs\n  gan serve runs/first --addr 127.0.0.1:8000\n  gan serve --addr 0.0.0.0:7860\n\nThe server only reads. It shows runs while gan train writes them, here or on another machine that shares the folder. Ctrl-C stops it."
)]
pub struct ServeArgs {
    /// Runs, and folders that contain runs [default: runs].
    #[arg(value_name = "FOLDER")]
    pub folders: Vec<PathBuf>,
    /// Address and port to listen at; port 0 chooses a free one. Other machines can reach 0.0.0.0 or an address of the network; they need
    /// the token in the address that is printed.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7860", value_parser = address)]
    pub addr: SocketAddr,
    /// Name of this machine in addresses, beside localhost and numbers, for instance behind a proxy. May be repeated.
    #[arg(long = "name", value_name = "NAME")]
    pub names: Vec<String>,
    /// Show the runs in the browser.
    #[arg(long)]
    pub open: bool,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an address in numbers and a port, such as 127.0.0.1:7860 or [::1]:7860".into())
}

/// Serves until Ctrl-C.
pub fn run(args: &ServeArgs) -> Result<()> {
    let folders = if args.folders.is_empty() { vec![PathBuf::from(RUNS)] } else { args.folders.clone() };
    let (stop, stopped) = mpsc::channel();
    Interrupt::watch(move || {
        stop.send(()).ok();
    })?;
    let server = Server::start(&Options { folders, address: args.addr, names: args.names.clone() });
    let server = server.map_err(|error| match error {
        Error::Folder { path, problem } => usage(path.display(), problem),
        other => other.into(),
    })?;
    print::line(server.url())?;
    if args.open {
        report::open(server.url().as_ref());
    }
    // The sender lives as long as the process.
    stopped.recv().ok();
    Ok(())
}
