"use strict";
/* The page of `badx-hub view`: its data are JSON in #data, drawn by badxTree of tree.js.

   Only what is near the window is in the page: the list consists of blocks of a few sentences, which are filled when
   they come near and emptied when they are far away. Long searches give way to the browser in between. */
(() => {
  const BLOCK = 5, PART = 10000, NEAR = "1000px", ESTIMATE = 290, TURN = 25, PAUSE = 150;
  const COLUMNS = ["form", "lemma", "upos", "xpos", "feats", "deprel", "misc"];
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  byId("data").remove();
  const count = data.sentences.length;
  const list = byId("list");
  const haystacks = new Array(count);
  const state = { matched: [...Array(count).keys()], part: 0, blocks: [], run: 0, cell: null };

  const fold = (text) => text.normalize("NFC").toLocaleLowerCase("und");
  const differencesOf = (index) => (data.wrong ? data.wrong[index].reduce((sum, one) => sum + one, 0) : 0);
  const doubt = () => (state.probabilities ? Math.min(1, Math.max(0, Number(byId("doubt").value) || 0)) : 0);

  function make(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  /* What is searched through: the words, the text as it was, the identifier. */
  function haystack(index) {
    if (haystacks[index] === undefined) {
      const { rows, text, sentId } = badxTree.parseSentence(data.sentences[index]);
      haystacks[index] = fold([rows.map((row) => row.form).join(" "), text ?? "", sentId ?? ""].join("\n"));
    }
    return haystacks[index];
  }

  /* A test of a sentence by what was typed: parts of words, and columns that one word has to fill. */
  function searched(query) {
    const terms = fold(query).split(/\s+/).filter(Boolean);
    const parts = terms.map((term) => term.split(/=(.*)/s));
    const columns = parts.filter(([name, value]) => value && COLUMNS.includes(name));
    const words = terms.filter((_, at) => !columns.includes(parts[at]));
    const has = (row, [name, value]) => {
      const cell = fold(row[name] ?? "_");
      return cell === value || (["feats", "misc"].includes(name) && cell.split("|").includes(value))
        || (name === "deprel" && cell.split(":")[0] === value);
    };
    return (index) => words.every((word) => haystack(index).includes(word))
      && (!columns.length || badxTree.parseSentence(data.sentences[index]).rows.some(
        (row) => columns.every((column) => has(row, column))));
  }

  function chosen() {
    const errors = byId("errors")?.value ?? "all", doubtful = byId("doubtful").checked, limit = doubt();
    const search = searched(byId("search").value);
    const cell = state.cell && new Set(state.cell.sentences);
    return (index) => (!cell || cell.has(index))
      && (errors === "all" || (errors === "any" ? differencesOf(index) > 0 : data.wrong[index][Number(errors)] > 0))
      && (!doubtful || (data.lowest[index] !== null && data.lowest[index] < limit)) && search(index);
  }

  function inOrder(matched) {
    const order = byId("order").value;
    if (order === "certainty") return matched.sort((a, b) => (data.mean[a] ?? 2) - (data.mean[b] ?? 2) || a - b);
    if (order === "errors") return matched.sort((a, b) => differencesOf(b) - differencesOf(a) || a - b);
    return matched;
  }

  /* Choose sentences anew. A later call ends this one; what is typed meanwhile is not held up. */
  async function update() {
    const run = (state.run += 1), fits = chosen(), matched = [];
    let turn = performance.now();
    for (let index = 0; index < count; index += 1) {
      if (fits(index)) matched.push(index);
      if (performance.now() - turn > TURN) {
        await new Promise((resume) => setTimeout(resume));
        if (run !== state.run) return;
        turn = performance.now();
      }
    }
    Object.assign(state, { matched: inOrder(matched), part: 0 });
    showPart();
  }

  function showPart() {
    near.disconnect();
    const first = state.part * PART, shown = state.matched.slice(first, first + PART);
    state.blocks = [];
    for (let start = 0; start < shown.length; start += BLOCK) {
      const block = make("div", { class: "block" });
      block.style.height = `${ESTIMATE * Math.min(BLOCK, shown.length - start)}px`;
      state.blocks.push({ element: block, indices: shown.slice(start, start + BLOCK), filled: false });
      block.badxBlock = state.blocks.at(-1);
    }
    list.replaceChildren(...state.blocks.map((block) => block.element));
    for (const block of state.blocks) near.observe(block.element);
    const all = state.matched.length, parts = all > PART ? `, ${first + 1} to ${first + shown.length} below` : "";
    const cell = state.cell ? `, where gold has ${state.cell.gold} and the file ${state.cell.file}` : "";
    byId("status").textContent =
      `${all.toLocaleString("en")} of ${count.toLocaleString("en")} sentences${badxTree.visible(cell)}${parts}`;
    byId("parts").hidden = all <= PART;
    byId("earlier").disabled = first === 0;
    byId("later").disabled = first + PART >= all;
  }

  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) fill(target.badxBlock);
      else empty(target.badxBlock);
    }
  }, { rootMargin: `${NEAR} 0px` });

  function fill(block) {
    if (block.filled) return;
    block.filled = true;
    const articles = block.indices.map(article);
    block.element.replaceChildren(...articles);
    block.element.style.height = "";
    articles.forEach((one, at) => draw(one, block.indices[at]));
  }

  function empty(block) {
    if (!block.filled || block.element.contains(document.activeElement)) return;
    block.element.style.height = `${block.element.getBoundingClientRect().height}px`;
    block.element.replaceChildren();
    block.filled = false;
  }

  function article(index) {
    const sentence = badxTree.parseSentence(data.sentences[index]);
    const { sentId, text, comments } = sentence;
    const title = make("h2", {}, `${index + 1}`);
    if (sentId !== null) title.append(" ", make("bdi", {}, badxTree.visible(sentId)));
    const facts = [];
    if (data.mean[index] !== null) facts.push(`certainty ${data.mean[index].toFixed(2)}, lowest ${data.lowest[index].toFixed(2)}`);
    const wrong = data.wrong?.[index] ?? [];
    ["tag", "head", "relation"].forEach((what, at) => {
      if (wrong[at]) facts.push(`${wrong[at]} wrong ${what}${wrong[at] > 1 ? "s" : ""}`);
    });
    const made = make("article", { tabindex: "-1" }, make("div", { class: "heading" }, title, make("span", {}, facts.join(" \u00b7 "))));
    made.append(make("p", { class: "text", dir: "auto" }, badxTree.visible(text ?? sentence.rows.map((row) => row.form).join(" "))));
    for (const line of comments.filter((one) => /^# *text_\w+ *=/.test(one))) {
      made.append(make("p", { class: "translation", dir: "auto" }, badxTree.visible(line.replace(/^[^=]*= ?/, ""))));
    }
    made.badxSentence = sentence;
    return made;
  }

  function draw(made, index) {
    const holder = make("div"), told = make("p", { class: "told", role: "status", hidden: "" });
    made.append(holder, told);
    const tree = badxTree.drawTree(holder, made.badxSentence, {
      gold: data.differences?.[index] ?? {}, doubt: doubt(), label: `Tree of sentence ${index + 1}`,
      onSelectWord: (row) => tell(row), onSelectArc: (row) => tell(row),
    });
    function tell(row) {
      told.hidden = false;
      told.textContent = badxTree.described(row).replaceAll("\n", " \u00b7 ");
      tree.mark({ word: row.id });
    }
  }

  /* Go to the sentence before or after the one that has the focus, or else the first that is in the window. */
  function go(step) {
    const shown = [...list.querySelectorAll("article")];
    const here = document.activeElement?.closest?.("article")
      ?? shown.find((one) => one.getBoundingClientRect().bottom > 0);
    const block = here?.parentElement.badxBlock;
    if (!block) return;
    const inside = [...block.element.children].indexOf(here) + (here.contains(document.activeElement) ? step : Math.min(step, 0));
    const other = state.blocks[state.blocks.indexOf(block) + Math.floor(inside / BLOCK)];
    if (!other) return;
    fill(other);
    const target = inside < 0 ? other.element.lastChild : other.element.children[inside % BLOCK];
    target?.focus({ preventScroll: true });
    target?.scrollIntoView({ block: "start" });
  }

  function showConfusions() {
    const cells = data.labels[byId("column").value];
    const pick = ([gold, file, , sentences]) => { state.cell = { gold, file, sentences }; update(); };
    const button = (cell, text) => {
      const made = make("button", { type: "button", title: `gold ${cell[0]}, file ${cell[1]}` }, badxTree.visible(text));
      made.addEventListener("click", () => pick(cell));
      return made;
    };
    const wrong = cells.filter(([gold, file]) => gold !== file).sort((a, b) => b[2] - a[2]);
    const items = wrong.slice(0, 10).map((cell) => make("li", {}, button(cell, `${cell[0]} \u2192 ${cell[1]}: ${cell[2].toLocaleString("en")}`)));
    byId("common").replaceChildren(
      make("p", {}, wrong.length ? "Most often, gold \u2192 file:" : "No differences."), make("ol", {}, ...items));
    byId("table").replaceChildren(cells.length ? confusionTable(cells, button) : "");
  }

  function confusionTable(cells, button) {
    const names = [...new Set(cells.flatMap(([gold, file]) => [gold, file]))].sort();
    const found = new Map(cells.map((cell) => [JSON.stringify(cell.slice(0, 2)), cell]));
    const most = Math.max(1, ...cells.filter(([gold, file]) => gold !== file).map((cell) => cell[2]));
    const head = make("tr", {}, make("th", { scope: "col" }, "gold \\ file"),
      ...names.map((name) => make("th", { scope: "col" }, badxTree.visible(name))));
    const rows = names.map((gold) => make("tr", {}, make("th", { scope: "row" }, badxTree.visible(gold)), ...names.map((file) => {
      const cell = found.get(JSON.stringify([gold, file]));
      if (!cell) return make("td");
      if (gold === file) return make("td", { class: "same" }, cell[2].toLocaleString("en"));
      return make("td", { class: `shade-${Math.ceil((3 * cell[2]) / most)}` }, button(cell, cell[2].toLocaleString("en")));
    })));
    return make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  }

  function listen() {
    let waiting = 0;
    const later = () => { clearTimeout(waiting); waiting = setTimeout(update, PAUSE); };
    byId("controls").addEventListener("input", later);
    byId("controls").addEventListener("submit", (event) => { event.preventDefault(); update(); });
    byId("controls").addEventListener("reset", () => { state.cell = null; later(); });
    byId("earlier").addEventListener("click", () => { state.part -= 1; showPart(); });
    byId("later").addEventListener("click", () => { state.part += 1; showPart(); });
    byId("confusions")?.addEventListener("toggle", showConfusions);
    byId("column")?.addEventListener("change", showConfusions);
    document.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select")) return;
      const act = { "/": () => byId("search").focus(), n: () => go(1), p: () => go(-1) }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
  }

  state.probabilities = data.mean.some((one) => one !== null);
  byId("doubt-label").hidden = byId("doubtful-label").hidden = !state.probabilities;
  byId("order").querySelector('[value="certainty"]').hidden = !state.probabilities;
  byId("order").querySelector('[value="certainty"]').disabled = !state.probabilities;
  listen();
  showPart();
})();
