//! Runs the binary in its own folder and reads the files that it writes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Arguments of a short run: small networks, small batches, and one thread, because the tests share the cores.
pub const SMALL: &str = "dcgan-mnist --set train.threads=1 --set train.batch=16 --set generator.width=8 --set discriminator.width=8 \
                         --set samples.rows=4 --set samples.columns=4 --set evaluate.every=0";

/// Longer than any step of the tests takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A temporary folder in which commands run.
pub struct WorkDir(TempDir);

/// Exit code and output of a command.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl WorkDir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns a command for `gan` with the arguments of `line`, to be run in this folder.
    pub fn command(&self, line: &str) -> Command {
        self.program(env!("CARGO_BIN_EXE_gan"), line.split_whitespace())
    }

    /// Returns a command for `program` with `args`, to be run in this folder.
    pub fn program<'a>(&self, program: &str, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.0.path()).env_remove("RUST_LOG").stdin(Stdio::null());
        command.env("GAN_CACHE_DIR", env!("CARGO_TARGET_TMPDIR"));
        command
    }

    /// Runs `gan` with the arguments of `line` and waits for its end.
    pub fn gan(&self, line: &str) -> Finished {
        Finished::of(&mut self.command(line))
    }

    /// Runs `gan` and asserts that it succeeds.
    pub fn succeeds(&self, line: &str) -> Finished {
        let finished = self.gan(line);
        assert_eq!(finished.code, Some(0), "gan {line}\n{}", finished.stderr);
        finished
    }

    /// Starts `gan` in the background; its standard error goes to a file.
    pub fn start(&self, line: &str) -> Running {
        self.start_command(self.command(line))
    }

    /// Starts any command in the background.
    pub fn start_command(&self, mut command: Command) -> Running {
        let stderr = self.path("stderr.txt");
        command.stdout(Stdio::null()).stderr(File::create(&stderr).expect("a file"));
        Running { child: command.spawn().expect("gan starts"), stderr }
    }

    /// Creates a folder with the first `count` images and labels of MNIST.
    pub fn first_digits(&self, folder: &str, count: u32) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist");
        fs::create_dir(self.path(folder)).expect("a new folder");
        for (name, head, each) in [("train-images-idx3-ubyte", 16, 28 * 28), ("train-labels-idx1-ubyte", 8, 1)] {
            let packed = File::open(from.join(format!("{name}.gz"))).expect("MNIST in data/");
            let mut bytes = vec![0; head + each * count as usize];
            flate2::read::GzDecoder::new(packed).read_exact(&mut bytes).expect("enough images");
            bytes[4..8].copy_from_slice(&count.to_be_bytes());
            fs::write(self.path(folder).join(name), bytes).expect("a writable folder");
        }
    }

    /// Returns a folder that contains only `generator.safetensors`, a weight file after three steps.
    pub fn with_generator() -> Self {
        static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        let bytes = BYTES.get_or_init(|| {
            let dir = Self::new();
            dir.succeeds(&format!("train {SMALL} --steps 3 --out run"));
            fs::read(dir.path("run/generator.safetensors")).expect("a generator")
        });
        let dir = Self::new();
        fs::write(dir.path("generator.safetensors"), bytes).expect("a copy");
        dir
    }
}

impl Finished {
    pub fn of(command: &mut Command) -> Self {
        Self::try_of(command).expect("the command starts")
    }

    /// Runs a command; `None` if there is no such program.
    pub fn try_of(command: &mut Command) -> Option<Self> {
        let output = command.output().ok()?;
        let stderr = String::from_utf8(output.stderr).expect("text on standard error");
        Some(Self { code: output.status.code(), stdout: output.stdout, stderr })
    }

    /// Returns standard output as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text on standard output")
    }

    /// Asserts that the exit code is `code` and that standard error contains all of `words`.
    #[track_caller]
    pub fn expect(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "no \"{word}\" in: {}", self.stderr);
        }
    }
}

/// A process that is killed when it goes out of scope.
pub struct Running {
    child: Child,
    stderr: PathBuf,
}

impl Running {
    /// Waits until metrics.jsonl of the run in `folder` contains `step`.
    pub fn reaches(&mut self, folder: &Path, step: u64) {
        self.wait_until(|| steps(folder).last().is_some_and(|s| *s >= step));
    }

    /// Waits until standard error contains `words`.
    pub fn waits_for_output(&mut self, words: &str) {
        let stderr = self.stderr.clone();
        self.wait_until(|| fs::read_to_string(&stderr).is_ok_and(|text| text.contains(words)));
    }

    /// Waits until `so` returns true.
    pub fn waits_for(&mut self, so: impl Fn() -> bool) {
        self.wait_until(so);
    }

    fn wait_until(&mut self, so: impl Fn() -> bool) {
        let start = Instant::now();
        while !so() {
            let over = self.child.try_wait().expect("a child");
            assert!(over.is_none() && start.elapsed() < PATIENCE, "{over:?}: {}", self.stderr());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills the process with SIGKILL, or the system's equivalent.
    pub fn kill(mut self) {
        self.child.kill().expect("a child to kill");
        self.child.wait().expect("its end");
    }

    /// Sends the signal called `name`.
    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// Waits for the end of the process, which must come within `patience`.
    #[cfg(feature = "mpi")]
    pub fn ends_within(&mut self, patience: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(start.elapsed() < patience, "still there after {patience:?}: {}", self.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn end(&mut self) -> ExitStatus {
        self.child.wait().expect("its end")
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).expect("standard error")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Returns the lines of a run's metrics.jsonl without the speed; an incomplete last line is ignored.
pub fn metrics(folder: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let line = |line| {
        let mut value: serde_json::Value = serde_json::from_str(line).expect("JSON in each line");
        value.as_object_mut().expect("an object").remove("images_per_s");
        value
    };
    whole.lines().map(line).collect()
}

/// Returns the steps in a run's metrics.jsonl.
pub fn steps(folder: &Path) -> Vec<u64> {
    metrics(folder).iter().map(|line| line["step"].as_u64().expect("a step")).collect()
}

/// Returns every file below `folder` with its bytes, without the speed. TensorBoard's file and the page contain times and are left out.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        if path.is_dir() {
            all.extend(files(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else if name == "metrics.jsonl" {
            all.insert(name, format!("{:?}", metrics(folder)).into_bytes());
        } else if !name.starts_with("events.out.tfevents") && name != "report.html" {
            all.insert(name, fs::read(&path).expect("a readable file"));
        }
    }
    all
}

/// Asserts that both folders contain the same files with the same bytes.
#[track_caller]
pub fn assert_same(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    let different: Vec<_> = a.iter().filter(|(name, bytes)| b[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(different.is_empty(), "these files differ: {different:?}");
}

/// Returns the files that are equal for runs with different settings but the same steps: weights, metrics, samples.
pub fn results(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = files(folder);
    all.retain(|name, _| {
        ["generator.safetensors", "metrics.jsonl"].contains(&name.as_str()) || name.starts_with("samples/")
    });
    all
}

/// Copies a folder recursively.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// Prints that `what` is skipped, directly to standard error, because the test harness captures printed text.
///
/// # Panics
/// If the environment variable CI is set, because every test must then run.
pub fn skipped(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI is set, but this would be skipped: {what}");
    writeln!(std::io::stderr(), "SKIPPED: {what}").ok();
}
