// What the page does when it is read.
function markScrolling() {
  for (const table of document.querySelectorAll(".wide")) {
    table.classList.toggle("scrolls", table.scrollWidth > table.clientWidth + 1);
  }
}

markScrolling();
addEventListener("resize", markScrolling);
if (window.DecompressionStream) {
  startPlayer();
  addEventListener("DOMContentLoaded", startCharts);
} else document.getElementById("too-old").hidden = false;
