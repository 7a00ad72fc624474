//! What can go wrong.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// An error of this crate. Its message is complete: it needs no cause printed after it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A folder to serve is not there, or is no folder.
    #[error("{}: {problem}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The address cannot be listened at.
    #[error("{address}: {problem}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// No random numbers for a token.
    #[error("the system gives no random numbers for a token: {0}")]
    Token(String),
    /// The system refuses threads.
    #[error("the system refuses threads: {0}")]
    Threads(String),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn folder(path: &Path, problem: impl Into<String>) -> Self {
        Self::Folder { path: path.to_path_buf(), problem: problem.into() }
    }

    pub(crate) fn listen(address: SocketAddr, problem: &io::Error) -> Self {
        let problem = match problem.kind() {
            ErrorKind::AddrInUse => "another program listens there: stop it, or name another port".into(),
            ErrorKind::AddrNotAvailable => "this machine has no such address: name one of its own".into(),
            ErrorKind::PermissionDenied => "the system forbids this port: name one from 1024 to 65535".into(),
            _ => format!("cannot be listened at: {problem}"),
        };
        Self::Listen { address, problem }
    }
}
