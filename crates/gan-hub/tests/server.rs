//! A local server that answers like the Hub where models are concerned: repositories, their files, and uploads in one commit.

use gan_hub::sha256;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The token that may write.
pub const TOKEN: &str = "hf_test";

/// A running server.
pub struct ModelServer {
    /// The address, for `HF_ENDPOINT`.
    pub address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    address: String,
    /// Files of each repository, by path; large ones are those that the storage has.
    repositories: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    storage: BTreeMap<String, Vec<u8>>,
    commits: usize,
    requests: Vec<String>,
    refuses_commits: bool,
}

struct Request {
    method: String,
    path: String,
    token: Option<String>,
    body: Vec<u8>,
}

impl ModelServer {
    /// Starts without repositories.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State { address: address.clone(), ..State::default() }));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                // A client that closes the connection is not an error of the server.
                std::thread::spawn(move || answer(stream, &state).ok());
            }
        });
        Self { address, state }
    }

    /// Returns a file of a repository.
    pub fn file(&self, repository: &str, path: &str) -> Option<Vec<u8>> {
        self.state.lock().unwrap().repositories.get(repository)?.get(path).cloned()
    }

    /// Returns the requests so far: method and path.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Sets whether commits fail.
    pub fn refuse_commits(&self, refuses: bool) {
        self.state.lock().unwrap().refuses_commits = refuses;
    }

    /// Replaces bytes in the storage by others of the same length.
    pub fn damage(&self) {
        for bytes in self.state.lock().unwrap().storage.values_mut() {
            bytes[0] ^= 1;
        }
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let request = read(&stream)?;
    let mut state = state.lock().unwrap();
    state.requests.push(format!("{} {}", request.method, request.path));
    let (status, body) = state.handle(&request).unwrap_or(("404 Not Found", vec![]));
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(&body)
}

/// Status and body.
type Answer = (&'static str, Vec<u8>);

fn ok(body: &Value) -> Option<Answer> {
    Some(("200 OK", body.to_string().into_bytes()))
}

impl State {
    fn handle(&mut self, request: &Request) -> Option<Answer> {
        let Request { method, path, token, body } = request;
        let writes = token.as_deref() == Some(&format!("Bearer {TOKEN}"));
        let path = path.trim_start_matches('/');
        if method == "POST" && !writes {
            return Some(("401 Unauthorized", vec![]));
        }
        if let Some(oid) = path.strip_prefix("storage/") {
            return match method.as_str() {
                "PUT" if sha256(body) == oid => {
                    self.storage.insert(oid.into(), body.clone());
                    Some(("200 OK", vec![]))
                }
                "POST" if self.storage.contains_key(oid) => Some(("200 OK", vec![])),
                _ => Some(("400 Bad Request", vec![])),
            };
        }
        if path == "api/repos/create" {
            let asked: Value = serde_json::from_slice(body).ok()?;
            let name = format!("{}/{}", asked["organization"].as_str()?, asked["name"].as_str()?);
            if self.repositories.contains_key(&name) {
                return Some(("409 Conflict", vec![]));
            }
            self.repositories.insert(name, BTreeMap::new());
            return ok(&json!({}));
        }
        if let Some((name, _)) = path.split_once(".git/info/lfs/objects/batch") {
            self.repositories.get(name)?;
            return self.batch(&serde_json::from_slice(body).ok()?);
        }
        let commit = format!("{:040x}", self.commits);
        if let Some(rest) = path.strip_prefix("api/models/") {
            let (name, rest) = two(rest)?;
            let files = self.repositories.get(name)?;
            return match rest {
                "revision/main" => ok(&json!({ "sha": commit })),
                "preupload/main" => ok(&sorted(&serde_json::from_slice(body).ok()?)),
                "commit/main" if self.refuses_commits => Some(("500 Internal Server Error", vec![])),
                "commit/main" => self.commit(name, std::str::from_utf8(body).ok()?),
                _ if rest.starts_with("tree/") => ok(&self.tree(files)),
                _ => None,
            };
        }
        let (name, rest) = two(path)?;
        let file = rest.strip_prefix("resolve/")?.strip_prefix(&commit)?.strip_prefix('/')?;
        let found = self.repositories.get(name)?.get(file)?;
        Some(("200 OK", self.storage.get(&sha256(found)).unwrap_or(found).clone()))
    }

    fn batch(&self, asked: &Value) -> Option<Answer> {
        let object = |object: &Value| {
            let oid = object["oid"].as_str().unwrap_or_default();
            let href = format!("{}/storage/{oid}", self.address);
            match self.storage.contains_key(oid) {
                true => json!({ "oid": oid, "size": object["size"] }),
                false => json!({ "oid": oid, "actions": {
                    "upload": { "href": href, "header": { "x-part": "1" } }, "verify": { "href": href }
                } }),
            }
        };
        ok(
            &json!({ "transfer": "basic", "objects": asked["objects"].as_array()?.iter().map(object).collect::<Vec<_>>() }),
        )
    }

    fn tree(&self, files: &BTreeMap<String, Vec<u8>>) -> Value {
        let entry = |(path, bytes): (&String, &Vec<u8>)| {
            let sum = sha256(bytes);
            match is_large(path) {
                true => json!({ "type": "file", "path": path, "oid": "aa", "size": bytes.len(),
                    "lfs": { "oid": sum, "size": bytes.len() } }),
                false => json!({ "type": "file", "path": path, "oid": git_hash(bytes), "size": bytes.len() }),
            }
        };
        files.iter().map(entry).collect()
    }

    fn commit(&mut self, name: &str, lines: &str) -> Option<Answer> {
        let mut files = self.repositories.get(name)?.clone();
        for line in lines.lines() {
            let line: Value = serde_json::from_str(line).ok()?;
            let value = &line["value"];
            match line["key"].as_str()? {
                "file" => {
                    let text = value["content"].as_str()?;
                    files.insert(value["path"].as_str()?.into(), decoded(text)?);
                }
                "lfsFile" => {
                    let bytes = self.storage.get(value["oid"].as_str()?)?;
                    files.insert(value["path"].as_str()?.into(), bytes.clone());
                }
                _ => {}
            }
        }
        self.commits += 1;
        self.repositories.insert(name.into(), files);
        ok(&json!({ "commitOid": "1" }))
    }
}

/// Splits `owner/name/rest`.
fn two(path: &str) -> Option<(&str, &str)> {
    let (at, _) = path.match_indices('/').nth(1)?;
    Some((&path[..at], &path[at + 1..]))
}

fn is_large(path: &str) -> bool {
    [".safetensors", ".onnx", ".png"].iter().any(|ending| path.ends_with(ending))
}

fn sorted(asked: &Value) -> Value {
    let file = |file: &Value| {
        let path = file["path"].as_str().unwrap_or_default();
        json!({ "path": path, "uploadMode": if is_large(path) { "lfs" } else { "regular" } })
    };
    json!({ "files": asked["files"].as_array().into_iter().flatten().map(file).collect::<Vec<_>>() })
}

fn git_hash(bytes: &[u8]) -> String {
    use sha1::{Digest, Sha1};
    let mut sha = Sha1::new();
    sha.update(format!("blob {}\0", bytes.len()));
    sha.update(bytes);
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

fn read(stream: &TcpStream) -> std::io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let words: Vec<String> = line.split(' ').map(String::from).collect();
    let mut length = 0;
    let mut token = None;
    let mut is_chunked = false;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap_or(0),
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => token = Some(value.to_string()),
            Some((name, _)) if name.eq_ignore_ascii_case("transfer-encoding") => is_chunked = true,
            None => break,
            _ => {}
        }
    }
    assert!(!is_chunked, "the Hub's storage wants a length");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let word = |index: usize| words.get(index).cloned().unwrap_or_default();
    let path = word(1).split('?').next().unwrap_or_default().to_string();
    Ok(Request { method: word(0), path, token, body })
}
