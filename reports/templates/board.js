// Filters and sorts what is already in the page; the whole view is in the address.
"use strict";
(() => {
  const form = document.getElementById("view");
  const intervals = document.getElementById("intervals");
  const shown = document.getElementById("shown");
  const boards = [...document.querySelectorAll("section.board")];
  const atlases = [...document.querySelectorAll("section.atlas")];
  const findings = [...document.querySelectorAll("section.findings")];
  const names = ["suite", "backbone", "recipe", "track"];
  const preset = {sort: "normalised", order: "descending"};
  const defaults = {
    ...preset,
    suite: form.elements.suite.options[0]?.value ?? "",
    backbone: boards[0]?.dataset.backbone ?? "",
    recipe: "",
    track: "",
    intervals: "",
  };
  let view = {...defaults};

  function read() {
    const asked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    view = {...defaults};
    for (const key of Object.keys(defaults)) if (key in asked) view[key] = asked[key];
    for (const name of names) {
      const known = [...form.elements[name].options].some((option) => option.value === view[name]);
      if (!known) view[name] = defaults[name];
    }
  }

  function write() {
    const changed = Object.entries(view).filter(([key, value]) => value !== defaults[key]);
    const hash = new URLSearchParams(changed).toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  }

  function value(row, column) {
    const text = row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const number = Number(text);
    return text !== "" && !Number.isNaN(number) ? number : text;
  }

  function compare(a, b) {
    if (a === "" || b === "") return (a === "") - (b === "");
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en");
  }

  function sort(table) {
    const headers = [...table.tHead.rows[1].cells];
    let column = headers.findIndex((header) => header.dataset.key === view.sort);
    const key = column < 0 ? preset.sort : view.sort;
    const order = column < 0 ? preset.order : view.order;
    if (column < 0) column = headers.findIndex((header) => header.dataset.key === key);
    headers.forEach((header, place) => {
      if (place === column) header.setAttribute("aria-sort", order);
      else header.removeAttribute("aria-sort");
    });
    for (const body of table.querySelectorAll("tbody[data-sortable]")) {
      const rows = [...body.rows].map((row) => [value(row, column), Number(row.dataset.place), row]);
      rows.sort(([a, placeA], [b, placeB]) => {
        const empty = (a === "") - (b === "");
        const order_ = order === "descending" ? compare(b, a) : compare(a, b);
        return empty || order_ || placeA - placeB;
      });
      body.append(...rows.map(([, , row]) => row));
    }
  }

  function filter(section) {
    let count = 0;
    for (const row of section.querySelectorAll("tbody tr[data-recipe]")) {
      const reference = row.parentElement.classList.contains("references");
      row.hidden =
        (view.recipe !== "" && row.dataset.recipe !== view.recipe) ||
        (view.track !== "" && row.dataset.track !== view.track && !reference);
      if (!row.hidden && !reference) count += 1;
    }
    for (const heading of section.querySelectorAll("tbody.heading")) {
      heading.hidden = [...heading.nextElementSibling.rows].every((row) => row.hidden);
    }
    section.querySelector(".nothing").hidden = count > 0;
    return count;
  }

  function apply() {
    let count = 0;
    let open = 0;
    for (const section of boards) {
      const wanted = view.backbone === "" || section.dataset.backbone === view.backbone;
      section.hidden = section.dataset.suite !== view.suite || !wanted;
      if (section.hidden) continue;
      open += 1;
      count += filter(section);
      sort(section.querySelector("table"));
    }
    for (const section of findings) section.hidden = section.dataset.suite !== view.suite;
    for (const section of atlases) {
      section.hidden = section.dataset.suite !== view.suite;
      for (const map of section.querySelectorAll("figure")) {
        map.hidden = view.recipe !== "" && map.dataset.recipe !== view.recipe;
      }
      for (const maps of section.querySelectorAll(".maps")) {
        maps.classList.toggle("chosen", maps.dataset.backbone === view.backbone);
      }
    }
    for (const name of names) form.elements[name].value = view[name];
    for (const option of form.elements.backbone.options) {
      option.disabled =
        option.value !== "" &&
        !boards.some((s) => s.dataset.suite === view.suite && s.dataset.backbone === option.value);
    }
    intervals.checked = view.intervals !== "";
    shown.textContent =
      open === 0 ? "No board of this suite has that backbone." : `${count} rows on ${open} board${open === 1 ? "" : "s"}.`;
  }

  function change(changes) {
    Object.assign(view, changes);
    write();
    apply();
  }

  for (const table of document.querySelectorAll("table.board")) {
    for (const body of table.tBodies) [...body.rows].forEach((row, place) => (row.dataset.place = place));
    for (const header of table.tHead.rows[1].querySelectorAll("th[data-key]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const {key, first} = header.dataset;
        const turned = view.order === "ascending" ? "descending" : "ascending";
        change({sort: key, order: header.hasAttribute("aria-sort") ? turned : first});
      });
    }
  }

  for (const figure of document.querySelectorAll("figure.curves")) {
    const mark = (series) => {
      figure.classList.toggle("marking", series !== null);
      for (const part of figure.querySelectorAll("[data-series]")) {
        part.classList.toggle("marked", part.dataset.series === series);
      }
    };
    for (const entry of figure.querySelectorAll("li[data-series]")) {
      entry.tabIndex = 0;
      for (const event of ["mouseenter", "focus"]) {
        entry.addEventListener(event, () => mark(entry.dataset.series));
      }
      for (const event of ["mouseleave", "blur"]) entry.addEventListener(event, () => mark(null));
    }
  }

  form.addEventListener("change", (event) => change({[event.target.name]: event.target.value}));
  form.addEventListener("submit", (event) => event.preventDefault());
  intervals.addEventListener("change", () => change({intervals: intervals.checked ? "1" : ""}));
  document.getElementById("reset").addEventListener("click", () => change(defaults));
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    // The hash holds the view, so places in the page are scrolled to instead.
    link.addEventListener("click", (event) => {
      const target = document.getElementById(link.hash.slice(1));
      event.preventDefault();
      target.tabIndex = -1;
      target.focus({preventScroll: true});
      target.scrollIntoView();
    });
  }
  window.addEventListener("hashchange", () => {
    read();
    apply();
  });
  form.hidden = false;
  read();
  apply();
})();
