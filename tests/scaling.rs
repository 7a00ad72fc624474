//! The scripts in docs/scaling parse, and `gan` accepts their arguments.

use crate::common::{Finished, WorkDir};
use std::fs;
use std::path::{Path, PathBuf};
use yaml_rust2::{Yaml, YamlLoader};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scaling").join(name)
}

/// Asserts that `gan` accepts these arguments and only lacks the data.
#[track_caller]
fn lacks_only_data(words: &[String]) {
    let dir = WorkDir::new();
    let finished = Finished::of(&mut dir.program(env!("CARGO_BIN_EXE_gan"), words.iter().map(String::as_str)));
    finished.expect(2, &["celeba.ganpack (no such file)"]);
}

#[test]
fn the_kubernetes_manifest_has_as_many_slots_as_ranks() {
    let text = fs::read_to_string(script("mpijob.yaml")).expect("the manifest");
    let documents = YamlLoader::load_from_str(&text).expect("YAML");
    let [job] = &documents[..] else { panic!("one document") };
    assert_eq!((job["apiVersion"].as_str(), job["kind"].as_str()), (Some("kubeflow.org/v2beta1"), Some("MPIJob")));
    let replicas = &job["spec"]["mpiReplicaSpecs"];
    let container = |of: &str| replicas[of]["template"]["spec"]["containers"][0].clone();
    let args = container("Launcher")["args"].clone();
    let args: Vec<String> = args.as_vec().expect("args").iter().map(|arg| arg.as_str().expect("text").into()).collect();
    assert_eq!(args[0], "-n");
    let slots = job["spec"]["slotsPerWorker"].as_i64().expect("slots");
    let workers = replicas["Worker"]["replicas"].as_i64().expect("replicas");
    assert_eq!(args[1].parse(), Ok(slots * workers));
    // One process per core.
    assert_eq!(container("Worker")["resources"]["limits"]["cpu"], Yaml::Integer(slots));
    let gan = args.iter().position(|arg| arg == "gan").expect("gan");
    lacks_only_data(&args[gan + 1..]);
}

#[test]
fn the_slurm_script_starts_a_run_and_then_resumes_it() {
    let dir = WorkDir::new();
    fs::create_dir(dir.path("bin")).expect("a folder");
    // Runs the command that srun would start.
    let srun = dir.path("bin/srun");
    fs::write(&srun, "#!/bin/sh\nfor word in \"$@\"; do echo \"$word\"; done\n").expect("a script");
    let run = |command: &mut std::process::Command| {
        let finished = Finished::of(command);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        let words: Vec<String> = String::from_utf8_lossy(&finished.stdout).lines().map(String::from).collect();
        let gan = words.iter().position(|word| word == "gan").expect("gan");
        words[gan + 1..].to_vec()
    };
    let path = std::env::var("PATH").expect("a path");
    let bash = |dir: &WorkDir| {
        let mut bash = dir.program("bash", [script("train.slurm").to_str().expect("a name")]);
        bash.env("SCRATCH", dir.path("")).env("PATH", format!("{}:{path}", dir.path("bin").display()));
        bash
    };
    assert!(std::process::Command::new("chmod").arg("+x").arg(&srun).status().is_ok_and(|status| status.success()));
    lacks_only_data(&run(&mut bash(&dir)));
    fs::create_dir(dir.path("celeba")).expect("a folder");
    fs::write(dir.path("celeba/config.toml"), "").expect("a file");
    let words = run(&mut bash(&dir));
    assert!(words[1].ends_with("/celeba") && words[2] == "--resume", "{words:?}");
}
