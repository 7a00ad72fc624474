"use strict";
// The button that switches between the colours of the system, light and dark.

function startTheme() {
  const root = document.documentElement, button = document.getElementById("theme");
  const themes = ["system", "light", "dark"];
  // Browsers may refuse to remember anything for a file.
  const attempt = (work) => { try { return work(); } catch { return null; } };
  const remember = (theme) => attempt(() => localStorage.setItem("gan-theme", theme));
  const remembered = () => attempt(() => localStorage.getItem("gan-theme"));
  const set = (theme) => {
    if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme;
    button.textContent = `Colours: ${theme}`;
    button.value = theme;
  };
  set(themes.includes(remembered()) ? remembered() : "system");
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(button.value) + 1) % themes.length];
    set(next);
    remember(next);
  });
}
