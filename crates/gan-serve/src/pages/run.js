// The page of a run: what `start` made grows with what the server sends.

const SPECS = new Map();

// The position in the run's numbers of what the page has.
const page = { at: "", version: "", reached: 0, building: false };

function takeData(data) {
  Object.assign(page, data.live);
  SPECS.clear();
  for (const spec of data.charts) for (const curve of spec.curves) SPECS.set(curve.field, curve);
}

// Adds the points that a curve does not have yet. The means of a thinned curve continue with single values.
function extend(curve, [steps, values]) {
  const { x, y, meanX, meanY } = curve;
  const last = x.length ? x[x.length - 1] : -Infinity;
  steps.forEach((step, i) => {
    if (step <= last) return;
    x.push(step);
    y.push(values[i]);
    if (meanX.length && values[i] !== null) { meanX.push(step); meanY.push(values[i]); }
    curve.count++;
  });
}

function addPoints(points) {
  let hasNew = false;
  for (const [field, series] of Object.entries(points)) {
    const curve = SPECS.get(field);
    page.reached = Math.max(page.reached, ...series[0].slice(-1));
    if (curve) { extend(curve, series); hasNew = true; }
  }
  if (hasNew) started.shared.grown();
}

function showSections(sections) {
  const main = document.getElementById("report");
  for (const [id, html] of Object.entries(sections)) {
    const template = document.createElement("template");
    template.innerHTML = html;
    const section = template.content.firstElementChild, old = document.getElementById(id);
    if (!old) main.prepend(section);
    else if (!old.isEqualNode(section)) {
      const open = [...old.querySelectorAll("details")].map((details) => details.open);
      section.querySelectorAll("details").forEach((details, i) => { details.open = open[i]; });
      old.replaceWith(section);
    }
  }
}

function showState(word) {
  const state = document.getElementById("state");
  state.textContent = word;
  state.className = `state ${word}`;
}

// Makes the page anew, with the same view of the curves.
async function rebuild() {
  if (page.building) return;
  page.building = true;
  try {
    const answer = await fetch(`${page.at}/parts`);
    if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
    const { contents, main, data } = await answer.json();
    const before = started.shared, slider = document.getElementById("smoothing");
    const wasZoomed = before.view !== before.whole, chosen = slider && slider.dataset.chosen ? slider.value : null;
    document.getElementById("contents").innerHTML = contents;
    document.getElementById("report").innerHTML = main;
    document.querySelector("nav").hidden = !contents;
    takeData(data);
    build(data);
    listenToSmoothing();
    if (chosen !== null) {
      const now = document.getElementById("smoothing");
      now.value = chosen;
      now.dispatchEvent(new Event("input"));
    }
    if (wasZoomed && data.charts.length) started.shared.show(...before.view);
  } catch {
    // The connection shows by itself that it is lost.
    setTimeout(rebuild, RETRY);
    return;
  } finally {
    page.building = false;
  }
  updates.close();
  updates.open();
}

// A smoothing that the user has set is kept.
function listenToSmoothing() {
  const slider = document.getElementById("smoothing");
  if (slider) slider.addEventListener("input", () => { slider.dataset.chosen = "yes"; });
}

function take(update) {
  if (update.state) showState(update.state);
  if (update.rebuild) { rebuild(); return; }
  if (update.points) addPoints(update.points);
  if (update.sections) showSections(update.sections);
  if (update.frames) update.frames.forEach((frames, i) => { if (started.films[i]) started.films[i].update(frames); });
}

start();
const { live } = JSON.parse(document.getElementById("data").textContent);
// `start` has given its own copy of the data to the charts.
takeData({ live, charts: started.shared.specs });
listenToSmoothing();
const updates = new Updates(() => `${page.at}/events?version=${page.version}&reached=${page.reached}`, take);
