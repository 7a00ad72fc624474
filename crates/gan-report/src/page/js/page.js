// Starts everything: charts, films, enlarged pictures, print. Says on the page if something goes wrong.

function startCharts(specs) {
  if (!specs.length) return new Shared([]);
  const shared = new Shared(specs);
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
  document.querySelectorAll(".zoomable").forEach((button) => button.addEventListener("click", () => {
    const shown = button.querySelector("img");
    Object.assign(image, { src: shown.src, alt: shown.alt });
    image.width = shown.naturalWidth;
    image.height = shown.naturalHeight;
    dialog.querySelector("p").textContent = button.closest("figure").querySelector("figcaption").textContent;
    actual(false);
    dialog.showModal();
  }));
  size.addEventListener("click", () => actual(!image.classList.contains("actual")));
  document.getElementById("zoom-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

function startPrint(shared) {
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open], .help)")];
    closed.forEach((details) => { details.open = true; });
    shared.redraw();
  });
  addEventListener("afterprint", () => closed.forEach((details) => { details.open = false; }));
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
    const data = JSON.parse(document.getElementById("data").textContent);
    startTheme();
    const shared = startCharts(data.charts);
    const follow = (step) => shared.point(step);
    const films = document.querySelectorAll(".film");
    films.forEach((figure) => new Film(figure, data.sequences[figure.dataset.film], follow));
    startZoom();
    startPrint(shared);
    root.dataset.ready = "yes";
  } catch (error) {
    fault(error.message);
  }
}

start();
