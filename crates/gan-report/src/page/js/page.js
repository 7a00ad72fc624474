// Starts everything: charts, films, enlarged pictures, print. Says on the page if something goes wrong.

// What `start` made: the charts' shared state and the films, for scripts that add to them.
const started = { shared: null, films: [] };

function startCharts(specs, axis) {
  const shared = new Shared(specs, axis);
  if (!specs.length) return shared;
  const slider = document.getElementById("smoothing"), whole = document.getElementById("whole");
  const set = (weight) => {
    shared.weight = weight;
    document.getElementById("smoothing-value").textContent = weight.toFixed(2);
  };
  // Noise hides the course of a long run; a short one is shown as it is.
  const points = Math.max(...specs.flatMap((spec) => spec.curves.map((curve) => curve.x.length)));
  slider.value = points > 1500 ? 0.95 : points > 300 ? 0.9 : points > 60 ? 0.6 : 0;
  set(slider.valueAsNumber);
  slider.addEventListener("input", () => { set(slider.valueAsNumber); shared.redraw(); });
  whole.addEventListener("click", () => shared.show(...shared.whole));
  shared.onView = (zoomed) => { whole.disabled = !zoomed; };
  document.getElementById("curve-controls").hidden = false;
  document.querySelectorAll(".chart").forEach((figure) => new Chart(figure, specs[figure.dataset.chart], shared));
  shared.redraw();
  return shared;
}

function startZoom() {
  const dialog = document.getElementById("zoom"), image = dialog.querySelector("img");
  const size = document.getElementById("zoom-size");
  const actual = (on) => {
    image.classList.toggle("actual", on);
    size.textContent = on ? "Fit the window" : "Actual pixels";
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".zoomable");
    if (!button) return;
    const shown = button.querySelector("img");
    Object.assign(image, { src: shown.src, alt: shown.alt });
    image.width = shown.naturalWidth;
    image.height = shown.naturalHeight;
    dialog.querySelector("p").textContent = button.closest("figure").querySelector("figcaption").textContent;
    actual(false);
    dialog.showModal();
  });
  size.addEventListener("click", () => actual(!image.classList.contains("actual")));
  document.getElementById("zoom-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

function startPrint() {
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open], .help)")];
    closed.forEach((details) => { details.open = true; });
    started.shared.redraw();
  });
  addEventListener("afterprint", () => closed.forEach((details) => { details.open = false; }));
}

// Makes the charts and films of the elements in the page.
function build({ charts, sequences, axis }) {
  const shared = startCharts(charts, axis);
  const follow = (step) => shared.point(step);
  const films = [...document.querySelectorAll(".film")];
  started.shared = shared;
  started.films = films.map((figure) => new Film(figure, sequences[figure.dataset.film], follow));
}

function start() {
  const root = document.documentElement;
  const fault = (reason) => {
    const line = document.getElementById("fault");
    line.hidden = false;
    line.textContent = `Something in this page does not work in this browser: ${reason}`;
    root.dataset.fault = reason;
  };
  addEventListener("error", (event) => fault(event.message));
  try {
    root.classList.add("js");
    startTheme();
    build(JSON.parse(document.getElementById("data").textContent));
    startZoom();
    startPrint();
    root.dataset.ready = "yes";
  } catch (error) {
    fault(error.message);
  }
}
