"use strict";
// The list of runs: new and changed runs appear by themselves, and 2 to 6 can be chosen.

const MOST_RUNS = 6;

function startList() {
  const list = document.getElementById("runs");
  const boxes = () => [...list.querySelectorAll("input[type=checkbox]")];
  const choose = () => {
    const count = boxes().filter((box) => box.checked).length;
    const fits = count >= 2 && count <= MOST_RUNS;
    document.getElementById("compare").disabled = !fits;
    const chosen = fits ? `${count} chosen.` : `${count} chosen, 2 to 6 can be compared.`;
    document.getElementById("chosen").textContent = count ? chosen : "Choose 2 to 6 runs to compare them.";
  };
  const item = (id) => [...list.children].find((row) => row.dataset.run === id);
  const show = ({ order, rows }) => {
    const focused = document.activeElement, held = focused && focused.closest(".row");
    for (const [id, html] of Object.entries(rows)) {
      const old = item(id), template = document.createElement("template");
      template.innerHTML = html;
      const row = template.content.firstElementChild;
      if (old && old.isEqualNode(row)) continue;
      if (!old) list.append(row);
      else {
        row.querySelector("input").checked = old.querySelector("input").checked;
        const selector = held === old ? (focused.matches("a") ? "a" : "input") : null;
        old.replaceWith(row);
        if (selector) row.querySelector(selector).focus();
      }
    }
    [...list.children].filter((row) => !order.includes(row.dataset.run)).forEach((row) => row.remove());
    const now = [...list.children].map((row) => row.dataset.run);
    if (order.join() !== now.join()) list.append(...order.map(item).filter(Boolean));
    const count = order.length === 1 ? "1 run" : `${order.length} runs`;
    if (order.length) document.querySelector("header p").textContent = `${count}, the newest first`;
    choose();
  };
  list.addEventListener("change", choose);
  choose();
  new Updates(() => "/events", show);
}

startTheme();
startList();
document.documentElement.dataset.ready = "yes";
