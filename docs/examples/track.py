"""Sends a run to MLflow or Weights & Biases while it trains, or afterwards: its settings, numbers and sheets of samples.

    python track.py mlflow runs/first     # pip install mlflow; MLFLOW_TRACKING_URI says where to
    python track.py wandb runs/first      # pip install wandb; WANDB_MODE=offline sends nothing

It ends when the run has ended, which a report.html newer than the last line shows. Stop it with Ctrl-C; starting it again begins a new record.
"""
import json, pathlib, sys, time, tomllib


def flat(table, path=""):
    for key, value in table.items():
        yield from flat(value, f"{path}{key}.") if isinstance(value, dict) else [(path + key, value)]


def main(service, run):
    settings = dict(flat(tomllib.loads((run / "config.toml").read_text())))
    if service == "mlflow":
        import mlflow
        mlflow.set_experiment(settings.get("preset", "gan"))
        mlflow.start_run(run_name=run.name)
        mlflow.log_params({key: str(value)[:500] for key, value in settings.items()})
        log, sheet = lambda numbers, step: mlflow.log_metrics(numbers, step=step), lambda path, step: mlflow.log_artifact(path, "samples")
    else:
        import wandb
        tracked = wandb.init(project=settings.get("preset", "gan"), name=run.name, config=settings)
        log, sheet = lambda numbers, step: tracked.log({"step": step, **numbers}), lambda path, step: tracked.log({"step": step, "samples": wandb.Image(str(path))})
    seen = set()
    with open(run / "metrics.jsonl") as lines:
        while True:
            while line := lines.readline():
                entry = json.loads(line)
                numbers = {key: value for key, value in entry.items() if key != "step" and isinstance(value, (int, float))}
                log(numbers, entry["step"])
            for path in sorted((run / "samples").glob("step-*.png")):
                if path not in seen: sheet(path, int(path.stem.split("-")[1]))
                seen.add(path)
            report = run / "report.html"
            if report.exists() and report.stat().st_mtime >= (run / "metrics.jsonl").stat().st_mtime: return
            time.sleep(2)


if len(sys.argv) != 3 or sys.argv[1] not in ("mlflow", "wandb"): sys.exit(__doc__)
main(sys.argv[1], pathlib.Path(sys.argv[2]))
