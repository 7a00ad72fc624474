//! `gan serve` shows a run while `gan train` writes it, and changes nothing in it.

use crate::common::{SMALL, WorkDir};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A server that is stopped when it goes out of scope.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(dir: &WorkDir, line: &str) -> Self {
        let mut child = dir.command(line).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("gan starts");
        let mut url = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut url).expect("an address");
        let address = url.trim().trim_start_matches("http://").split('/').next().unwrap_or_default().to_string();
        Self { child, address }
    }

    fn connect(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)
            .expect("a request");
        stream
    }

    fn get(&self, path: &str) -> String {
        let mut bytes = vec![];
        self.connect(path).read_to_end(&mut bytes).expect("an answer");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Returns the contents of all files of a run that repeat exactly.
fn repeated(run: &Path) -> Vec<(String, Vec<u8>)> {
    let names = ["config.toml", "generator.safetensors", "checkpoints/step-0000012/tensors.safetensors"];
    names.map(|name| (name.to_string(), fs::read(run.join(name)).unwrap_or_default())).to_vec()
}

#[test]
fn a_run_is_shown_while_it_trains_and_is_not_changed() {
    let dir = WorkDir::new();
    fs::create_dir(dir.path("runs")).unwrap();
    let serving = Serving::start(&dir, "serve runs --addr 127.0.0.1:0");
    assert!(serving.get("/").contains("There are no runs here yet"));
    let mut training = dir.start(&format!("train {SMALL} --steps 100000 --out runs/live"));
    training.reaches(&dir.path("runs/live"), 2);
    training.waits_for(|| serving.get("/").contains("state training"));
    assert!(serving.get("/runs/live").contains("of 100,000"));
    // An update with a step that is written after the page was opened.
    let mut events = BufReader::new(serving.connect("/runs/live/events?version=none&reached=0"));
    let last = *crate::common::steps(&dir.path("runs/live")).last().expect("a step");
    let start = Instant::now();
    let mut line = String::new();
    loop {
        line.clear();
        events.read_line(&mut line).expect("an update");
        let steps = line.split("\"loss_d\":[[").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
        if steps.split(',').any(|step| step.parse::<f64>().is_ok_and(|step| step > last as f64)) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "no new step arrives");
    }
    training.kill();
    drop(serving);
    // The same run, served and not served.
    let serving = Serving::start(&dir, "serve runs --addr 127.0.0.1:0");
    let mut watched = dir.start(&format!("train {SMALL} --steps 12 --out runs/watched"));
    while !serving.get("/runs/watched").starts_with("HTTP/1.1 200") {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _events = serving.connect("/runs/watched/events");
    assert!(watched.end().success());
    dir.succeeds(&format!("train {SMALL} --steps 12 --out alone"));
    let found = repeated(&dir.path("runs/watched"));
    assert!(found.iter().all(|(_, bytes)| !bytes.is_empty()));
    assert_eq!(found, repeated(&dir.path("alone")));
    let start = Instant::now();
    while !serving.get("/").contains("state finished") {
        assert!(start.elapsed() < Duration::from_secs(10), "the list does not show the end");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn watch_prints_a_run_once_where_there_is_no_terminal() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 6 --out run"));
    let finished = dir.succeeds("watch run");
    for words in ["run  at rest, step 6 of 6", "loss of D", "loss of G", "D(G(z))"] {
        assert!(finished.text().contains(words), "{words}: {}", finished.text());
    }
    assert!(!finished.text().contains('\u{1b}'));
    dir.gan("watch nowhere").expect(2, &["nowhere", "there is no such folder"]);
}

#[test]
fn impossible_arguments_are_refused() {
    let dir = WorkDir::new();
    dir.gan("serve").expect(2, &["runs", "there is no such folder"]);
    fs::write(dir.path("file"), "x").unwrap();
    dir.gan("serve file").expect(2, &["file", "is a file"]);
    dir.gan("serve . --addr localhost").expect(2, &["expected an address in numbers and a port"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    dir.gan(&format!("serve . --addr {address}")).expect(1, &["another program listens there"]);
}
