//! Several processes that train one model, started with `mpirun`: equal losses, reproducible bits, evaluation, resuming, and
//! ranks that are killed, silent, disconnected or different.

use crate::common::{Finished, Running, SMALL, WorkDir, assert_same, files, skipped, steps};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Time within which a run must end after a rank fails.
const OVER: Duration = Duration::from_secs(30);
/// With these settings, Open MPI's daemons detect after 11 seconds that a host is disconnected; see docs/scaling.md.
const KEEPALIVE: &str =
    "--mca oob_tcp_keepalive_time 5 --mca oob_tcp_keepalive_intvl 2 --mca oob_tcp_keepalive_probes 3";

/// Returns the command `mpirun -n RANKS gan LINE`.
fn mpirun(dir: &WorkDir, ranks: usize, line: &str) -> Command {
    apart(dir, &format!("-n {ranks} {} {line}", env!("CARGO_BIN_EXE_gan")))
}

/// Returns a command for `mpirun` with these arguments.
fn apart(dir: &WorkDir, words: &str) -> Command {
    let mut command =
        dir.program("mpirun", "--oversubscribe --bind-to none".split(' ').chain(words.split_whitespace()));
    as_root(&mut command);
    command
}

fn as_root(command: &mut Command) {
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
}

fn succeeds(mut command: Command) -> Finished {
    let finished = Finished::of(&mut command);
    assert_eq!(finished.code, Some(0), "{command:?}\n{}", finished.stderr);
    finished
}

/// Returns the losses of D and G in each step.
fn losses(run: &Path) -> Vec<[f64; 2]> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).expect("a log");
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    lines.filter_map(|line| Some([line["loss_d"].as_f64()?, line["loss_g"].as_f64()?])).collect()
}

#[test]
fn ranks_give_the_losses_of_one_process_reproducibly() {
    let dir = WorkDir::new();
    let line = format!(
        "train {SMALL} --steps 20 --set train.batch=18 --set train.precision=f32-accurate --set train.log_every=1"
    );
    dir.succeeds(&format!("{line} --out alone"));
    let alone = losses(&dir.path("alone"));
    for ranks in [2, 3] {
        for repeat in ["", "-again"] {
            succeeds(mpirun(&dir, ranks, &format!("{line} --out ranks-{ranks}{repeat}")));
        }
        let (once, again) = (dir.path(&format!("ranks-{ranks}")), dir.path(&format!("ranks-{ranks}-again")));
        assert_same(&files(&once), &files(&again));
        let (found, alone) = (losses(&once), alone.iter());
        assert_eq!(found.len(), 20);
        let apart =
            found.iter().zip(alone).flat_map(|(a, b)| [0, 1].map(|i| (a[i] - b[i]).abs() / b[i].abs().max(0.1)));
        let apart = apart.fold(0.0, f64::max);
        assert!(apart < 1e-4, "{ranks} ranks: {apart:e}");
    }
}

#[test]
fn shared_evaluation_is_equal_and_a_run_resumes_with_any_number_of_ranks() {
    let dir = WorkDir::new();
    let judged = "--set evaluate.every=4 --set evaluate.samples=200 --set checkpoint.every=4";
    let line = |out: &str, steps: u64| format!("train {SMALL} {judged} --steps {steps} --out {out}");
    // The random numbers before the first step do not depend on the number of ranks.
    let first = |run: &str| {
        let text = fs::read_to_string(dir.path(run).join("evaluations.jsonl")).expect("evaluations");
        let line: serde_json::Value = serde_json::from_str(text.lines().next().expect("one")).expect("JSON");
        line["card"].to_string()
    };
    dir.succeeds(&line("alone", 4));
    succeeds(mpirun(&dir, 2, &line("straight", 12)));
    assert_eq!(first("alone"), first("straight"));
    succeeds(mpirun(&dir, 2, &line("halved", 8)));
    succeeds(mpirun(&dir, 2, "train halved --resume --steps 12"));
    let weights =
        |run: &str| fs::read(dir.path(run).join("checkpoints/step-0000012/tensors.safetensors")).expect("a checkpoint");
    assert!(weights("straight") == weights("halved"), "other bits after a resume");
    // Three ranks, and one process, resume this run.
    succeeds(mpirun(&dir, 3, "train halved --resume --steps 16"));
    dir.succeeds("train halved --resume --steps 20");
    assert_eq!(steps(&dir.path("halved")).last(), Some(&20));
    let all = losses(&dir.path("halved"));
    assert!(all.iter().flatten().all(|loss| loss.is_finite()));
}

#[test]
fn ranks_that_differ_are_refused_before_anything_is_written() {
    let dir = WorkDir::new();
    let gan = env!("CARGO_BIN_EXE_gan");
    let mixed = |first: &str, second: &str| {
        Finished::of(&mut apart(
            &dir,
            &format!("-n 1 {gan} train {first} --out run : -n 1 {gan} train {second} --out run"),
        ))
    };
    let cases = [
        (
            SMALL.to_string(),
            SMALL.replace("width=8", "width=4"),
            "rank 1 would train something else: it has `discriminator.width = 4`, rank 0 has `discriminator.width = 8`",
        ),
        (SMALL.to_string(), format!("{SMALL} --set data.limit=500"), "rank 1 would train something else"),
        (SMALL.to_string(), format!("{SMALL} --set data.dir=nowhere"), "nowhere: found no such folder"),
    ];
    for (first, second, words) in cases {
        let finished = mixed(&first, &second);
        assert!(finished.code != Some(0) && finished.stderr.contains(words), "no \"{words}\" in: {}", finished.stderr);
        assert_eq!(finished.stderr.matches("error: ").count(), 1, "{}", finished.stderr);
        assert!(!dir.path("run").exists());
    }
    let few = Finished::of(&mut mpirun(&dir, 3, &format!("train {SMALL} --set train.batch=2 --out run")));
    assert!(few.stderr.contains("too few for 3 processes"), "{}", few.stderr);
}

/// Starts a long run on two ranks and waits for its first checkpoint.
fn long(dir: &WorkDir, command: Command) -> Running {
    let mut run = dir.start_command(command);
    run.reaches(&dir.path("run"), 20);
    run
}

const LONG: &str =
    "--steps 100000 --set checkpoint.every=10 --set train.log_every=10 --set samples.every=100000 --out run";

/// Returns the process id of this rank of the run in `dir`.
fn process(dir: &WorkDir, rank: usize) -> String {
    let (folder, wanted) = (dir.path("run"), format!("OMPI_COMM_WORLD_RANK={rank}"));
    let here = folder.parent().expect("a run folder").canonicalize().expect("a folder");
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let found = processes.filter(|p| fs::read_link(p.path().join("cwd")).is_ok_and(|cwd| cwd == here)).find(|p| {
        let environment = fs::read(p.path().join("environ")).unwrap_or_default();
        let line = fs::read(p.path().join("cmdline")).unwrap_or_default();
        environment.split(|b| *b == 0).any(|entry| entry == wanted.as_bytes())
            && line.split(|b| *b == 0).any(|word| word == b"train")
    });
    found.expect("a rank").file_name().to_string_lossy().into_owned()
}

fn signal(name: &str, process: &str) {
    assert!(Command::new("kill").args([name, process]).status().expect("kill").success());
}

/// Asserts that a run whose rank has failed ends soon, with a message that contains `words`.
fn ends(dir: &WorkDir, mut run: Running, words: &[&str]) {
    let status = run.ends_within(OVER);
    let said = run.stderr();
    assert!(!status.success(), "{said}");
    for word in words {
        assert!(said.contains(word), "no \"{word}\" in: {said}");
    }
    // The checkpoint is preserved, and the run resumes.
    let saved = *steps(&dir.path("run")).last().expect("steps");
    succeeds(mpirun(dir, 2, &format!("train run --resume --steps {}", saved + 10)));
}

#[test]
fn a_killed_rank_ends_the_run() {
    let dir = WorkDir::new();
    let run = long(&dir, mpirun(&dir, 2, &format!("train {SMALL} {LONG}")));
    signal("-KILL", &process(&dir, 1));
    ends(&dir, run, &["rank 1", "signal 9"]);
}

#[test]
fn a_silent_rank_ends_the_run() {
    let dir = WorkDir::new();
    let run = long(&dir, mpirun(&dir, 2, &format!("train {SMALL} {LONG}")));
    signal("-STOP", &process(&dir, 1));
    ends(&dir, run, &["rank 1 of 2 on ", "has not been heard of for 15 seconds"]);
}

/// Two hosts with different addresses on one machine, as network namespaces. They are removed when this is dropped.
struct Hosts(String);

impl Hosts {
    /// Returns `None` without root rights, or if the system has no namespaces.
    fn new(dir: &WorkDir) -> Option<Self> {
        let hosts = Self(format!("gan{}", std::process::id()));
        let name = &hosts.0;
        let script = format!(
            "set -e; for h in a b; do ip netns add {name}$h; ip -n {name}$h link set lo up; done
             ip link add va netns {name}a type veth peer name vb netns {name}b
             ip -n {name}a addr add 10.77.0.1/24 dev va; ip -n {name}b addr add 10.77.0.2/24 dev vb
             ip -n {name}a link set va up; ip -n {name}b link set vb up"
        );
        // A script that starts a daemon on the other host; its first argument is the host.
        let agent = format!(
            "#!/bin/sh\nshift\nexec ip netns exec {name}b unshare --uts sh -c 'hostname host-b; exec sh -c \"$*\"' sh \"$@\"\n"
        );
        fs::write(dir.path("agent"), agent).expect("a file");
        assert!(Command::new("chmod").arg("+x").arg(dir.path("agent")).status().expect("chmod").success());
        let made = Command::new("sh").args(["-c", &script]).output().expect("sh");
        made.status.success().then_some(hosts)
    }

    fn mpirun(&self, dir: &WorkDir, line: &str) -> Command {
        let agent = dir.path("agent");
        let words = format!(
            "--host 10.77.0.1:1,10.77.0.2:1 --mca plm_rsh_agent {} --mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/24 \
             --mca oob_tcp_if_include 10.77.0.0/24 {KEEPALIVE} -n 2 {} {line}",
            agent.display(),
            env!("CARGO_BIN_EXE_gan")
        );
        let name = format!("{}a", self.0);
        let here =
            ["netns", "exec", &name, "unshare", "--uts", "sh", "-c", "hostname host-a; exec \"$@\"", "sh", "mpirun"];
        let mut command = dir.program("ip", here.into_iter().chain(words.split_whitespace()));
        as_root(&mut command);
        command
    }

    fn cut(&self) {
        let done = Command::new("ip").args(["-n", &format!("{}a", self.0), "link", "set", "va", "down"]).status();
        assert!(done.expect("ip").success());
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for side in ["a", "b"] {
            Command::new("ip").args(["netns", "del", &format!("{}{side}", self.0)]).output().ok();
        }
    }
}

#[test]
fn two_hosts_equal_one_and_end_when_disconnected() {
    let dir = WorkDir::new();
    let Some(hosts) = Hosts::new(&dir) else {
        skipped("two hosts, which need root and network namespaces (ip netns)");
        return;
    };
    let line = format!("train {SMALL} --steps 12");
    succeeds(mpirun(&dir, 2, &format!("{line} --out one-host")));
    succeeds(hosts.mpirun(&dir, &format!("{line} --out two-hosts")));
    assert_same(&files(&dir.path("one-host")), &files(&dir.path("two-hosts")));
    let run = long(&dir, hosts.mpirun(&dir, &format!("train {SMALL} {LONG}")));
    hosts.cut();
    ends(&dir, run, &["10.77.0.2"]);
}
