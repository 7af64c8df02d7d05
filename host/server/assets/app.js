// What a page does by itself: counts down, and shows of the form what is asked for. All else is
// the server's.
"use strict";

function words(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const first = Math.max(0, units.findIndex(([length]) => seconds >= length));
  if (seconds <= 0) return "over";
  return units.slice(first, first + 2)
    .map(([length, unit], at) => {
      const count = Math.floor(at === 0 ? seconds / length : (seconds % units[first][0]) / length);
      return count > 0 ? count + unit : "";
    })
    .join("");
}

function tick() {
  for (const time of document.querySelectorAll("[data-until]")) {
    const seconds = Math.floor((Date.parse(time.dataset.until) - Date.now()) / 1000);
    time.textContent = words(seconds);
  }
}

function choose() {
  const form = document.getElementById("ask");
  if (!form) return;
  const command = form.elements.access_type.value === "command";
  form.querySelector(".for-time").hidden = command;
  form.querySelector(".for-command").hidden = !command;
}

document.addEventListener("change", choose);
document.addEventListener("DOMContentLoaded", () => {
  setInterval(tick, 1000);
  tick();
  choose();
});
