//! A server with a folder of runs that no training made, and requests to it.

use candle_core::Device;
use gan_core::weights::{self, DataDescription, Description};
use gan_core::{Generator, Init, LayeredGenerator};
use gan_report::{Colour, Picture};
use gan_run::{Existing, RunFolder};
use gan_serve::{Options, Server};
use gan_train::{Architecture, Plan, layering, presets};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// A served folder. The folder above it is not served.
pub struct Site {
    server: Server,
    dir: TempDir,
}

impl Site {
    pub fn new() -> Self {
        Self::at("127.0.0.1:0")
    }

    pub fn at(address: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folders = vec![dir.path().join("runs")];
        fs::create_dir(&folders[0]).unwrap();
        let options = Options { folders, address: address.parse().unwrap(), names: vec![] };
        Self { server: Server::start(&options).unwrap(), dir }
    }

    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("runs")
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.server.address().port())
    }

    /// Makes a run with `steps` of its `total` steps done, and waits until the server sees it.
    pub fn run(&self, name: &str, steps: u64, total: u64) {
        self.make(name, steps, total);
        std::thread::sleep(Duration::from_millis(550));
        get(self, "/");
    }

    /// Makes a run.
    pub fn make(&self, name: &str, steps: u64, total: u64) {
        let path = self.folder().join(name);
        // ignore-tidy-names: any preset will do
        let mut table = layering::from_preset(presets::find("dcgan-mnist").unwrap()).unwrap();
        layering::set(&mut table, &format!("train.steps={total}")).unwrap();
        RunFolder::create(&path, &layering::read(table).unwrap(), Existing::Keep).unwrap();
        self.append(name, &(1..=steps).map(line).collect::<String>());
        self.picture(name, "samples/step-0000005.png");
        self.picture(name, "samples/step-0000010.png");
    }

    pub fn append(&self, name: &str, lines: &str) {
        let path = self.folder().join(name).join("metrics.jsonl");
        fs::File::options().create(true).append(true).open(path).unwrap().write_all(lines.as_bytes()).unwrap();
    }

    /// Gives a run the generator of a preset of 64×64 images, with random weights.
    #[allow(dead_code)]
    pub fn generator(&self, name: &str) {
        // ignore-tidy-names: any preset of this size will do
        let plan = Plan::preset("dcgan-celeba").unwrap();
        let latent = plan.config().latent;
        let Architecture { input, layers, .. } = &plan.generator;
        let mut rng = gan_base::Rng::new(1);
        let made = LayeredGenerator::new(&latent, input, layers, Init::Glorot, &mut rng, &Device::Cpu).unwrap();
        let data = DataDescription {
            name: "made".into(),
            shape: plan.sample(),
            range: [-1.0, 1.0],
            classes: vec![],
            units: vec![],
        };
        let description = Description {
            format: weights::FORMAT,
            network: "generator".into(),
            input: input.clone(),
            layers: layers.clone(),
            custom: false,
            latent,
            data,
            preset: "made".into(),
            step: 1234,
            seed: 1,
            library: "0".into(),
        };
        let bytes = weights::to_bytes(&made.params(), &description).unwrap();
        fs::write(self.folder().join(name).join("generator.safetensors"), bytes).unwrap();
    }

    /// Leaves the first lines of a log.
    #[allow(dead_code)]
    pub fn cut(&self, name: &str, lines: usize) {
        let path = self.folder().join(name).join("metrics.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.split_inclusive('\n').take(lines).collect::<String>()).unwrap();
    }

    pub fn picture(&self, name: &str, file: &str) {
        let path = self.folder().join(name).join(file);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
        Picture::new(Colour::Grey, [32, 32], (0..=255).cycle().take(1024).collect()).unwrap().save_png(&path).unwrap();
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    pub fn send(&self, path: &str, headers: &str) -> TcpStream {
        let mut stream = self.connect();
        let host = self.address();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n").unwrap();
        stream
    }

    pub fn get_bytes(&self, path: &str, headers: &str) -> Vec<u8> {
        let mut bytes = vec![];
        self.send(path, headers).read_to_end(&mut bytes).unwrap();
        bytes
    }

    pub fn get(&self, path: &str) -> String {
        get(self, path)
    }

    /// Sends any bytes, and returns the answer.
    #[allow(dead_code)]
    pub fn raw(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        stream.write_all(request).ok();
        let mut answer = vec![];
        stream.take(4 << 20).read_to_end(&mut answer).ok();
        answer
    }
}

pub fn get(site: &Site, path: &str) -> String {
    String::from_utf8_lossy(&site.get_bytes(path, "")).into_owned()
}

fn line(step: u64) -> String {
    let wave = step as f64 / 20.0;
    format!("{{\"step\":{step},\"epoch\":0,\"loss_d\":{},\"loss_g\":{wave},\"images_per_s\":128}}\n", 1.0 + wave / 20.0)
}

pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// SplitMix64 (Steele et al. 2014).
#[allow(dead_code)]
pub struct Random(u64);

#[allow(dead_code)]
impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % most as u64) as usize
    }

    fn one<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// Returns a request of parts that have a meaning, in any order, sometimes with bytes replaced.
#[allow(dead_code)]
pub fn random_request(rng: &mut Random, address: &str) -> Vec<u8> {
    const PARTS: [&str; 33] = [
        "/",
        "..",
        "%2e%2e",
        "%2f",
        "runs",
        "run",
        "pictures",
        "samples",
        "step-0000005.png",
        "secret.png",
        "assets",
        "style.css",
        "compare",
        "?run=run",
        "&run=run",
        "?over=minutes",
        "parts",
        "%00",
        "%ff",
        "\u{e9}",
        "config.toml",
        "?",
        "&",
        "=",
        "#",
        "\\",
        "%5c",
        ";",
        "~2",
        "explore",
        "sample",
        "?z=1,0,0",
        ".",
    ];
    let mut path = String::from("/");
    (0..rng.below(9)).for_each(|_| {
        path += rng.one(&PARTS);
        path += rng.one(&["/", "", "/"]);
    });
    let method = rng.one(&["GET", "GET", "GET", "GET", "HEAD", "POST", "get", "", "CONNECT"]);
    let version = rng.one(&["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2", ""]);
    let mut request = format!("{method} {path} {version}\r\n");
    let headers = [
        "Origin: http://evil.example\r\n",
        "Cookie: gan-serve=x\r\n",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "If-None-Match: \"x\"\r\n",
        "X: y\r\n",
        "Range: bytes=0-1\r\n",
        "",
    ];
    match rng.below(12) {
        0 => {}
        1 => request += "Host: evil.example\r\n",
        _ => request += &format!("Host: {address}\r\n"),
    }
    (0..rng.below(3)).for_each(|_| request += rng.one(&headers));
    let mut bytes = request.into_bytes();
    if rng.below(4) == 0 {
        let at = rng.below(bytes.len());
        bytes[at] = rng.below(256) as u8;
    }
    bytes.extend(b"Connection: close\r\n\r\n");
    bytes
}
