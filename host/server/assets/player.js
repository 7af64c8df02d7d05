// Plays the recording that the page names. What it can do besides is the player's.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("player");
  if (!place) return;
  AsciinemaPlayer.create(place.dataset.recording, place, {
    preload: true,
    idleTimeLimit: Number(place.dataset.pauseMax),
    fit: "width",
  });
  // The player has a key for everything, but of itself can only be clicked to hear them.
  const player = place.querySelector(".ap-wrapper");
  player.tabIndex = 0;
  player.setAttribute("role", "group");
  player.setAttribute("aria-label", place.dataset.label);
});
