// Connects the controls with the laboratory, and starts everything.

const ACTIVATIONS = [{ leaky_relu: 0.2 }, "relu", { elu: 1 }, "silu", "gelu", "tanh", "sigmoid"];
const INITS = ["glorot", "he", "pytorch", "dcgan"];
const nameOf = (layer) => (typeof layer === "string" ? layer : Object.keys(layer)[0]);

function startRun(lab) {
  const find = (id) => document.getElementById(id);
  const play = find("play"), speed = find("speed");
  lab.onPlay = () => { play.textContent = lab.playing ? "Pause" : "▶ Play"; };
  const toggle = () => (lab.playing ? lab.pause() : lab.play());
  const single = (d, g) => () => { lab.pause(); lab.single(d ? lab.turns[0] || 1 : 0, g ? lab.turns[1] || 1 : 0); };
  const actions = { play: toggle, "step-d": single(true, false), "step-g": single(false, true), round: single(true, true), restart: () => lab.restart() };
  for (const [id, action] of Object.entries(actions)) find(id).addEventListener("click", action);
  const show = () => {
    lab.speed = speed.valueAsNumber;
    find("speed-value").textContent = SPEEDS[lab.speed].name;
    speed.setAttribute("aria-valuetext", SPEEDS[lab.speed].name);
  };
  speed.addEventListener("input", show);
  show();
  const keys = { " ": toggle, d: actions["step-d"], g: actions["step-g"], s: actions.round };
  addEventListener("keydown", (event) => {
    const isOwn = event.target.closest("input, select, button") && event.key === " ";
    const isText = event.target.matches("input:not([type=range]):not([type=checkbox]), select");
    const action = keys[event.key.toLowerCase()];
    if (isOwn || isText || event.ctrlKey || event.metaKey || event.altKey || !action) return;
    event.preventDefault();
    action();
  });
  startLayers(lab);
  startNumbers(lab);
}

function startLayers(lab) {
  const names = { real: "Real points", made: "Generated points", surface: "D's output", mesh: "G's warped grid" };
  const inks = { real: "--c0", made: "--c1" };
  for (const [key, name] of Object.entries(names)) {
    const button = element("button", { type: "button" }, document.getElementById("layers"));
    if (inks[key]) element("i", {}, button).style.setProperty("background", `var(${inks[key]})`);
    button.append(name);
    const show = () => button.setAttribute("aria-pressed", String(lab.layers[key]));
    button.addEventListener("click", () => { lab.layers[key] = !lab.layers[key]; show(); lab.draw(); });
    show();
  }
}

function startNumbers(lab) {
  const list = document.getElementById("numbers");
  const cells = ["Round", "Rounds/s", "Loss of D", "Loss of G", "D(x)", "D(G(z))", "Distance", "Parameters"].map((name) => {
    const line = element("div", {}, list);
    element("dt", { textContent: name }, line);
    return element("dd", {}, line);
  });
  lab.onNumbers = () => {
    const { lossD, lossG, real, after, before } = lab.last ?? {};
    const rate = lab.playing && SPEEDS[lab.speed].rounds ? Math.round(lab.rate) : null;
    const known = (value) => (value === undefined ? "–" : written(value));
    const texts = [lab.rounds.toLocaleString("en"), rate ? rate.toLocaleString("en") : "–", known(lossD), known(lossG), known(real),
      known(after ?? before), written(lab.distance?.[0] ?? null), lab.about.parameters.join(" + ")];
    texts.forEach((text, i) => { cells[i].textContent = text; });
  };
}

function startData(lab) {
  const root = document.getElementById("data"), keep = document.getElementById("keep");
  const buttons = [...lab.given.presets.map(({ name, setup }) => ({ name, choose: () => ({ ...structuredClone(setup) }), data: setup.data })),
    { name: "Draw your own", choose: () => ({ ...lab.setup, data: "drawn" }), data: "drawn" }].map((entry) => {
    const button = element("button", { type: "button", textContent: entry.name }, root);
    button.addEventListener("click", () => {
      lab.setup = keep.checked ? { ...lab.setup, data: structuredClone(entry.data) } : entry.choose();
      lab.preset = entry.name;
      lab.restart();
      lab.onSetup();
    });
    return { ...entry, button };
  });
  const spread = document.getElementById("spread");
  const said = () => {
    lab.spread = spread.valueAsNumber;
    document.getElementById("spread-value").textContent = String(lab.spread);
  };
  spread.addEventListener("input", () => { said(); if (lab.drawn.length) lab.restart(); });
  said();
  document.getElementById("clear").addEventListener("click", () => { lab.drawn = []; lab.restart(); lab.draw(); });
  startDrawing(lab);
  return () => {
    buttons.forEach(({ button, name }) => button.setAttribute("aria-pressed", String(name === lab.preset)));
    document.getElementById("drawing").hidden = !lab.isDrawn();
    document.querySelector(".world").classList.toggle("drawing", lab.isDrawn());
  };
}

// Points along the path of the mouse or a finger.
function startDrawing(lab) {
  const { canvas } = lab.plane;
  let isDown = false;
  const add = (event) => {
    lab.drawn.push(lab.plane.under(event).map((v) => Math.min(Math.max(v, -1.2), 1.2)));
    lab.draw();
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (!lab.isDrawn() || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    isDown = true;
    lab.pause();
    add(event);
  });
  canvas.addEventListener("pointermove", (event) => { if (isDown) add(event); });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => { if (isDown) { isDown = false; lab.restart(); } });
  }
}

// The form of all settings. Each field reads from and writes to the setup.
function startSettings(lab) {
  const form = document.getElementById("settings");
  const fields = [];
  const group = (title) => {
    const root = element("fieldset", {}, form);
    element("legend", { textContent: title }, root);
    return (name, input, get, set) => {
      const label = element("label", {}, root);
      element("span", { textContent: name }, label);
      label.append(input);
      input.addEventListener("change", () => { set(lab.setup, input); lab.restart(); lab.onSetup(); });
      fields.push(() => { get(lab.setup, input); });
    };
  };
  const select = (options) => {
    const node = element("select", {});
    options.forEach((option) => element("option", { value: option, textContent: option.replaceAll("_", " ") }, node));
    return node;
  };
  const number = (properties) => element("input", { type: "number", step: "any", ...properties });
  const value = (get, set) => [(setup, input) => { input.value = get(setup); }, (setup, input) => set(setup, input.valueAsNumber)];
  const text = (get, set) => [(setup, input) => { input.value = get(setup); }, (setup, input) => set(setup, input.value)];
  const network = (add, key) => {
    add("Hidden units", element("input", { type: "text", inputMode: "numeric", placeholder: "16, 16" }),
      ...text((s) => s[key].hidden.join(", "), (s, v) => { s[key].hidden = v.split(/[ ,]+/).filter(Boolean).map(Number); }));
    add("Activation", select(ACTIVATIONS.map(nameOf)),
      ...text((s) => nameOf(s[key].activation), (s, v) => { s[key].activation = ACTIVATIONS.find((layer) => nameOf(layer) === v); }));
    add("Initialization", select(INITS), ...text((s) => s[key].init, (s, v) => { s[key].init = v; }));
  };
  const optimizer = (add, key) => {
    add("Optimizer", select(lab.given.optimizers.map(({ kind }) => kind)), ...text((s) => s[key].kind, (s, v) => {
      s[key] = { ...structuredClone(lab.given.optimizers.find(({ kind }) => kind === v)), lr: s[key].lr };
    }));
    add("Learning rate", number({ min: 0 }), ...value((s) => s[key].lr, (s, v) => { s[key].lr = v; }));
  };
  const g = group("Generator");
  network(g, "generator");
  g("Latent size", number({ min: 1, step: 1 }), ...value((s) => s.latent.dim, (s, v) => { s.latent.dim = v; }));
  g("Latent numbers", select(["normal", "uniform"]), ...text((s) => s.latent.distribution, (s, v) => { s.latent.distribution = v; }));
  optimizer(g, "optimizer_g");
  const d = group("Discriminator");
  network(d, "discriminator");
  d("Feature plane", element("input", { type: "checkbox" }), (s, input) => { input.checked = s.discriminator.features === 2; },
    (s, input) => { s.discriminator.features = input.checked ? 2 : null; });
  optimizer(d, "optimizer_d");
  const t = group("Training");
  t("Loss", select(lab.given.losses), ...text((s) => s.loss, (s, v) => { s.loss = v; }));
  t("Batch", number({ min: 2, step: 1 }), ...value((s) => s.batch, (s, v) => { s.batch = v; }));
  t("D per round", number({ min: 0, step: 1 }), ...value((s) => s.d_steps, (s, v) => { s.d_steps = v; }));
  t("G per round", number({ min: 0, step: 1 }), ...value((s) => s.g_steps, (s, v) => { s.g_steps = v; }));
  for (const kind of lab.given.penalties) {
    const own = (s) => s.penalties.find((penalty) => penalty.kind === kind);
    t(`${kind.toUpperCase()} penalty`, number({ min: 0 }), ...value((s) => own(s)?.weight ?? 0, (s, v) => {
      s.penalties = s.penalties.filter((penalty) => penalty !== own(s));
      if (v > 0) s.penalties.push({ kind, weight: v });
    }));
  }
  t("Seed", number({ min: 0, step: 1 }), ...value((s) => s.seed, (s, v) => { s.seed = v; }));
  form.addEventListener("submit", (event) => event.preventDefault());
  return () => fields.forEach((show) => show());
}

// What the article asks its readers to try, each with a button that sets it up.
function startExercises(lab) {
  const both = (s, change) => { for (const key of ["generator", "discriminator"]) Object.assign(s[key], change); };
  const exercises = [
    ["Watch the plain training: generated points reach the curve, D(x) and D(G(z)) approach 0.5, and the losses level off.", "Plain", () => {}],
    ["Update one network at a time. D's update pulls the centroids of the features apart or turns the plane; G's update leaves the real features where they are and moves its own towards them.", "Pause at the start", () => "pause"],
    ["Try other activations. How do speed and stability change?", "tanh", (s) => both(s, { activation: "tanh" }), "relu", (s) => both(s, { activation: "relu" })],
    ["Use more layers or wider ones. What does a round cost, and is the training more stable?", "3 × 32", (s) => both(s, { hidden: [32, 32, 32] }), "2 × 128", (s) => both(s, { hidden: [128, 128] })],
    ["Let D make several updates in each round, or G. Which of them may run ahead?", "5 of D", (s) => { s.d_steps = 5; }, "5 of G", (s) => { s.g_steps = 5; }],
    ["Two curves at once: does G cover both?", "Two curves", () => "two-curves2d"],
    ["Other shapes: a wave, a polynomial of degree three.", "Sine", () => "sine2d", "Cosine", () => "cosine2d", "Polynomial", () => "poly2d"],
    ["Mode collapse: eight clusters with the plain settings, and with a relativistic loss, R1 and R2.", "Plain", (s, find) => { s.data = structuredClone(find("ring2d").data); }, "Regularized", () => "ring2d"],
    ["The saturating loss of the minimax game: why does G hardly learn when D is sure?", "Minimax", (s) => { s.loss = "minimax"; }],
  ];
  const root = document.getElementById("exercises");
  const find = (name) => lab.given.presets.find((preset) => preset.name === name)?.setup;
  for (const [told, ...choices] of exercises) {
    const item = element("li", { textContent: `${told} ` }, root);
    for (let i = 0; i < choices.length; i += 2) {
      const button = element("button", { type: "button", textContent: choices[i] }, item);
      button.addEventListener("click", () => {
        const setup = structuredClone(lab.given.presets[0].setup);
        const found = choices[i + 1](setup, find);
        lab.setup = find(found) ? structuredClone(find(found)) : setup;
        lab.preset = find(found) ? found : lab.given.presets.find(({ setup: known }) => JSON.stringify(known.data) === JSON.stringify(lab.setup.data))?.name;
        lab.restart();
        lab.onSetup();
        if (found === "pause") lab.pause(); else if (!lab.playing) lab.play();
        document.getElementById("plane").scrollIntoView({ block: "center" });
      });
    }
  }
}

let lab = null;

async function start() {
  const root = document.documentElement;
  addEventListener("error", (event) => fault(event.message));
  try {
    startTheme();
    lab = new Lab(await Module.open("module"), JSON.parse(document.getElementById("given").textContent));
    document.getElementById("loading").hidden = true;
    document.getElementById("lab").hidden = false;
    startRun(lab);
    const shown = [startData(lab), startSettings(lab)];
    lab.onSetup = () => shown.forEach((show) => show());
    startExercises(lab);
    lab.restart();
    const redraw = () => lab.draw();
    addEventListener("resize", redraw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    document.getElementById("theme").addEventListener("click", redraw);
    root.dataset.ready = "yes";
  } catch (error) {
    document.getElementById("loading").hidden = true;
    fault(error.message);
  }
}

start();
