"use strict";
/* The list of videos with their state. */

function fillList() {
  const {videos} = now.overview;
  at("list").replaceChildren(...videos.map(({id, state, severity}) => {
    const row = document.createElement("li"), parts = ["span", "span", "span"].map((tag) => document.createElement(tag));
    parts[0].className = `dot ${state}`;
    parts[1].textContent = id;
    parts[2].textContent = severity === null || severity === undefined ? "" : severity > 99 ? "!" : severity.toFixed(1);
    parts[2].className = severity >= 1 ? "worry" : "";
    parts[2].title = "suspicion, 1 and more is suspicious";
    row.append(...parts);
    row.dataset.id = id;
    row.title = STATES[state];
    row.onclick = () => openVideo(id);
    return row;
  }));
  at("donor").replaceChildren(...videos.map(({id}) => new Option(id, id)));
  filterList();
}

function filterList() {
  const words = at("filter").value.toLowerCase(), unfinished = at("unfinished").checked;
  for (const [index, row] of [...at("list").children].entries()) {
    const {id, state} = now.overview.videos[index];
    row.hidden = !id.toLowerCase().includes(words) || (unfinished && !["none", "tracker"].includes(state));
    row.style.display = row.hidden ? "none" : "";
  }
  count();
}

function count() {
  const {videos} = now.overview, done = videos.filter(({state}) => ["hand", "accepted"].includes(state)).length;
  at("count").textContent = `${done} of ${videos.length} drawn or accepted`;
}

function noteState(state, id = now.video.id) {
  const index = now.overview.videos.findIndex((video) => video.id === id), row = at("list").children[index];
  now.overview.videos[index].state = state;
  row.children[0].className = `dot ${state}`;
  row.title = STATES[state];
  if (now.video && id === now.video.id) {
    now.video.state = state;
    at("state").textContent = [STATES[state], now.note].filter(Boolean).join(" · ");
  }
  count();
}

function markList(id) {
  for (const row of at("list").children) row.setAttribute("aria-current", row.dataset.id === id);
  [...at("list").children].find((row) => row.dataset.id === id)?.scrollIntoView({block: "nearest"});
}

/** The id `steps` rows away in the list as it is filtered, around its ends. */
function neighbour(id, steps, wanted = () => true) {
  const rows = now.overview.videos.filter((video, index) =>
    video.id === id || (!at("list").children[index].hidden && wanted(video)));
  const index = rows.findIndex((video) => video.id === id);
  return rows[(index + steps + rows.length) % rows.length].id;
}

const currentId = () => [...at("list").children].find((row) => row.getAttribute("aria-current") === "true")?.dataset.id;
const stepVideo = (steps, wanted) => openVideo(neighbour(currentId(), steps, wanted));
