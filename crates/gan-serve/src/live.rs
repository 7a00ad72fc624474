//! A run that somebody watches: its report is kept in memory, and a task looks at its files and tells all watchers what is new.

use crate::address::link;
use crate::digest::State;
use crate::index::{Run, locked};
use crate::update::{changing, points, structure};
use gan_report::{Diagnosis, Page, Parts};
use gan_run::report::{Report, RunState};
use gan_run::{Growth, RunLog};
use gan_train::Plan;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::broadcast;

/// Time between two looks at the files.
const INTERVAL: Duration = Duration::from_millis(400);

/// Time after which a run that nobody watches is forgotten.
const IDLE: Duration = Duration::from_secs(60);

/// Maximum number of runs that are kept in memory.
const MOST: usize = 12;

/// Number of updates that a slow watcher may be behind before it is cut off. Its browser connects again and catches up.
const BEHIND: usize = 32;

/// Shortest time between two descriptions of a run, and between two diagnoses, which read the whole log. Those that take long are made
/// less often, in proportion.
const PAUSE: Duration = Duration::from_millis(800);
const DIAGNOSIS_PAUSE: Duration = Duration::from_secs(3);
const SHARE: u32 = 40;

/// Folders of pictures, and files, whose change shows that there is something new.
const LOOKED_AT: [&str; 7] =
    ["samples", "planes", "surfaces", "meshes", "pictures", "evaluations.jsonl", "report.html"];

/// The runs that are watched, by identifier.
#[derive(Default)]
pub(crate) struct Watches(Mutex<HashMap<String, Arc<Watch>>>);

/// A run that is watched.
pub(crate) struct Watch {
    run: Arc<Run>,
    report: Report,
    updates: broadcast::Sender<Arc<str>>,
    content: Mutex<Content>,
    started: AtomicBool,
}

struct Content {
    log: RunLog,
    unreadable: Option<String>,
    state: RunState,
    /// Number of times that earlier numbers were replaced.
    generation: u64,
    /// Steps before this one were sent.
    sent: f64,
    /// Whether there are points that were not sent.
    has_points: bool,
    stamps: Vec<Option<SystemTime>>,
    /// Whether something has changed since `shown` was made.
    has_news: bool,
    shown: Option<Shown>,
    diagnoses: Vec<Diagnosis>,
    diagnosed: Work,
    used: Instant,
}

/// The report as it was last described.
#[derive(Clone)]
pub(crate) struct Shown {
    pub title: String,
    pub lead: String,
    pub parts: Arc<Parts>,
    /// Differs if a page cannot become this one by updates.
    pub version: String,
    /// Step up to which the page has points.
    pub reached: f64,
    made: Work,
}

/// When work was last done, and how long it took.
#[derive(Clone, Copy)]
struct Work {
    at: Instant,
    took: Duration,
}

impl Work {
    fn since(start: Instant) -> Self {
        Self { at: Instant::now(), took: start.elapsed() }
    }

    /// Returns whether to do it again, with at least `pause` between.
    fn is_due(self, pause: Duration) -> bool {
        self.at.elapsed() >= pause.max(self.took * SHARE)
    }
}

impl Watches {
    /// Returns the watched run, whose log is read if nobody watched it before; `None` if too many runs are watched. Blocks.
    pub(crate) fn watch(&self, run: &Arc<Run>) -> Option<Arc<Watch>> {
        let mut all = locked(&self.0);
        if let Some(watch) = all.get(&run.id) {
            locked(&watch.content).used = Instant::now();
            return Some(watch.clone());
        }
        if all.len() >= MOST {
            let unwatched = all.iter().filter(|(_, watch)| watch.updates.receiver_count() == 0);
            let oldest = unwatched.min_by_key(|(_, watch)| locked(&watch.content).used).map(|(id, _)| id.clone());
            all.remove(&oldest?);
        }
        let watch = Arc::new(Watch::new(run));
        all.insert(run.id.clone(), watch.clone());
        Some(watch)
    }

    /// Returns whether `watch` is still the one of its run.
    fn holds(&self, watch: &Arc<Watch>) -> bool {
        locked(&self.0).get(&watch.run.id).is_some_and(|other| Arc::ptr_eq(other, watch))
    }

    /// Removes `watch`, unless it was used in the meantime. Returns whether it is gone.
    fn forget(&self, watch: &Arc<Watch>) -> bool {
        let mut all = locked(&self.0);
        let is_current = all.get(&watch.run.id).is_some_and(|other| Arc::ptr_eq(other, watch));
        if is_current && !watch.is_idle() {
            return false;
        }
        if is_current {
            all.remove(&watch.run.id);
        }
        true
    }
}

/// Looks at the files of `watch` until nobody watches it.
pub(crate) async fn follow(shared: Arc<crate::Shared>, watch: Arc<Watch>) {
    if !watch.start() {
        return;
    }
    loop {
        tokio::time::sleep(INTERVAL).await;
        let looking = watch.clone();
        // A task that panicked has reported that itself.
        if tokio::task::spawn_blocking(move || looking.look()).await.is_err() {
            tracing::error!("{}: cannot be followed", watch.run.path.display());
        }
        let watches = &shared.watches;
        if (watch.is_idle() || !watches.holds(&watch)) && watches.forget(&watch) {
            return;
        }
    }
}

impl Watch {
    fn new(run: &Arc<Run>) -> Self {
        let long_ago = Work { at: Instant::now(), took: Duration::ZERO };
        let content = Content {
            log: RunLog::new(&run.path),
            unreadable: None,
            state: RunState::AtRest,
            generation: 0,
            sent: 0.0,
            has_points: false,
            stamps: vec![],
            has_news: true,
            shown: None,
            diagnoses: vec![],
            diagnosed: long_ago,
            used: Instant::now(),
        };
        let report = Report::of(&run.path);
        Self {
            run: run.clone(),
            report,
            updates: broadcast::channel(BEHIND).0,
            content: Mutex::new(content),
            started: AtomicBool::new(false),
        }
    }

    /// Returns whether this is the first call.
    fn start(&self) -> bool {
        !self.started.swap(true, Ordering::Relaxed)
    }

    fn is_idle(&self) -> bool {
        self.updates.receiver_count() == 0 && locked(&self.content).used.elapsed() > IDLE
    }

    /// Returns the report, not older than a moment. Blocks.
    pub(crate) fn shown(&self) -> Shown {
        let mut content = locked(&self.content);
        content.used = Instant::now();
        if content.shown.is_none() {
            self.grow(&mut content);
            // The first page has all points.
            content.sent = content.log.metrics.reached();
            content.has_points = false;
        }
        match &content.shown {
            Some(shown) if !content.has_news || !shown.made.is_due(PAUSE) => shown.clone(),
            _ => self.describe(&mut content),
        }
    }

    /// Subscribes a page of `version` that has the points before `reached`. Returns its first update, and the following ones. Blocks.
    pub(crate) fn subscribe(&self, version: &str, reached: f64) -> (Arc<str>, broadcast::Receiver<Arc<str>>) {
        let current = self.shown();
        let content = locked(&self.content);
        let first = if current.version == version {
            json!({
                "points": points(&content.log.metrics, reached),
                "sections": changing(&current.parts).collect::<Map<_, _>>(),
                "frames": current.parts.data["sequences"],
                "state": self.state().word(),
            })
        } else {
            json!({ "rebuild": true })
        };
        (first.to_string().into(), self.updates.subscribe())
    }

    /// Returns whether the run has a file of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.run.path.join(name).is_file()
    }

    /// Returns the run's plan, if this version understands its settings.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        self.report.plan()
    }

    /// Returns the contents of the run's report. Blocks.
    pub(crate) fn page(&self) -> Page {
        let mut content = locked(&self.content);
        content.used = Instant::now();
        self.grow(&mut content);
        self.report.page(&content.log, content.unreadable.as_deref(), content.state, vec![])
    }

    /// Returns the state of the run as of the last look.
    pub(crate) fn state(&self) -> State {
        self.run.digest().state
    }

    /// Looks for what is new, and sends it to all watchers.
    fn look(&self) {
        let before = self.state();
        self.run.digest().look();
        let state = self.state();
        self.diagnose();
        let mut content = locked(&self.content);
        let mut update = Map::new();
        if state != before {
            content.has_news = true;
            update.insert("state".into(), json!(state.word()));
        }
        if self.grow(&mut content) == Growth::Replacing {
            update.insert("rebuild".into(), json!(true));
        } else if content.has_points {
            update.insert("points".into(), points(&content.log.metrics, content.sent));
        }
        content.has_points = false;
        content.sent = content.log.metrics.reached();
        let old = content.shown.clone();
        if let Some(old) = old.filter(|old| content.has_news && old.made.is_due(PAUSE)) {
            let new = self.describe(&mut content);
            if new.version != old.version {
                update.insert("rebuild".into(), json!(true));
            }
            let unchanged: HashMap<String, Value> = changing(&old.parts).collect();
            let sections: Map<_, _> =
                changing(&new.parts).filter(|(id, html)| unchanged.get(id) != Some(html)).collect();
            if !sections.is_empty() {
                update.insert("sections".into(), sections.into());
            }
            if new.parts.data["sequences"] != old.parts.data["sequences"] {
                update.insert("frames".into(), new.parts.data["sequences"].clone());
            }
        }
        if !update.is_empty() {
            // Without watchers there is nobody to tell.
            self.updates.send(Value::from(update).to_string().into()).ok();
        }
    }

    /// Reads what the files have gained.
    fn grow(&self, content: &mut Content) -> Growth {
        let growth = match content.log.grow() {
            Ok(growth) => {
                content.unreadable = None;
                growth
            }
            Err(problem) => {
                content.unreadable = Some(problem.to_string());
                Growth::Nothing
            }
        };
        if growth == Growth::Replacing {
            content.generation += 1;
        }
        let is_training = self.state() == State::Training;
        content.state = if is_training { RunState::GoingOn } else { RunState::AtRest };
        let stamps: Vec<_> = LOOKED_AT.iter().map(|name| changed(&self.run.path.join(name))).collect();
        content.has_news |= growth != Growth::Nothing || stamps != content.stamps;
        content.stamps = stamps;
        content.has_points |= growth == Growth::After;
        growth
    }

    /// Describes the run anew.
    fn describe(&self, content: &mut Content) -> Shown {
        let start = Instant::now();
        let Content { log, unreadable, state, diagnoses, .. } = &*content;
        let mut page = self.report.page(log, unreadable.as_deref(), *state, diagnoses.clone());
        // The page shows the state itself, and is never out of date.
        page.notes.retain(|note| !note.starts_with("The run is still going on"));
        let parts = page.parts(&|path| link(&self.run.id, path));
        let version = format!("{}.{:x}", content.generation, structure(&parts));
        let reached = log.metrics.reached();
        let shown = Shown {
            title: page.title,
            lead: page.lead,
            parts: Arc::new(parts),
            version,
            reached,
            made: Work::since(start),
        };
        content.shown = Some(shown.clone());
        content.has_news = false;
        shown
    }

    /// Diagnoses the run, if there are new numbers and the last diagnosis is long enough ago. Requests are answered meanwhile.
    fn diagnose(&self) {
        let (log, is_first) = {
            let content = locked(&self.content);
            let is_first = content.diagnoses.is_empty();
            let is_due = is_first || content.has_news && content.diagnosed.is_due(DIAGNOSIS_PAUSE);
            if !is_due || content.shown.is_none() {
                return;
            }
            (content.log.clone(), is_first)
        };
        let start = Instant::now();
        let diagnoses = self.report.diagnosis(&log);
        let mut content = locked(&self.content);
        content.has_news |= is_first || diagnoses != content.diagnoses;
        content.diagnoses = diagnoses;
        content.diagnosed = Work::since(start);
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}
