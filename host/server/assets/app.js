// What a page does by itself: counts down. All else is the server's.
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

// The gateway says how long it is: the clock of whoever looks may be wrong.
function tick() {
  for (const time of document.querySelectorAll("[data-left]")) {
    if (time.said !== time.dataset.left) {
      time.said = time.dataset.left;
      time.ends = performance.now() + Number(time.said) * 1000;
    }
    time.textContent = words(Math.floor((time.ends - performance.now()) / 1000));
  }
}

document.addEventListener("DOMContentLoaded", () => {
  setInterval(tick, 1000);
  tick();
});
