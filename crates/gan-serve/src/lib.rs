//! A web server that shows runs while they train.
//!
//! It only reads run folders, by looking at their files at intervals, so that it works beside any number of trainings, also over a network file
//! system. In reading order: this file (starting and stopping), `index` (which runs there are, with a `digest` of each), `live` (a run that
//! somebody watches), `update` (what its pages learn), `model` (a generator that somebody explores), `routes` (a file for each page), `document` and `assets` (what all pages share), `guard` (who may ask), `connections`
//! (limits).

mod address;
mod assets;
mod connections;
mod digest;
mod document;
mod error;
mod guard;
mod index;
mod live;
mod model;
mod routes;
mod update;

pub use digest::State;
pub use error::{Error, Result};

use guard::Guard;
use index::RunIndex;
use live::Watches;
use model::Models;
use routes::Lookout;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// What to serve, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Runs, and folders of runs.
    pub folders: Vec<PathBuf>,
    /// Address to listen at. Port 0 chooses a free one.
    pub address: SocketAddr,
    /// Names of this server in addresses, beside `localhost` and numbers.
    pub names: Vec<String>,
}

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    token: Option<String>,
    runtime: Option<Runtime>,
}

/// What the routes share.
struct Shared {
    index: RunIndex,
    watches: Watches,
    lookout: Lookout,
    models: Models,
    guard: Guard,
}

impl Server {
    /// Looks at the runs and starts to listen. Requests are answered by threads of the server.
    ///
    /// # Errors
    /// If a folder cannot be read, or the address cannot be listened at.
    pub fn start(options: &Options) -> Result<Self> {
        let index = RunIndex::new(&options.folders)?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).max_blocking_threads(4).enable_all().build();
        let runtime = runtime.map_err(|problem| Error::Threads(problem.to_string()))?;
        let listener = runtime.block_on(TcpListener::bind(options.address));
        let listener = listener.map_err(|problem| Error::listen(options.address, &problem))?;
        let address = listener.local_addr().map_err(|problem| Error::listen(options.address, &problem))?;
        let guard = Guard::new(address, &options.names)?;
        let token = guard.token().map(String::from);
        let shared = Arc::new(Shared {
            index,
            watches: Watches::default(),
            lookout: Lookout::default(),
            models: Models::default(),
            guard,
        });
        runtime.spawn(connections::accept(listener, routes::router(shared)));
        Ok(Self { address, token, runtime: Some(runtime) })
    }

    /// Returns the address that it listens at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address for a browser on this machine, with the token if one is needed.
    pub fn url(&self) -> String {
        let mut shown = self.address;
        if shown.ip().is_unspecified() {
            shown.set_ip(if shown.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
        }
        match &self.token {
            Some(token) => format!("http://{shown}/?token={token}"),
            None => format!("http://{shown}/"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_millis(200));
        }
    }
}
