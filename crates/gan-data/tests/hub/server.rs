//! A local server that answers like the Hub: the commit of a branch, the list of files, and, after a redirect, the bytes of files or
//! ranges of them. It can be set to fail in one way.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The commit of the branch "main".
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The behavior of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Works correctly.
    Good,
    /// Closes each of the first `times` connections for files after `after` bytes.
    BreaksOff { after: usize, times: usize },
    /// Stops sending at byte `at` of a file and keeps the connection open.
    Stalls { at: usize },
    /// Ignores ranges and always sends whole files. The first connection is closed after 100 bytes.
    KnowsNoRanges,
    /// Flips a bit of each file.
    Damages,
    /// Accepts connections and never answers.
    Silent,
    /// Answers every request with this status.
    Answers(u16),
    /// Links every page of a list to a next page.
    NeverEnds,
    /// Links a list to a next page on another server.
    GoesOnAt(&'static str),
    /// Lists the Parquet files on a second page, with a relative link.
    TwoPages,
    /// Sends endless JSON.
    Rambles,
}

/// A running server.
pub struct Server {
    /// The address, for `HF_ENDPOINT`.
    pub address: String,
    state: Arc<State>,
}

struct State {
    folder: PathBuf,
    /// Repository, folder in it, local file.
    files: Vec<[&'static str; 3]>,
    manner: Mutex<Manner>,
    requests: Mutex<Vec<String>>,
    broken: AtomicUsize,
}

impl Server {
    /// Serves the Parquet files in `fixtures`.
    pub fn start(fixtures: &Path, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(State {
            folder: fixtures.into(),
            files: vec![
                ["ylecun/mnist", "mnist/train-00000-of-00001.parquet", "mnist-train.parquet"],
                ["ylecun/mnist", "mnist/test-00000-of-00001.parquet", "mnist-test.parquet"],
                ["zalando-datasets/fashion_mnist", "fashion_mnist/train-00000-of-00001.parquet", "mnist-train.parquet"],
                ["zalando-datasets/fashion_mnist", "fashion_mnist/test-00000-of-00001.parquet", "mnist-test.parquet"],
                ["uoft-cs/cifar10", "plain_text/train-00000-of-00001.parquet", "cifar10-train.parquet"],
                ["uoft-cs/cifar10", "plain_text/test-00000-of-00001.parquet", "cifar10-test.parquet"],
                ["flwrlabs/celeba", "img_align+identity+attr/train-00000-of-00001.parquet", "celeba-train.parquet"],
                ["flwrlabs/celeba", "img_align+identity+attr/valid-00000-of-00001.parquet", "celeba-valid.parquet"],
                ["flwrlabs/celeba", "img_align+identity+attr/test-00000-of-00001.parquet", "celeba-test.parquet"],
            ],
            manner: Mutex::new(manner),
            requests: Mutex::default(),
            broken: AtomicUsize::new(0),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                // A client that closes the connection is not an error of the server.
                std::thread::spawn(move || state.answer(stream).ok());
            }
        });
        Self { address, state }
    }

    /// Changes the behavior from now on.
    pub fn now(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    /// Returns the requests so far: path, range and token. The redirects of files are not included.
    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }
}

impl State {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let (path, range, token) = request(&stream)?;
        let manner = *self.manner.lock().unwrap();
        match (manner, path.strip_prefix("/bytes/")) {
            (Manner::Silent, _) => {
                std::thread::sleep(Duration::from_secs(60));
                Ok(())
            }
            (Manner::Answers(status), _) => head(&mut stream, &format!("{status} No"), &[], 0),
            (Manner::Rambles, _) => {
                head(&mut stream, "200 OK", &[], 1 << 40)?;
                // Send until the client closes the connection.
                loop {
                    stream.write_all(&[b' '; 1 << 16])?;
                }
            }
            (_, Some(name)) => {
                self.note(format!("{name} {}", range.clone().unwrap_or_default()));
                self.bytes(&mut stream, name, range.as_deref(), manner)
            }
            _ => {
                if path.starts_with("/api/") {
                    self.note(format!("{path} {}", token.unwrap_or_default()));
                }
                self.describe(&mut stream, &path, manner)
            }
        }
    }

    fn note(&self, line: String) {
        self.requests.lock().unwrap().push(line.trim().into());
    }

    /// Answers with a commit, a list, or the redirect to a file's bytes.
    fn describe(&self, stream: &mut TcpStream, path: &str, manner: Manner) -> std::io::Result<()> {
        for [repository, there, here] in &self.files {
            if path == format!("/api/datasets/{repository}/revision/main") {
                return json(stream, &format!(r#"{{"id":"{repository}","sha":"{COMMIT}","private":false}}"#));
            }
            let tree = format!("/api/datasets/{repository}/tree/{COMMIT}?recursive=true");
            let next = format!("{tree}&cursor=2");
            let page = |stream: &mut TcpStream, text: &str, next: &str| {
                let link = format!("Link: <{next}>; rel=\"next\"");
                head(stream, "200 OK", &["Content-Type: application/json".into(), link], text.len())?;
                stream.write_all(text.as_bytes())
            };
            match manner {
                Manner::NeverEnds if path.starts_with(&tree) => return page(stream, "[]", &next),
                Manner::GoesOnAt(other) if path == tree => return page(stream, "[]", other),
                Manner::TwoPages if path == tree => return page(stream, "[]", &next),
                Manner::TwoPages if path == next => return json(stream, &self.tree(repository)),
                _ if path == tree => return json(stream, &self.tree(repository)),
                _ => {}
            }
            if path == format!("/datasets/{repository}/resolve/{COMMIT}/{there}") {
                return head(stream, "302 Found", &[format!("Location: /bytes/{here}")], 0);
            }
        }
        head(stream, "404 Not Found", &[], 0)
    }

    fn tree(&self, repository: &str) -> String {
        let sums = std::fs::read_to_string(self.folder.join("SHA256SUMS")).expect("checksums");
        let sum =
            |name: &str| sums.lines().find_map(|line| line.strip_suffix(name)).expect("a checksum").trim().to_string();
        let entry = |[_, there, here]: &[&str; 3]| {
            let size = std::fs::metadata(self.folder.join(here)).expect("a fixture").len();
            let lfs = format!(r#"{{"oid":"{}","size":{size},"pointerSize":130}}"#, sum(here));
            format!(r#"{{"type":"file","oid":"aa","size":{size},"lfs":{lfs},"xetHash":"bb","path":"{there}"}}"#)
        };
        let entries: Vec<String> = self.files.iter().filter(|row| row[0] == repository).map(entry).collect();
        let rest = r#"{"type":"directory","oid":"cc","size":0,"path":"x"},{"type":"file","oid":"dd","size":9,"path":"README.md"}"#;
        format!("[{rest},{}]", entries.join(","))
    }

    fn bytes(&self, stream: &mut TcpStream, name: &str, range: Option<&str>, manner: Manner) -> std::io::Result<()> {
        let mut bytes = std::fs::read(self.folder.join(name))?;
        if manner == Manner::Damages {
            bytes[700] ^= 1;
        }
        let total = bytes.len();
        let start = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        let start = start.filter(|_| manner != Manner::KnowsNoRanges);
        let body = &bytes[start.unwrap_or(0)..];
        match start {
            Some(start) => {
                let range = format!("Content-Range: bytes {start}-{}/{total}", total - 1);
                head(stream, "206 Partial Content", &[range], body.len())?;
            }
            None => head(stream, "200 OK", &[], body.len())?,
        }
        let once = |times: usize| self.broken.fetch_add(1, Ordering::SeqCst) < times;
        match manner {
            Manner::BreaksOff { after, times } if once(times) => stream.write_all(&body[..after.min(body.len())]),
            Manner::KnowsNoRanges if once(1) => stream.write_all(&body[..100]),
            Manner::Stalls { at } => {
                stream.write_all(&bytes[start.unwrap_or(0)..at])?;
                std::thread::sleep(Duration::from_secs(60));
                Ok(())
            }
            _ => stream.write_all(body),
        }
    }
}

/// Reads the path, range and token of a request.
fn request(stream: &TcpStream) -> std::io::Result<(String, Option<String>, Option<String>)> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_string();
    let (mut range, mut token) = (None, None);
    for line in lines {
        let line = line?;
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("range") => range = Some(value.into()),
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => token = Some(value.into()),
            None => break,
            _ => {}
        }
    }
    Ok((path, range, token))
}

fn json(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    head(stream, "200 OK", &["Content-Type: application/json".into()], text.len())?;
    stream.write_all(text.as_bytes())
}

fn head(stream: &mut TcpStream, status: &str, more: &[String], length: usize) -> std::io::Result<()> {
    let more: String = more.iter().map(|line| format!("{line}\r\n")).collect();
    write!(stream, "HTTP/1.1 {status}\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n")
}
