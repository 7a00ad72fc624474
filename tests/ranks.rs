//! Several processes that train one model, started with `mpirun`: equal losses, reproducible bits, evaluation, resuming, and
//! ranks that are killed, silent, disconnected or different.

use crate::common::{Place, Ran, Running, SMALL, assert_same, files, skipped, steps};
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
fn mpirun(place: &Place, ranks: usize, line: &str) -> Command {
    apart(place, &format!("-n {ranks} {} {line}", env!("CARGO_BIN_EXE_gan")))
}

/// Returns a command for `mpirun` with these arguments.
fn apart(place: &Place, words: &str) -> Command {
    let mut command =
        place.program("mpirun", "--oversubscribe --bind-to none".split(' ').chain(words.split_whitespace()));
    as_root(&mut command);
    command
}

fn as_root(command: &mut Command) {
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
}

fn good(mut command: Command) -> Ran {
    let ran = Ran::of(&mut command);
    assert_eq!(ran.code, Some(0), "{command:?}\n{}", ran.stderr);
    ran
}

/// Returns the losses of D and G in each step.
fn losses(run: &Path) -> Vec<[f64; 2]> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).expect("a log");
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    lines.filter_map(|line| Some([line["loss_d"].as_f64()?, line["loss_g"].as_f64()?])).collect()
}

#[test]
fn ranks_give_the_losses_of_one_process_reproducibly() {
    let place = Place::new();
    let line = format!(
        "train {SMALL} --steps 20 --set train.batch=18 --set train.precision=f32-accurate --set train.log_every=1"
    );
    place.good(&format!("{line} --out alone"));
    let alone = losses(&place.path("alone"));
    for ranks in [2, 3] {
        for repeat in ["", "-again"] {
            good(mpirun(&place, ranks, &format!("{line} --out ranks-{ranks}{repeat}")));
        }
        let (once, again) = (place.path(&format!("ranks-{ranks}")), place.path(&format!("ranks-{ranks}-again")));
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
    let place = Place::new();
    let judged = "--set evaluate.every=4 --set evaluate.samples=200 --set checkpoint.every=4";
    let line = |out: &str, steps: u64| format!("train {SMALL} {judged} --steps {steps} --out {out}");
    // The random numbers before the first step do not depend on the number of ranks.
    let first = |run: &str| {
        let text = fs::read_to_string(place.path(run).join("evaluations.jsonl")).expect("evaluations");
        let line: serde_json::Value = serde_json::from_str(text.lines().next().expect("one")).expect("JSON");
        line["card"].to_string()
    };
    place.good(&line("alone", 4));
    good(mpirun(&place, 2, &line("straight", 12)));
    assert_eq!(first("alone"), first("straight"));
    good(mpirun(&place, 2, &line("halved", 8)));
    good(mpirun(&place, 2, "train halved --resume --steps 12"));
    let weights = |run: &str| {
        fs::read(place.path(run).join("checkpoints/step-0000012/tensors.safetensors")).expect("a checkpoint")
    };
    assert!(weights("straight") == weights("halved"), "other bits after a resume");
    // Three ranks, and one process, resume this run.
    good(mpirun(&place, 3, "train halved --resume --steps 16"));
    place.good("train halved --resume --steps 20");
    assert_eq!(steps(&place.path("halved")).last(), Some(&20));
    let all = losses(&place.path("halved"));
    assert!(all.iter().flatten().all(|loss| loss.is_finite()));
}

#[test]
fn ranks_that_differ_are_refused_before_anything_is_written() {
    let place = Place::new();
    let gan = env!("CARGO_BIN_EXE_gan");
    let mixed = |first: &str, second: &str| {
        Ran::of(&mut apart(
            &place,
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
        let ran = mixed(&first, &second);
        assert!(ran.code != Some(0) && ran.stderr.contains(words), "no \"{words}\" in: {}", ran.stderr);
        assert_eq!(ran.stderr.matches("error: ").count(), 1, "{}", ran.stderr);
        assert!(!place.path("run").exists());
    }
    let few = Ran::of(&mut mpirun(&place, 3, &format!("train {SMALL} --set train.batch=2 --out run")));
    assert!(few.stderr.contains("too few for 3 processes"), "{}", few.stderr);
}

/// Starts a long run on two ranks and waits for its first checkpoint.
fn long(place: &Place, command: Command) -> Running {
    let mut run = place.start_command(command);
    run.reaches(&place.path("run"), 20);
    run
}

const LONG: &str =
    "--steps 100000 --set checkpoint.every=10 --set train.log_every=10 --set samples.every=100000 --out run";

/// Returns the process id of this rank of the run in `place`.
fn process(place: &Place, rank: usize) -> String {
    let (folder, wanted) = (place.path("run"), format!("OMPI_COMM_WORLD_RANK={rank}"));
    let here = folder.parent().expect("a place").canonicalize().expect("a folder");
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
fn ends(place: &Place, mut run: Running, words: &[&str]) {
    let status = run.ends_within(OVER);
    let said = run.stderr();
    assert!(!status.success(), "{said}");
    for word in words {
        assert!(said.contains(word), "no \"{word}\" in: {said}");
    }
    // The checkpoint is preserved, and the run resumes.
    let saved = *steps(&place.path("run")).last().expect("steps");
    good(mpirun(place, 2, &format!("train run --resume --steps {}", saved + 10)));
}

#[test]
fn a_killed_rank_ends_the_run() {
    let place = Place::new();
    let run = long(&place, mpirun(&place, 2, &format!("train {SMALL} {LONG}")));
    signal("-KILL", &process(&place, 1));
    ends(&place, run, &["rank 1", "signal 9"]);
}

#[test]
fn a_silent_rank_ends_the_run() {
    let place = Place::new();
    let run = long(&place, mpirun(&place, 2, &format!("train {SMALL} {LONG}")));
    signal("-STOP", &process(&place, 1));
    ends(&place, run, &["rank 1 of 2 on ", "has not been heard of for 15 seconds"]);
}

/// Two hosts with different addresses on one machine, as network namespaces. They are removed when this is dropped.
struct Hosts(String);

impl Hosts {
    /// Returns `None` without root rights, or if the system has no namespaces.
    fn new(place: &Place) -> Option<Self> {
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
        fs::write(place.path("agent"), agent).expect("a file");
        assert!(Command::new("chmod").arg("+x").arg(place.path("agent")).status().expect("chmod").success());
        let made = Command::new("sh").args(["-c", &script]).output().expect("sh");
        made.status.success().then_some(hosts)
    }

    fn mpirun(&self, place: &Place, line: &str) -> Command {
        let agent = place.path("agent");
        let words = format!(
            "--host 10.77.0.1:1,10.77.0.2:1 --mca plm_rsh_agent {} --mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/24 \
             --mca oob_tcp_if_include 10.77.0.0/24 {KEEPALIVE} -n 2 {} {line}",
            agent.display(),
            env!("CARGO_BIN_EXE_gan")
        );
        let name = format!("{}a", self.0);
        let here =
            ["netns", "exec", &name, "unshare", "--uts", "sh", "-c", "hostname host-a; exec \"$@\"", "sh", "mpirun"];
        let mut command = place.program("ip", here.into_iter().chain(words.split_whitespace()));
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
    let place = Place::new();
    let Some(hosts) = Hosts::new(&place) else {
        skipped("two hosts, which need root and network namespaces (ip netns)");
        return;
    };
    let line = format!("train {SMALL} --steps 12");
    good(mpirun(&place, 2, &format!("{line} --out one-host")));
    good(hosts.mpirun(&place, &format!("{line} --out two-hosts")));
    assert_same(&files(&place.path("one-host")), &files(&place.path("two-hosts")));
    let run = long(&place, hosts.mpirun(&place, &format!("train {SMALL} {LONG}")));
    hosts.cut();
    ends(&place, run, &["10.77.0.2"]);
}
