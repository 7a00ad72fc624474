// Connects the controls with the explorer, and starts everything.

const MOST_BUTTONS = 24;
const OFF = 3;

function startClasses(app) {
  const { about } = app.generator;
  if (!about.classes) return () => {};
  const field = document.getElementById("classes"), list = field.querySelector(".controls");
  field.hidden = false;
  const press = (value) => (value === "turn" ? app.set({ inTurn: true }) : app.set({ inTurn: false, class: Number(value) }));
  const options = ["turn", ...Array(about.classes).keys()];
  const name = (value) => (value === "turn" ? "All in turn" : app.generator.className(value));
  if (about.classes > MOST_BUTTONS) {
    const select = element("select", { ariaLabel: "Class" }, list);
    options.forEach((value) => element("option", { value, textContent: name(value) }, select));
    select.addEventListener("change", () => press(select.value));
    return () => { select.value = app.state.inTurn ? "turn" : app.state.class; };
  }
  const buttons = options.map((value) => {
    const button = element("button", { type: "button", textContent: name(value) }, list);
    if (value !== "turn") button.setAttribute("aria-label", `Class ${name(value)}`);
    button.addEventListener("click", () => press(value));
    return button;
  });
  return () => {
    const on = (value) => (value === "turn" ? app.state.inTurn : !app.state.inTurn && app.state.class === value);
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(on(options[i]))));
  };
}

// The right end of the slider draws from the whole distribution.
function startTruncation(app, distribution) {
  const slider = document.getElementById("truncation"), said = document.getElementById("truncation-value");
  const most = distribution === "uniform" ? 1 : OFF;
  Object.assign(slider, { min: 0.05, max: most, step: 0.05 });
  slider.addEventListener("input", () => {
    app.set({ within: slider.valueAsNumber >= most ? 0 : slider.valueAsNumber });
  });
  return () => {
    const { within } = app.state;
    slider.value = within || most;
    said.textContent = within ? String(within) : "off";
    slider.setAttribute("aria-valuetext", said.textContent);
  };
}

function startDirections(app) {
  const { directions } = app.generator;
  document.getElementById("directions").hidden = directions.length === 0;
  const root = document.getElementById("sliders");
  const sliders = directions.map(({ share }, k) => {
    const line = element("div", { className: "slider" }, root);
    const label = element("label", { htmlFor: `direction-${k}`, textContent: `Direction ${k + 1} ` }, line);
    element("small", { textContent: `${(share * 100).toFixed(share < 0.095 ? 1 : 0)}%` }, label);
    const slider = element("input", { type: "range", id: `direction-${k}`, min: -4, max: 4, step: 0.1, value: 0 }, line);
    const said = element("output", { htmlFor: slider.id }, line);
    slider.addEventListener("input", () => {
      app.set({ offsets: app.state.offsets.map((v, i) => (i === k ? slider.valueAsNumber : v)) });
    });
    slider.addEventListener("dblclick", () => app.set({ offsets: app.state.offsets.map((v, i) => (i === k ? 0 : v)) }));
    return { slider, said };
  });
  const reset = () => app.set({ offsets: directions.map(() => 0) });
  document.getElementById("reset").addEventListener("click", reset);
  return { reset, follow: () => sliders.forEach(({ slider, said }, k) => {
    slider.value = app.state.offsets[k];
    said.textContent = app.state.offsets[k].toFixed(1);
  }) };
}

function startPins(app) {
  const list = document.getElementById("pins"), bar = document.getElementById("between");
  const play = document.getElementById("play");
  app.onPins = () => {
    list.replaceChildren();
    app.pins.forEach(({ recipe, z }, i) => {
      const item = element("li", {}, list);
      const show = element("button", { type: "button", className: "show" }, item);
      show.setAttribute("aria-label", `Show pinned ${i + 1}: ${app.told(recipe)}`);
      show.addEventListener("click", () => app.show(recipe));
      const canvas = element("canvas", { className: app.canvas.classList.contains("small") ? "small" : "" }, show);
      const sample = app.generator.samples(z, Uint32Array.of(recipe.class));
      if (app.generator.isPoints) app.view.show(canvas, sample); else paint(canvas, sample, app.generator.about.shape);
      const remove = element("button", { type: "button", className: "remove", textContent: "✕" }, item);
      remove.setAttribute("aria-label", `Remove pinned ${i + 1}`);
      remove.addEventListener("click", () => app.unpin(i));
    });
    const count = app.pins.length;
    document.getElementById("walk").hidden = count < 2;
    document.getElementById("pins-hint").hidden = count > 1;
    bar.max = count;
  };
  app.onWalk = (position, told) => {
    bar.value = position;
    bar.setAttribute("aria-valuetext", told);
  };
  app.onPlay = (on) => {
    play.textContent = on ? "Pause" : "▶ Play";
    play.setAttribute("aria-label", `${on ? "Pause" : "Play"} the walk between the pinned samples`);
  };
  bar.addEventListener("input", () => { app.stop(); app.walkTo(bar.valueAsNumber); });
  play.addEventListener("click", () => (app.playing ? app.stop() : app.play()));
  document.getElementById("pin").addEventListener("click", () => app.pin(app.shown));
}

function startControls(app, distribution) {
  const seed = document.getElementById("seed");
  const random = () => app.set({ first: Math.floor(Math.random() * 1e6) });
  const classes = startClasses(app), truncation = startTruncation(app, distribution), directions = startDirections(app);
  app.onState = () => {
    seed.value = app.state.first;
    [classes, truncation, directions.follow].forEach((follow) => follow());
  };
  seed.addEventListener("change", () => {
    const value = seed.valueAsNumber;
    app.set({ first: Number.isSafeInteger(value) && value >= 0 ? value : app.state.first });
  });
  document.getElementById("random").addEventListener("click", random);
  document.getElementById("save").addEventListener("click", () => {
    save(app.canvas, `sample-${app.walk ? "between" : `seed-${app.shown.seed}`}.png`);
  });
  startPins(app);
  const keys = { r: random, p: () => app.pin(app.shown), 0: directions.reset };
  addEventListener("keydown", (event) => {
    const isText = ["number", "select-one"].includes(event.target.type);
    if (isText || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key.toLowerCase()]) return;
    keys[event.key.toLowerCase()]();
  });
}

let explorer = null;

async function start() {
  const root = document.documentElement;
  addEventListener("error", (event) => fault(event.message));
  try {
    startTheme();
    const data = JSON.parse(document.getElementById("data").textContent);
    const module = await Module.open("module");
    const weights = await unpacked("weights");
    const about = module.json("gan_load", weights, weights.length);
    explorer = new Explorer(new Generator(module, about, data.directions));
    document.getElementById("loading").hidden = true;
    document.getElementById("explorer").hidden = false;
    startControls(explorer, data.distribution);
    explorer.onState();
    explorer.draw();
    explorer.changed();
    root.dataset.first = performance.now().toFixed(0);
    root.dataset.ready = "yes";
  } catch (error) {
    document.getElementById("loading").hidden = true;
    fault(error.message);
  }
}

start();
