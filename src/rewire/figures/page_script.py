"""Style and script of the interactive pages: heatmaps drawn from data in the page, a hovered cell's name and value beside it.

Nothing is fetched, and text from data is only ever put in as text.
"""

STYLE = """
body { font: 14px/1.45 "DejaVu Sans", Verdana, sans-serif; color: #222222; margin: 1.5em 2em; }
h1 { font-size: 1.25em; } h2 { font-size: 1.05em; margin: 2em 0 0.2em; }
p { max-width: 60em; margin: 0.2em 0 0.8em; }
label { margin-right: 1.2em; } select { font: inherit; max-width: 28em; }
.grids { display: flex; flex-wrap: wrap; gap: 1em 2.5em; align-items: flex-start; margin-top: 0.8em; }
table { border-collapse: separate; border-spacing: 1px; }
h3 { font-size: 1em; margin: 0 0 0.3em; }
td { min-width: 24px; height: 24px; padding: 0; cursor: crosshair; }
td.none { background: #d4d4d4; } td.hidden { cursor: default; } td:hover { outline: 2px solid #222222; }
th { font-weight: normal; font-size: 0.82em; text-align: right; padding: 0 0.3em; white-space: pre; }
tfoot th { writing-mode: vertical-rl; text-align: left; padding: 0.3em 0; vertical-align: top; }
.axis { font-size: 0.82em; color: #6b6b6b; }
#tip { position: fixed; pointer-events: none; background: #222222; color: #ffffff; padding: 0.4em 0.7em;
  border-radius: 3px; white-space: pre; font-size: 0.9em; z-index: 1; }
#tip[hidden] { display: none; }
"""

SCRIPT = r"""
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const tip = document.getElementById("tip");

function make(parent, name, text) {
  const node = parent.appendChild(document.createElement(name));
  if (text !== undefined) node.textContent = text;
  return node;
}

function written(value) {
  return value === null ? "not measured" : value.toFixed(3).replace("-", "\u2212");
}

function colour(value, limit) {
  const share = Math.max(-1, Math.min(1, value / limit));
  return data.colours[Math.round((share + 1) / 2 * (data.colours.length - 1))];
}

// one heatmap; a cell carries what is said about it
function draw(parent, section, grid) {
  const block = make(parent, "div");
  make(block, "h3", grid.title);
  const table = make(block, "table");
  const body = make(table, "tbody");
  grid.rows.forEach((row, i) => {
    const line = make(body, "tr");
    make(line, "th", row);
    grid.columns.forEach((column, j) => {
      const value = grid.values[i][j], cell = make(line, "td");
      if (grid.triangle && j > i) { cell.className = "hidden"; return; }
      if (value === null) cell.className = "none";
      else cell.style.backgroundColor = colour(value, grid.limit);
      const lines = [`${section.column} ${column}`, `${section.row} ${row}, ${grid.title}`,
        `${section.measure}: ${written(value)}`];
      if (grid.notes) lines.push(grid.notes[i][j]);
      cell.tip = lines.join("\n");
    });
  });
  const foot = make(make(table, "tfoot"), "tr");
  make(foot, "th");
  grid.columns.forEach(column => make(foot, "th", column));
}

// a section: a menu for each thing that can be chosen, and the heatmaps of what is chosen
function show(section) {
  const names = Object.keys(section.grids[0] ? section.grids[0].choice : {});
  const node = make(document.querySelector("main"), "section");
  node.id = section.id;
  make(node, "h2", section.title);
  make(node, "p", section.text);
  const menus = make(node, "div"), grids = make(node, "div");
  grids.className = "grids";
  const axis = make(node, "div");
  axis.className = "axis";
  const selects = names.map(name => {
    const select = make(make(menus, "label", `${name} `), "select");
    select.name = name;
    new Set(section.grids.map(grid => grid.choice[name])).forEach(value => make(select, "option", value));
    select.addEventListener("change", refresh);
    return select;
  });
  function refresh() {
    grids.replaceChildren();
    tip.hidden = true;
    const chosen = section.grids.filter(grid => selects.every(select => grid.choice[select.name] === select.value));
    chosen.forEach(grid => draw(grids, section, grid));
    const limit = Math.max(...chosen.map(grid => grid.limit));
    axis.textContent = `${section.row} down, ${section.column} across; the deepest colours stand for \u00b1${written(limit)}`;
  }
  refresh();
}

function point(event) {
  const text = event.target.tip;
  tip.hidden = text === undefined;
  if (tip.hidden) return;
  tip.textContent = text;
  tip.style.left = Math.max(0, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 6)) + "px";
  tip.style.top = Math.max(0, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 6)) + "px";
}

data.sections.forEach(show);
document.addEventListener("mousemove", point);
document.addEventListener("click", point);
document.addEventListener("scroll", () => { tip.hidden = true; });
"""
