"use strict";
/* Dependency trees as SVG: no dependencies, no network, no inline styles. `badxTree` is all that this file defines.

   badxTree.parseSentence(text)                      a sentence of CoNLL-U as {comments, sentId, text, rows}
   badxTree.drawTree(container, sentence, options)   draws it; gives back a handle to redraw, focus and mark

   Files come from strangers: text enters the page through `textContent` and attributes alone. */
const badxTree = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const FIELDS = ["id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"];
  const NONE = "_";
  // The characters of badx_hub.control_characters: those that hide what a text says.
  const STEERING = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
  const RTL = new RegExp(
    ["Hebrew", "Arabic", "Syriac", "Thaana", "Nko", "Adlam", "Samaritan", "Mandaic", "Hanifi_Rohingya"]
      .map((script) => `\\p{Script=${script}}`).join("|"), "gu");
  const PROBABILITIES = { upos: "UposProb", head: "HeadProb", name: "NameProb" };
  // Pixels: between words, between levels of arcs, around a label, the radius of a corner, a line of text, the margin,
  // the height of an arrow, from a dependent to the middle of its label.
  const GAP = 14, LEVEL = 24, PAD = 5, ROUND = 7, LINE = 20, MARGIN = 8, ARROW = 6, FAR = 130;

  const visible = (text) =>
    text.replace(STEERING, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);

  function parseSentence(text) {
    const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
    const comments = lines.filter((line) => line.startsWith("#"));
    const value = (key) => comments.map((line) => line.match(new RegExp(`^# *${key} *= ?(.*)$`))).find(Boolean)?.[1];
    const rows = lines.filter((line) => !line.startsWith("#")).map((line) => {
      const row = Object.fromEntries(line.split("\t").map((cell, index) => [FIELDS[index], cell]));
      row.kind = row.id.includes("-") ? "range" : row.id.includes(".") ? "empty" : "word";
      row.head = row.kind === "word" && row.head !== NONE ? Number(row.head) : null;
      return row;
    });
    return { comments, sentId: value("sent_id") ?? null, text: value("text") ?? null, rows };
  }

  /* The value of a key in MISC, or null. */
  function misc(row, key) {
    const found = (row.misc ?? NONE).split("|").find((part) => part.startsWith(`${key}=`));
    return found === undefined ? null : found.slice(key.length + 1);
  }

  function probability(row, kind) {
    const found = misc(row, PROBABILITIES[kind]);
    return found !== null && /^[01]\.\d+$/.test(found) ? Number(found) : null;
  }

  function isRightToLeft(rows) {
    const letters = rows.map((row) => row.form).join("").match(/\p{L}/gu) ?? [];
    return 2 * (letters.join("").match(RTL) ?? []).length > letters.length;
  }

  /* [{first, last, type}] of the entities that `name=B-PER` in MISC makes; positions are those of `words`. */
  function entities(words) {
    const spans = [];
    words.forEach((row, at) => {
      const [, place, type] = (misc(row, "name") ?? "").match(/^([BI])-(.+)$/) ?? [];
      const open = spans.at(-1);
      if (place === "I" && open?.last === at - 1 && open.type === type) open.last = at;
      else if (place) spans.push({ first: at, last: at, type });
    });
    return spans;
  }

  /* Arcs as {id, from, to, label, kind}, positions counted from 0, `from` null for the root. `kind` is "" or what is
     wrong with the arc: "wrong-head", "wrong-relation", and "gold" for the arc that should be there. */
  function arcsOf(words, gold, doubt) {
    const place = new Map(words.map((row, at) => [row.id, at]));
    const at = (head) => (head === 0 ? null : place.get(String(head)));
    const arcs = [];
    for (const row of words) {
      const to = place.get(row.id), right = gold[row.id];
      const drawn = row.head !== null && at(row.head) !== undefined;
      const otherHead = right !== undefined && right.head !== null && right.head !== row.head;
      const otherRelation = right !== undefined && right.deprel !== NONE && right.deprel !== row.deprel;
      if (drawn) {
        const certain = probability(row, "head");
        const doubted = certain !== null && certain < doubt;
        const mark = otherHead || otherRelation ? "\u2717 " : "";
        const answer = otherRelation && !otherHead ? ` \u2713 ${right.deprel}` : "";
        arcs.push({
          id: row.id, from: at(row.head), to, doubted, kind: otherHead ? "wrong-head" : mark ? "wrong-relation" : "",
          label: `${mark}${row.deprel}${answer}${doubted ? " ?" : ""}`,
        });
      }
      if (otherHead && at(right.head) !== undefined) {
        arcs.push({ id: row.id, from: at(right.head), to, doubted: false, kind: "gold", label: `\u2713 ${right.deprel}` });
      }
    }
    return arcs;
  }

  /* Give each arc the lowest level on which it lies on no other: short ones first, roots above all they touch. */
  function setLevels(arcs) {
    const ends = (arc) => (arc.from === null ? [arc.to - 0.5, arc.to + 0.5] : [arc.from, arc.to].sort((a, b) => a - b));
    const length = (arc) => (arc.from === null ? Infinity : Math.abs(arc.from - arc.to));
    const done = [];
    for (const arc of [...arcs].sort((a, b) => length(a) - length(b) || a.to - b.to)) {
      [arc.left, arc.right] = ends(arc);
      const below = done.filter((other) => other.left < arc.right && other.right > arc.left);
      arc.level = 1 + Math.max(0, ...below.map((other) => other.level));
      done.push(arc);
    }
    return Math.max(0, ...done.map((arc) => arc.level));
  }

  /* How far from the centre of its head an arc starts, and from that of its dependent it ends, in reading direction:
     of the arcs on one side the longest is nearest to the centre, so that none crosses its neighbour. */
  function setEnds(arcs, widths) {
    for (let at = 0; at < widths.length; at += 1) {
      for (const side of [-1, 1]) {
        const out = arcs.filter((arc) => arc.from === at && Math.sign(arc.to - at) === side);
        out.sort((a, b) => Math.abs(b.to - at) - Math.abs(a.to - at));
        const step = Math.min(7, (widths[at] / 2 - 2) / out.length);
        out.forEach((arc, rank) => { arc.start = side * step * (rank + 1); });
      }
    }
    for (const arc of arcs) arc.end = arc.kind === "gold" ? Math.min(5, widths[arc.to] / 4) : 0;
  }

  /* The centre of each word, in reading direction; room for words, and for the labels of the arcs that end at them. */
  function centres(widths, arcs) {
    const places = [];
    widths.forEach((width, at) => {
      let x = at === 0 ? MARGIN + width / 2 : places[at - 1] + (widths[at - 1] + width) / 2 + GAP;
      for (const arc of arcs) {
        if (arc.from === null && arc.to === at) x = Math.max(x, MARGIN + arc.width / 2);
        if (arc.from === null || arc.right !== at) continue;
        x = Math.max(x, places[arc.left] + Math.abs(arc.start) + arc.end + arc.width + 3 * ROUND);
      }
      places.push(x);
    });
    return places;
  }

  function element(name, attributes = {}, ...children) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  const label = (className, text, direction = "ltr") =>
    element("text", { class: className, direction, "text-anchor": "middle" }, visible(text));

  function wordElement(row, right, doubt, direction) {
    const wrong = right !== undefined && right.upos !== NONE && right.upos !== row.upos;
    const certain = probability(row, "upos");
    const doubted = certain !== null && certain < doubt;
    const tag = `${wrong ? "\u2717 " : ""}${row.upos}${doubted ? " ?" : ""}`;
    const group = element(
      "g", { class: `tree-word tree-${row.kind}${wrong ? " tree-wrong" : ""}${doubted ? " tree-doubted" : ""}` },
      element("title", {}, visible(described(row))), element("rect", { class: "tree-box", rx: 4 }),
      label("tree-form", row.form, direction), label("tree-upos", tag),
    );
    if (wrong) group.append(label("tree-gold-upos", `\u2713 ${right.upos}`));
    return group;
  }

  /* All that the file says about a word, for tooltips. */
  function described(row) {
    const parts = FIELDS.filter((key) => !["id", "form"].includes(key) && ![NONE, null, undefined].includes(row[key]));
    return [`${row.id} ${row.form}`, ...parts.map((key) => `${key.toUpperCase()} ${row[key]}`)].join("\n");
  }

  function arcElement(arc) {
    const group = element(
      "g", { class: `tree-arc ${arc.kind ? `tree-${arc.kind}` : ""} ${arc.doubted ? "tree-doubted" : ""}`.trim() },
      element("path", { class: "tree-reach" }), element("path", { class: "tree-line" }),
      element("path", { class: "tree-arrow" }), element("rect", { class: "tree-back", rx: 3 }),
      label("tree-relation", arc.label),
    );
    return group;
  }

  function placeArc(arc, bottom) {
    const [reach, line, arrow, back, text] = arc.element.children;
    const y = bottom - arc.level * LEVEL, { x1, x2 } = arc, end = bottom - ARROW + 1;
    const turn = x2 > x1 ? ROUND : -ROUND;
    const path = arc.from === null
      ? `M${x2} ${y}V${end}`
      : `M${x1} ${bottom}V${y + ROUND}Q${x1} ${y} ${x1 + turn} ${y}H${x2 - turn}Q${x2} ${y} ${x2} ${y + ROUND}V${end}`;
    reach.setAttribute("d", path);
    line.setAttribute("d", path);
    arrow.setAttribute("d", `M${x2 - 4} ${bottom - ARROW}h8l-4 ${ARROW}z`);
    // On a long arc the label is near the dependent, where one looks for it, and not far outside of a narrow window.
    const middle = arc.from === null ? x2 : x2 - Math.sign(x2 - x1) * Math.min(Math.abs(x2 - x1) / 2, FAR);
    for (const [key, value] of Object.entries({ x: middle - arc.width / 2, y: y - 9, width: arc.width, height: 18 })) {
      back.setAttribute(key, value);
    }
    text.setAttribute("x", middle);
    text.setAttribute("y", y + 4);
  }

  function placeWord(group, x, top, width) {
    const [, box, ...texts] = group.children;
    const values = { x: x - width / 2 - 3, y: top + 1, width: width + 6, height: texts.length * LINE + 4 };
    for (const [key, value] of Object.entries(values)) box.setAttribute(key, value);
    texts.forEach((text, row) => {
      text.setAttribute("x", x);
      text.setAttribute("y", top + LINE * (row + 1) - 3);
    });
  }

  /* A bracket below the words from x1 to x2 and what it is for. */
  function bracket(className, text, x1, x2, y) {
    const name = label("tree-bracket-name", text);
    name.setAttribute("x", (x1 + x2) / 2);
    name.setAttribute("y", y + 18);
    return element(
      "g", { class: className }, element("path", { class: "tree-line", d: `M${x1} ${y}v4H${x2}v-4` }), name,
    );
  }

  const longest = (elements) => Math.max(0, ...elements.map((one) => one.getComputedTextLength()));

  /* Draw into `container`, which has to be shown: the widths of words are measured there. Options, all optional:
       onSelectWord(row, event), onSelectArc(row, event)   a click, Enter or Space; an arc is named by its dependent
       gold      {"3": {upos, head, deprel}}: what the words that differ should be; head null and "_" say nothing
       doubt     probabilities below this number, 0 by default, are marked (keys UposProb and HeadProb in MISC)
       label     what the whole is called for screen readers; by default the text of the sentence */
  function drawTree(container, sentence, options = {}) {
    const state = { container, sentence, options, marked: {} };
    const handle = {
      redraw(other, changed = {}) {
        const focus = focused(state);
        Object.assign(state, { sentence: other, options: { ...state.options, ...changed } });
        render(state);
        if (focus) focusOn(state, focus);
      },
      focusWord: (id) => focusOn(state, { kind: "word", id: String(id) }),
      focusArc: (id) => focusOn(state, { kind: "arc", id: String(id) }),
      mark(marked) { state.marked = marked; showMarks(state); },
      wordElement: (id) => find(state, "word", String(id)),
      arcElement: (id) => find(state, "arc", String(id)),
      get svg() { return state.svg; },
      get sentence() { return state.sentence; },
    };
    render(state);
    return handle;
  }

  function render(state) {
    const { gold = {}, doubt = 0 } = state.options;
    const words = state.sentence.rows.filter((row) => row.kind !== "range");
    const mirrored = isRightToLeft(words);
    const arcs = arcsOf(words, gold, doubt);
    const highest = setLevels(arcs);
    const svg = element("svg", { class: "badx-tree", role: "group" });
    svg.setAttribute("aria-label", visible(state.options.label ?? state.sentence.text ?? words.map((row) => row.form).join(" ")));
    const groups = words.map((row) => wordElement(row, gold[row.id], doubt, mirrored ? "rtl" : "ltr"));
    for (const arc of arcs) arc.element = arcElement(arc);
    // Short arcs lie on long ones: the lines of these do not run through their labels.
    svg.append(...[...arcs].sort((a, b) => b.level - a.level).map((arc) => arc.element), ...groups);
    const scroll = document.createElement("div");
    scroll.className = "tree-scroll";
    scroll.dir = mirrored ? "rtl" : "ltr";
    scroll.append(svg);
    state.container.replaceChildren(scroll);
    // Measure everything first, then place everything: one layout of the page for a tree.
    const widths = groups.map((group) => Math.max(24, longest([...group.querySelectorAll("text")])));
    for (const arc of arcs) arc.width = longest([arc.element.lastChild]) + 2 * PAD;
    place(state, { svg, words, arcs, groups, widths, highest, mirrored });
    Object.assign(state, { svg, words, mirrored });
    listen(state, arcs, groups);
    showMarks(state);
  }

  function place(state, { svg, words, arcs, groups, widths, highest, mirrored }) {
    setEnds(arcs, widths);
    let xs = centres(widths, arcs);
    const roots = arcs.filter((arc) => arc.from === null).map((arc) => xs[arc.to] + arc.width / 2);
    const width = Math.ceil(Math.max(0, ...xs.map((x, at) => x + widths[at] / 2), ...roots) + MARGIN);
    if (mirrored) xs = xs.map((x) => width - x);
    const side = mirrored ? -1 : 1;
    for (const arc of arcs) {
      if (arc.from !== null) arc.x1 = xs[arc.from] + side * arc.start;
      arc.x2 = xs[arc.to] + side * arc.end;
    }
    const bottom = MARGIN + 8 + highest * LEVEL;
    for (const arc of arcs) placeArc(arc, bottom);
    groups.forEach((group, at) => placeWord(group, xs[at], bottom, widths[at]));
    let below = bottom + LINE * Math.max(2, ...groups.map((group) => group.querySelectorAll("text").length)) + 8;
    const span = (first, last) => [xs[first] - widths[first] / 2, xs[last] + widths[last] / 2].sort((a, b) => a - b);
    const number = new Map(words.map((row, at) => [row.id, at]));
    const ranges = state.sentence.rows.filter((row) => row.kind === "range").map((row) => [row, ...row.id.split("-")]);
    const known = ranges.filter(([, first, last]) => number.has(first) && number.has(last));
    svg.append(...known.map(([row, first, last]) =>
      bracket("tree-range-of-words", row.form, ...span(number.get(first), number.get(last)), below)));
    below += known.length ? 26 : 0;
    const found = entities(words);
    svg.append(...found.map(({ first, last, type }) => bracket("tree-entity", type, ...span(first, last), below)));
    below += found.length ? 26 : 0;
    const size = { width, height: below, viewBox: `0 0 ${width} ${below}` };
    for (const [key, value] of Object.entries(size)) svg.setAttribute(key, value);
  }

  const find = (state, kind, id) =>
    [...state.svg.querySelectorAll(`[data-${kind}]`)].find((one) => one.getAttribute(`data-${kind}`) === id) ?? null;

  function focused(state) {
    const active = document.activeElement?.closest?.("[data-word], [data-arc]");
    if (!active || !state.svg?.contains(active)) return null;
    return active.hasAttribute("data-word")
      ? { kind: "word", id: active.getAttribute("data-word") } : { kind: "arc", id: active.getAttribute("data-arc") };
  }

  /* Of all words and arcs of a tree one is reached by Tab, the one that was reached last. */
  function focusOn(state, { kind, id }) {
    const target = find(state, kind, id);
    if (!target) return false;
    state.svg.querySelectorAll('[tabindex="0"]').forEach((one) => one.setAttribute("tabindex", "-1"));
    target.setAttribute("tabindex", "0");
    target.focus();
    return true;
  }

  function showMarks(state) {
    for (const one of state.svg.querySelectorAll(".tree-marked")) one.classList.remove("tree-marked");
    for (const kind of ["word", "arc"]) find(state, kind, String(state.marked[kind]))?.classList.add("tree-marked");
  }

  function listen(state, arcs, groups) {
    const { words, options } = state;
    const offer = (target, kind, row, name, chosen) => {
      target.setAttribute(`data-${kind}`, row.id);
      target.setAttribute("tabindex", "-1");
      target.setAttribute("role", chosen ? "button" : "img");
      target.setAttribute("aria-label", visible(name));
      target.addEventListener("click", (event) => { focusOn(state, { kind, id: row.id }); chosen?.(row, event); });
      target.addEventListener("keydown", (event) => onKey(state, kind, row, event, chosen));
    };
    words.forEach((row, at) => {
      const tree = row.head === null ? "" : `, ${row.deprel}, head ${row.head}`;
      offer(groups[at], "word", row, `${row.id} ${row.form}, ${row.upos}${tree}`, options.onSelectWord);
    });
    for (const arc of arcs.filter((one) => one.kind !== "gold")) {
      const row = words[arc.to], head = arc.from === null ? "the root" : words[arc.from].form;
      offer(arc.element, "arc", row, `${arc.label}: from ${head} to ${row.form}`, options.onSelectArc);
    }
    groups[0]?.setAttribute("tabindex", "0");
  }

  function onKey(state, kind, row, event, chosen) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const ids = kind === "word" ? state.words.map((one) => one.id)
      : state.words.filter((one) => find(state, "arc", one.id)).map((one) => one.id);
    const near = (step) => focusOn(state, { kind, id: ids[ids.indexOf(row.id) + (state.mirrored ? -step : step)] });
    const moves = {
      ArrowLeft: () => near(-1), ArrowRight: () => near(1),
      Home: () => focusOn(state, { kind, id: ids[0] }), End: () => focusOn(state, { kind, id: ids.at(-1) }),
      ArrowUp: () => focusOn(state, kind === "word" ? { kind: "arc", id: row.id } : { kind: "word", id: String(row.head) }),
      ArrowDown: () => kind === "arc" && focusOn(state, { kind: "word", id: row.id }),
      Enter: () => chosen && (chosen(row, event), true), " ": () => chosen && (chosen(row, event), true),
    };
    if (moves[event.key]?.()) event.preventDefault();
  }

  return Object.freeze({ parseSentence, drawTree, described, misc, probability, visible, isRightToLeft });
})();
