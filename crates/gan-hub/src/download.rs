//! Downloading one file into the cache: complete files stay, interrupted ones resume, and the checksum decides.

use crate::answers::{Refusal, RemoteFile};
use crate::cache::{Cache, Part};
use crate::client::Client;
use crate::{Error, Repository, Watch};
use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

/// Attempts in a row that may fetch not a single byte.
const TRIES: u32 = 3;

/// Attempts in all, however little each of them fetches.
const MOST_TRIES: u32 = 1000;

/// Time before the second attempt; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(500);

/// Fetches `file` of `commit`, unless the cache has it, and returns the path of its bytes.
///
/// # Errors
/// [`Error::Refused`] if the server refuses, repeatedly breaks off, or sends bytes with another SHA-256; bytes fetched so far are kept for
/// the next time, except wrong ones. [`Error::Read`] and [`Error::Write`] for the cache's files.
pub(crate) fn file(
    client: &Client,
    cache: &Cache,
    repository: &Repository,
    commit: &str,
    file: &RemoteFile,
    watch: &mut Watch,
) -> Result<PathBuf, Error> {
    if !cache.has(file)? {
        let mut watch = |done| watch(&file.path, done, file.size);
        let mut download = Download { client, repository, commit, file, part: cache.part(file)?, watch: &mut watch };
        download.run()?;
        download.part.finish(&cache.blob(file))?;
    }
    cache.link(commit, file)?;
    Ok(cache.blob(file))
}

struct Download<'a> {
    client: &'a Client,
    repository: &'a Repository,
    commit: &'a str,
    file: &'a RemoteFile,
    part: Part,
    watch: &'a mut dyn FnMut(u64),
}

impl Download<'_> {
    /// Tries until all bytes are there, and checks them.
    fn run(&mut self) -> Result<(), Error> {
        let mut idle = 0;
        for tried in 1.. {
            let before = self.part.len()?;
            let found = match self.attempt()? {
                Ok(()) if self.part.len()? == self.file.size => break,
                Ok(()) => "the connection ended early".to_string(),
                Err(Refusal::Final(found)) => return Err(self.give_up(found)?),
                Err(Refusal::Passing(found)) => found,
            };
            let done = self.part.len()?;
            idle = if done > before { 0 } else { idle + 1 };
            tracing::info!("{}: {found}; {done} of {} bytes are there", self.file.path, self.file.size);
            if idle >= TRIES || tried >= MOST_TRIES {
                return Err(self.give_up(found)?);
            }
            std::thread::sleep(PAUSE * 2u32.pow(idle.saturating_sub(1)));
        }
        let RemoteFile { path, sha256, .. } = self.file;
        let found = self.part.sha256()?;
        if found == *sha256 {
            return Ok(());
        }
        self.part.clear()?;
        let found = format!("found SHA-256 {found}, expected {sha256}");
        let advice =
            "the bytes were damaged on the way or the server is not what it says: nothing of them was kept; try again";
        Err(Error::refused(format!("{path}: wrong checksum"), found, advice))
    }

    /// Sends one request and appends the answer as far as it comes. The inner error is the server's, the outer that of the cache's files.
    fn attempt(&mut self) -> Result<Result<(), Refusal>, Error> {
        let size = self.file.size;
        let mut done = self.part.len()?;
        if done > size {
            self.part.clear()?;
            done = 0;
        }
        (self.watch)(done);
        if done == size {
            return Ok(Ok(()));
        }
        let response = match self.client.open(self.repository, self.commit, self.file, done) {
            Ok(response) => response,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if done > 0 && !starts_at(&response, done) {
            self.part.clear()?;
            done = 0;
        }
        let mut body = response.take(size - done);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => return Ok(Ok(())),
                Ok(count) => {
                    self.part.append(&buffer[..count])?;
                    done += count as u64;
                    (self.watch)(done);
                }
                Err(error) => return Ok(Err(Refusal::Passing(broken(&error)))),
            }
        }
    }

    fn give_up(&self, found: String) -> Result<Error, Error> {
        let what = format!("{} from {}", self.file.path, self.client.environment.endpoint);
        let kept = format!("{} of {} bytes are kept", self.part.len()?, self.file.size);
        let advice = format!("{kept}: check the network and give the same command again to go on from there");
        Ok(Error::refused(what, found, advice))
    }
}

/// Whether the answer starts at byte `start`. A server may send the whole file instead.
fn starts_at(response: &reqwest::blocking::Response, start: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let starts = range.is_none_or(|range| range.starts_with(&format!("bytes {start}-")));
    response.status() == StatusCode::PARTIAL_CONTENT && starts
}

fn broken(error: &std::io::Error) -> String {
    let late = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
    if late.is_some_and(reqwest::Error::is_timeout) {
        return "no further bytes in time".into();
    }
    format!("the connection broke off ({error})")
}
