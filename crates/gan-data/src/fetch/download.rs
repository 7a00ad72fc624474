//! One file from the Hub into the cache: what is there stays, what broke off goes on, and the checksum decides.

use super::Progress;
use super::answers::{Listing, Refusal, RemoteFile};
use super::cache::{Cache, Part};
use super::hub::Hub;
use crate::Error;
use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

/// Tries in a row that may bring not a single byte.
const TRIES: u32 = 3;

/// Tries in all, however little each of them brings.
const MOST_TRIES: u32 = 1000;

/// Time before the second try; twice as long before each further one.
const PAUSE: Duration = Duration::from_millis(500);

/// What a try failed by.
enum Failure {
    Refused(Refusal),
    Local(Error),
}

/// Fetches `file` of `listing` and returns where its bytes are. A file that the cache has is not fetched again.
///
/// # Errors
/// [`Error::Fetch`] where the server refuses, breaks off again and again, or sends bytes with another SHA-256; what was
/// got so far stays for the next time, but for wrong bytes. [`Error::Read`] and [`Error::Write`] for the cache's files.
pub fn file(
    hub: &Hub,
    listing: &Listing,
    file: &RemoteFile,
    watch: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, Error> {
    let cache = Cache::open(&hub.environment().cache, &listing.repository)?;
    if !cache.has(file)? {
        let mut part = cache.part(file)?;
        let mut told = |done| watch(Progress::Download { file: &file.path, done, total: file.size });
        fill(hub, listing, file, &mut part, &mut told)?;
        check(file, &mut part)?;
        part.finish(&cache.blob(file))?;
    }
    cache.link(listing, file)?;
    Ok(cache.blob(file))
}

/// Tries until `part` is as long as it should be.
fn fill(
    hub: &Hub,
    listing: &Listing,
    file: &RemoteFile,
    part: &mut Part,
    told: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let mut idle = 0;
    let mut tried = 0;
    loop {
        tried += 1;
        let before = part.len()?;
        let found = match piece(hub, listing, file, part, told) {
            Ok(()) if part.len()? == file.size => return Ok(()),
            Ok(()) => "the connection ended early".to_string(),
            Err(Failure::Local(error)) => return Err(error),
            Err(Failure::Refused(Refusal::Final(found))) => return Err(gave_up(hub, file, found, part.len()?)),
            Err(Failure::Refused(Refusal::Passing(found))) => found,
        };
        idle = if part.len()? > before { 0 } else { idle + 1 };
        tracing::info!("{}: {found}; {} of {} bytes are there", file.path, part.len()?, file.size);
        if idle >= TRIES || tried >= MOST_TRIES {
            return Err(gave_up(hub, file, found, part.len()?));
        }
        std::thread::sleep(PAUSE * 2u32.pow(idle.saturating_sub(1)));
    }
}

/// One answer of the server's, added to `part` as far as it comes.
fn piece(
    hub: &Hub,
    listing: &Listing,
    file: &RemoteFile,
    part: &mut Part,
    told: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    let mut done = part.len().map_err(Failure::Local)?;
    if done > file.size {
        part.clear().map_err(Failure::Local)?;
        done = 0;
    }
    told(done);
    if done == file.size {
        return Ok(());
    }
    let response = hub.open(listing, file, done).map_err(Failure::Refused)?;
    if done > 0 && !goes_on(&response, done) {
        part.clear().map_err(Failure::Local)?;
        done = 0;
    }
    let mut body = response.take(file.size - done);
    let mut room = vec![0; 1 << 16];
    loop {
        let count = body.read(&mut room).map_err(|error| Failure::Refused(Refusal::Passing(broken(&error))))?;
        if count == 0 {
            return Ok(());
        }
        part.add(&room[..count]).map_err(Failure::Local)?;
        done += count as u64;
        told(done);
    }
}

/// Whether the answer starts at byte `start`. A server may send the whole file instead.
fn goes_on(response: &reqwest::blocking::Response, start: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let starts = range.is_none_or(|range| range.starts_with(&format!("bytes {start}-")));
    response.status() == StatusCode::PARTIAL_CONTENT && starts
}

fn broken(error: &std::io::Error) -> String {
    let late = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
    match late.is_some_and(reqwest::Error::is_timeout) {
        true => "no further bytes in time".into(),
        false => format!("the connection broke off ({error})"),
    }
}

fn check(file: &RemoteFile, part: &mut Part) -> Result<(), Error> {
    let found = part.sha256()?;
    if found == file.sha256 {
        return Ok(());
    }
    part.clear()?;
    Err(Error::Fetch {
        what: format!("{}: wrong checksum", file.path),
        found: format!("found SHA-256 {found}, expected {}", file.sha256),
        advice:
            "the bytes were damaged on the way or the server is not what it says: nothing of them was kept; try again"
                .into(),
    })
}

fn gave_up(hub: &Hub, file: &RemoteFile, found: String, done: u64) -> Error {
    Error::Fetch {
        what: format!("{} from {}", file.path, hub.environment().endpoint),
        found,
        advice: format!(
            "{done} of {} bytes are kept: check the network and give the same command again to go on from there",
            file.size
        ),
    }
}
