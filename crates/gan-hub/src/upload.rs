//! Uploads: files on the main branch in one commit.
//!
//! The server says which files go to Git LFS, by their names, sizes and first bytes. Those are sent to its storage, which keeps them by their
//! SHA-256 and needs none twice; small ones are part of the commit itself. Sources: the Hub's API (`repos/create`, `preupload`, `commit`) and
//! the specification of Git LFS' batch API.

use crate::answers::{self, Refusal};
use crate::cache::hexadecimal;
use crate::client::{Client, checked, whole};
use crate::{Error, Repository, Result, Watch, sha256, sha256_of_file};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::blocking::Body;
use serde::Deserialize;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

/// Number of bytes that the server sees of a file before it decides where the file goes.
const SAMPLE: usize = 512;

/// Largest file in bytes that is part of a commit; the server sends larger ones to its storage.
const MOST_INLINE: u64 = 10 << 20;

/// Slowest connection in bytes a second that an upload waits for.
const SLOWEST: u64 = 20_000;

/// Contents of a file to upload.
#[derive(Clone, Debug)]
pub enum Content {
    /// Bytes.
    Bytes(Vec<u8>),
    /// A file.
    File(PathBuf),
}

/// Files to upload.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    /// Title of the commit.
    pub title: String,
    /// Each file's path in the repository, and its contents.
    pub files: Vec<(String, Content)>,
    /// Whether only the owner sees a repository that is created.
    pub is_private: bool,
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The repository has the same bytes already.
    Same,
    /// The server's storage has the bytes already: only the commit names them.
    Known,
    /// It was sent.
    Sent,
}

/// Result of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Address of the repository's page.
    pub page: String,
    /// Each file's path and what happened to it.
    pub files: Vec<(String, Change)>,
}

/// A file with what the requests say about it.
struct Item<'a> {
    path: &'a str,
    content: &'a Content,
    size: u64,
    sha256: String,
    sample: Vec<u8>,
    change: Change,
    is_large: bool,
}

/// Uploads files; see [`crate::Hub::upload`].
pub(crate) fn send(client: &Client, repository: &Repository, upload: &Upload, watch: &mut Watch) -> Result<Uploaded> {
    let failed = |refusal| client.failed("uploading to", repository, refusal);
    if client.environment.token.is_none() {
        let advice = "make a token that may write at https://huggingface.co/settings/tokens, and set HF_TOKEN or give it to `hf auth login`";
        return Err(Error::refused(format!("uploading to {repository}"), "there is no access token", advice));
    }
    let mut items = upload.files.iter().map(|(path, content)| item(path, content)).collect::<Result<Vec<_>>>()?;
    create(client, repository, upload.is_private).map_err(failed)?;
    let there: HashMap<String, String> = client.hashes(repository).map_err(failed)?.into_iter().collect();
    for item in &mut items {
        let is_same = match there.get(item.path) {
            Some(hash) if hash.len() == item.sha256.len() => *hash == item.sha256,
            Some(hash) if item.size <= MOST_INLINE => *hash == git_hash(&item.bytes()?),
            _ => false,
        };
        item.change = if is_same { Change::Same } else { Change::Sent };
    }
    let mut changed: Vec<&mut Item> = items.iter_mut().filter(|item| item.change != Change::Same).collect();
    if !changed.is_empty() {
        sort_out(client, repository, &mut changed).map_err(failed)?;
        store(client, repository, &mut changed, watch)?;
        commit(client, repository, &upload.title, &changed)?;
    }
    let page = format!("{}/{}", client.environment.endpoint, repository.page());
    Ok(Uploaded { page, files: items.iter().map(|item| (item.path.to_string(), item.change)).collect() })
}

fn item<'a>(path: &'a str, content: &'a Content) -> Result<Item<'a>> {
    let (size, sha256, sample) = match content {
        Content::Bytes(bytes) => (bytes.len() as u64, sha256(bytes), bytes.iter().take(SAMPLE).copied().collect()),
        Content::File(file) => {
            let failed = Error::read(file);
            let size = fs::metadata(file).map_err(failed)?.len();
            let mut sample = vec![];
            File::open(file).and_then(|file| file.take(SAMPLE as u64).read_to_end(&mut sample)).map_err(failed)?;
            (size, sha256_of_file(file)?, sample)
        }
    };
    Ok(Item { path, content, size, sha256, sample, change: Change::Sent, is_large: false })
}

impl Item<'_> {
    fn bytes(&self) -> Result<Vec<u8>> {
        match self.content {
            Content::Bytes(bytes) => Ok(bytes.clone()),
            Content::File(path) => fs::read(path).map_err(Error::read(path)),
        }
    }

    fn body(&self) -> Result<Body> {
        match self.content {
            Content::Bytes(bytes) => Ok(bytes.clone().into()),
            Content::File(path) => Ok(Body::sized(File::open(path).map_err(Error::read(path))?, self.size)),
        }
    }
}

/// Returns git's hash of a file with these bytes.
fn git_hash(bytes: &[u8]) -> String {
    let mut sha = Sha1::new();
    sha.update(format!("blob {}\0", bytes.len()));
    sha.update(bytes);
    hexadecimal(&sha.finalize())
}

/// Creates the repository, unless it exists.
fn create(client: &Client, repository: &Repository, is_private: bool) -> std::result::Result<(), Refusal> {
    let url = format!("{}/api/repos/create", client.environment.endpoint);
    let body = json!({
        "type": "model", "name": repository.short_name(), "organization": repository.owner(), "private": is_private
    });
    let answer = client.answer(&url, |http, url| http.post(url).json(&body))?;
    if answer.status() == StatusCode::CONFLICT { Ok(()) } else { checked(answer).map(drop) }
}

#[derive(Deserialize)]
struct Sorted {
    files: Vec<SortedFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SortedFile {
    path: String,
    upload_mode: String,
}

/// Asks which files go to the server's storage.
fn sort_out(client: &Client, repository: &Repository, items: &mut [&mut Item]) -> std::result::Result<(), Refusal> {
    let files: Vec<Value> = items
        .iter()
        .map(|item| json!({ "path": item.path, "size": item.size, "sample": STANDARD.encode(&item.sample) }))
        .collect();
    let url = format!("{}/preupload/main", client.api(repository));
    let answer = client.send(&url, |http, url| http.post(url).json(&json!({ "files": files })))?;
    let sorted: Sorted = answers::json(&whole(answer)?)?;
    for item in items {
        let found = sorted.files.iter().find(|file| file.path == item.path);
        item.is_large = item.size > MOST_INLINE || found.is_some_and(|file| file.upload_mode == "lfs");
    }
    Ok(())
}

#[derive(Deserialize)]
struct Batch {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    actions: Option<Actions>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Actions {
    upload: Option<Action>,
    verify: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    #[serde(default)]
    header: BTreeMap<String, String>,
}

/// Sends large files to the server's storage, except those that it has.
fn store(client: &Client, repository: &Repository, items: &mut [&mut Item], watch: &mut Watch) -> Result<()> {
    let failed = |refusal| client.failed("uploading to", repository, refusal);
    let large: Vec<&mut &mut Item> = items.iter_mut().filter(|item| item.is_large).collect();
    if large.is_empty() {
        return Ok(());
    }
    let objects: Vec<Value> = large.iter().map(|item| json!({ "oid": item.sha256, "size": item.size })).collect();
    let body = json!({ "operation": "upload", "transfers": ["basic"], "objects": objects, "hash_algo": "sha256" });
    let url = format!("{}/{}.git/info/lfs/objects/batch", client.environment.endpoint, repository.page());
    let form = "application/vnd.git-lfs+json";
    let ask = || {
        let request = |http: &reqwest::blocking::Client, url| {
            let body = serde_json::to_vec(&body).unwrap_or_default();
            http.post(url).header("accept", form).header("content-type", form).body(body)
        };
        answers::json::<Batch>(&whole(client.send(&url, request)?)?)
    };
    let batch = ask().map_err(failed)?;
    for item in large {
        let found = batch.objects.iter().find(|object| object.oid == item.sha256);
        let missing = || Refusal::Final(format!("it says nothing about {}", item.path));
        let object = found.ok_or_else(missing).map_err(failed)?;
        if let Some(error) = &object.error {
            return Err(failed(Refusal::Final(format!("{}: it answers {error}", item.path))));
        }
        let Some(Actions { upload: Some(upload), verify }) = &object.actions else {
            item.change = Change::Known;
            continue;
        };
        watch(item.path, 0, item.size);
        let content = item.body()?;
        let patience = client.environment.patience + Duration::from_secs(item.size / SLOWEST);
        let put = client.send(&upload.href, |http, url| {
            let request = http.put(url).timeout(patience).body(content);
            upload.header.iter().fold(request, |request, (name, value)| request.header(name, value))
        });
        put.map_err(|refusal| failed(named(item.path, refusal)))?;
        if let Some(verify) = verify {
            let body = json!({ "oid": item.sha256, "size": item.size });
            let asked = client.send(&verify.href, |http, url| {
                let request = http.post(url).json(&body);
                verify.header.iter().fold(request, |request, (name, value)| request.header(name, value))
            });
            asked.map_err(|refusal| failed(named(item.path, refusal)))?;
        }
        watch(item.path, item.size, item.size);
    }
    Ok(())
}

/// Adds a file's path to a refusal.
fn named(path: &str, refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Passing(found) => Refusal::Passing(format!("{path}: {found}")),
        Refusal::Final(found) => Refusal::Final(format!("{path}: {found}")),
    }
}

/// Puts the files on the main branch.
fn commit(client: &Client, repository: &Repository, title: &str, items: &[&mut Item]) -> Result<()> {
    let mut lines = vec![json!({ "key": "header", "value": { "summary": title, "description": "" } })];
    for item in items {
        lines.push(match item.is_large {
            true => json!({ "key": "lfsFile", "value": {
                "path": item.path, "algo": "sha256", "oid": item.sha256, "size": item.size
            } }),
            false => json!({ "key": "file", "value": {
                "path": item.path, "encoding": "base64", "content": STANDARD.encode(item.bytes()?)
            } }),
        });
    }
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let url = format!("{}/commit/main", client.api(repository));
    let sent = client.send(&url, |http, url| http.post(url).header("content-type", "application/x-ndjson").body(body));
    sent.map(drop).map_err(|refusal| client.failed("uploading to", repository, refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_hashes_are_gits() {
        // printf 'hello\n' | git hash-object --stdin
        assert_eq!(git_hash(b"hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(git_hash(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }
}
