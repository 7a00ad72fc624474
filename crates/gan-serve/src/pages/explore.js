// The explorer: each change asks the server for one sample; while it computes, only the newest wish waits.

const FRAMES = 24; // between two pinned samples
const VIDEO_SIDE = 256; // the least, in pixels
const find = (id) => document.getElementById(id);

function node(name, properties, parent) {
  const made = Object.assign(document.createElement(name), properties);
  if (parent) parent.append(made);
  return made;
}

class Explorer {
  constructor(data) {
    const recipe = { seed: 0, class: 0, within: data.within, offsets: data.shares.map(() => 0) };
    Object.assign(this, { data, recipe, pins: [], position: null, busy: false, wish: null, timer: null });
    this.image = find("sample");
    this.image.addEventListener("load", () => this.arrived());
    this.image.addEventListener("error", () => {
      find("told").textContent = "The server did not answer.";
      this.arrived();
    });
  }

  written({ seed, class: own, within, offsets }) {
    return [seed, own, within, ...offsets.map((offset) => offset.toFixed(2))].join();
  }

  address(position = this.position) {
    const { pins, data } = this;
    if (position === null) return `${data.at}z=${this.written(this.recipe)}`;
    const from = Math.floor(position) % pins.length, to = (from + 1) % pins.length;
    const part = (position - Math.floor(position)).toFixed(4);
    return `${data.at}z=${this.written(pins[from])}&to=${this.written(pins[to])}&part=${part}`;
  }

  show() {
    this.wish = this.address();
    if (!this.busy) this.ask();
    this.follow();
  }

  ask() {
    this.busy = true;
    this.asked = performance.now();
    this.image.src = this.wish;
    this.wish = null;
  }

  arrived() {
    this.busy = false;
    find("save").href = this.image.src;
    const root = document.documentElement;
    root.dataset.took = (performance.now() - this.asked).toFixed(1);
    root.dataset.drawn = String(Number(root.dataset.drawn ?? 0) + 1);
    if (this.wish) this.ask();
  }

  set(change) {
    this.stop();
    this.position = null;
    Object.assign(this.recipe, change);
    this.show();
  }

  walkTo(position) {
    this.position = position;
    this.show();
  }

  told({ seed, class: own, within }) {
    const name = this.data.names[own] ?? String(own);
    return [`seed ${seed}`, this.data.classes && `class ${name}`, within && `truncation ${within}`].filter(Boolean).join(", ");
  }

  // The controls show what is set.
  follow() {
    const { recipe, position, data } = this;
    const said = position === null ? this.told(recipe) : `${position.toFixed(2)} along the walk`;
    find("caption").textContent = said;
    this.image.alt = `The sample of ${said}`;
    find("seed").value = recipe.seed;
    find("class").value = recipe.class;
    find("truncation").value = recipe.within || data.most;
    find("truncation").nextElementSibling.textContent = recipe.within ? String(recipe.within) : "off";
    find("between").value = position ?? 0;
    find("between").setAttribute("aria-valuetext", said);
    document.querySelectorAll("#sliders input").forEach((slider, i) => {
      slider.value = recipe.offsets[i];
      slider.nextElementSibling.textContent = recipe.offsets[i].toFixed(1);
    });
  }

  pin() {
    this.pins.push({ ...this.recipe, offsets: [...this.recipe.offsets] });
    this.showPins();
  }

  showPins() {
    this.stop();
    const list = find("pins");
    list.replaceChildren();
    this.pins.forEach((pin, i) => {
      const item = node("li", {}, list);
      const show = node("button", { type: "button", className: "show" }, item);
      show.setAttribute("aria-label", `Show pinned ${i + 1}: ${this.told(pin)}`);
      node("img", { src: `${this.data.at}z=${this.written(pin)}`, alt: "" }, show);
      show.addEventListener("click", () => this.set({ ...pin, offsets: [...pin.offsets] }));
      const remove = node("button", { type: "button", className: "remove", textContent: "✕" }, item);
      remove.setAttribute("aria-label", `Remove pinned ${i + 1}`);
      remove.addEventListener("click", () => {
        this.pins.splice(i, 1);
        this.position = null;
        this.showPins();
        this.show();
      });
    });
    find("walk").hidden = this.pins.length < 2;
    find("pins-hint").hidden = this.pins.length > 1;
    find("between").max = this.pins.length;
  }

  play() {
    const by = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0.25 : 1 / FRAMES;
    const pause = by === 0.25 ? 800 : 50;
    this.timer = setInterval(() => this.walkTo(((this.position ?? 0) + by) % this.pins.length), pause);
    this.label("⏸ Pause", "Pause");
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.label("▶ Play", "Play");
  }

  label(text, verb) {
    find("play").textContent = text;
    find("play").setAttribute("aria-label", `${verb} the walk between the pinned samples`);
  }

  // Records the closed walk from pictures that the server computes first.
  async video() {
    this.stop();
    const count = this.pins.length * FRAMES, pictures = [];
    for (let i = 0; i < count; i++) {
      find("told").textContent = `Frame ${i + 1} of ${count}`;
      const answer = await fetch(this.address(i / FRAMES));
      if (!answer.ok) throw new Error(await answer.text());
      pictures.push(await createImageBitmap(await answer.blob()));
    }
    const [{ width, height }] = pictures;
    const scale = Math.max(1, Math.ceil(VIDEO_SIDE / Math.max(width, height)));
    const canvas = node("canvas", { width: width * scale, height: height * scale }), context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    const recorder = new MediaRecorder(canvas.captureStream(), { videoBitsPerSecond: 8e6 });
    const parts = [];
    recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    const ended = new Promise((done) => recorder.addEventListener("stop", done));
    recorder.start();
    for (const picture of pictures) {
      context.drawImage(picture, 0, 0, canvas.width, canvas.height);
      await new Promise((done) => setTimeout(done, 50));
    }
    recorder.stop();
    await ended;
    const video = new Blob(parts, { type: recorder.mimeType });
    const ending = recorder.mimeType.includes("mp4") ? "mp4" : "webm";
    const link = node("a", { href: URL.createObjectURL(video), download: `walk.${ending}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    find("told").textContent = `${count} frames are saved as ${link.download}.`;
    document.documentElement.dataset.video = String(video.size);
  }
}

function startExplorer(data) {
  const app = new Explorer(data);
  const on = (id, event, act) => find(id).addEventListener(event, act);
  find("class-label").hidden = !data.classes;
  for (let i = 0; i < (data.classes ?? 1); i++) node("option", { value: i, textContent: data.names[i] ?? i }, find("class"));
  find("truncation").max = data.most;
  find("directions").hidden = data.shares.length === 0;
  data.shares.forEach((share, k) => {
    const line = node("div", { className: "slider" }, find("sliders"));
    const label = node("label", { htmlFor: `direction-${k}`, textContent: `Direction ${k + 1} ` }, line);
    node("small", { textContent: `${(share * 100).toFixed(share < 0.095 ? 1 : 0)}%` }, label);
    const slider = node("input", { type: "range", id: label.htmlFor, min: -4, max: 4, step: 0.1, value: 0 }, line);
    node("output", { htmlFor: slider.id }, line);
    const move = (value) => app.set({ offsets: app.recipe.offsets.map((v, i) => (i === k ? value : v)) });
    slider.addEventListener("input", () => move(slider.valueAsNumber));
    slider.addEventListener("dblclick", () => move(0));
  });
  on("seed", "change", () => {
    const value = find("seed").valueAsNumber;
    app.set(Number.isSafeInteger(value) && value >= 0 ? { seed: value } : {});
  });
  on("random", "click", () => app.set({ seed: Math.floor(Math.random() * 1e6) }));
  on("class", "change", () => app.set({ class: Number(find("class").value) }));
  on("truncation", "input", () => {
    const value = find("truncation").valueAsNumber;
    app.set({ within: value >= data.most ? 0 : value });
  });
  on("reset", "click", () => app.set({ offsets: data.shares.map(() => 0) }));
  on("pin", "click", () => app.pin());
  on("between", "input", () => { app.stop(); app.walkTo(find("between").valueAsNumber); });
  on("play", "click", () => (app.timer ? app.stop() : app.play()));
  on("video", "click", async () => {
    find("video").disabled = true;
    try { await app.video(); } catch (error) { find("told").textContent = `The video could not be made: ${error.message}`; }
    find("video").disabled = false;
  });
  app.show();
}

startTheme();
startExplorer(JSON.parse(document.getElementById("data").textContent));
document.documentElement.dataset.ready = "yes";
