"use strict";
/* The page: a text goes to the server, comes back annotated, is corrected here and leaves as a file. */
(() => {
  const { NONE } = badxDocument;
  const BATCH = 25; // sentences a request, so that progress is seen and a long file meets no time limit
  const MOST_BYTES = 7 * 2 ** 20; // the server takes 8 MiB of JSON, in which a text is longer
  const DOUBT = 0.5;
  const UPOS = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split(" ");
  const RELATIONS = (
    "acl advcl advmod amod appos aux case cc ccomp clf compound conj cop csubj dep det discourse dislocated expl fixed " +
    "flat goeswith iobj list mark nmod nsubj nummod obj obl orphan parataxis punct reparandum root vocative xcomp"
  ).split(" ");
  const at = (id) => document.getElementById(id);
  const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

  const state = {
    stacks: [], pieces: [], order: [], position: 0, word: null, picking: null, undo: [], redo: [], saved: true,
    file: null, fileName: "annotated", tree: null, work: null,
  };

  /* The server. */

  async function ask(path, body, signal) {
    const request = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    let answer, content;
    try {
      answer = await fetch(path, { ...request, signal });
      content = await answer.json();
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Error("The server does not answer. Is it still running?");
    }
    if (!answer.ok) throw new Error(content.error ?? `The server refused (${answer.status}).`);
    return content;
  }

  async function listStacks() {
    state.stacks = await ask("/api/stacks");
    at("stack").replaceChildren(...state.stacks.map(({ key, title }) => new Option(title, key)));
    showTasks();
  }

  const chosenStack = () => state.stacks.find(({ key }) => key === at("stack").value);
  const chosenTasks = () => [...at("tasks").querySelectorAll("input:checked")].map((box) => box.value);

  function showTasks() {
    const names = { pos: "tags (pos)", dp: "trees (dp)", ner: "names (ner)" };
    const boxes = (chosenStack()?.tasks ?? []).map((task) => {
      const label = document.createElement("label"), box = document.createElement("input");
      Object.assign(box, { type: "checkbox", value: task, checked: true });
      label.append(box, ` ${names[task] ?? task}`);
      return label;
    });
    at("tasks").replaceChildren(at("tasks").querySelector("legend"), ...boxes);
  }

  /* A text from the page or from a file; what is no UTF-8 is refused and not guessed. */

  async function given() {
    if (!state.file) return { text: at("text").value, conllu: false };
    const name = state.file.name;
    if (/\.gz$/i.test(name)) throw new Error(`${name} is packed. Unpack it first (gunzip).`);
    const bytes = await state.file.arrayBuffer();
    try {
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
      return { text, conllu: /\.conllu?$/i.test(name) };
    } catch {
      throw new Error(`${name} is not UTF-8. Convert it first (iconv).`);
    }
  }

  function takeFile(file) {
    state.file = file;
    if (file) at("text").value = "";
    at("status").textContent = file ? `${file.name} is chosen.` : "";
  }

  async function run(annotates) {
    if (!state.saved && !confirm("Your corrections are not downloaded. Drop them?")) return;
    const work = (state.work = new AbortController());
    busy(true);
    try {
      const { text, conllu } = await given();
      if (new Blob([text]).size > MOST_BYTES) throw new Error("The text has more than 7 MiB. Take it in parts.");
      if (!text.trim()) throw new Error("There is no text. Paste some, or choose a file.");
      const read = await ask("/api/annotate", { text, conllu, tasks: [] }, work.signal);
      load(read.pieces);
      at("input").open = false;
      if (annotates && chosenTasks().length) await annotate(work.signal);
      else at("status").textContent = plural(state.order.length, "sentence");
    } catch (error) {
      if (work.signal.aborted) at("status").textContent = "Stopped; what is annotated stays.";
      else fail(error.message);
    } finally {
      busy(false);
    }
  }

  async function annotate(signal) {
    const asked = { stack: at("stack").value, tasks: chosenTasks(), overwrite: at("overwrite").checked, conllu: true };
    const total = state.order.length;
    for (let done = 0; done < total; done += BATCH) {
      at("status").textContent = `Annotating: ${done.toLocaleString("en")} of ${plural(total, "sentence")}`;
      const batch = sentences().slice(done, done + BATCH);
      const text = badxDocument.text(batch.map((index) => state.pieces[index]));
      // What follows a sentence without a blank line is the end of the file: only the last batch may have none.
      const answer = await ask("/api/annotate", { ...asked, text }, signal);
      const news = answer.pieces.filter((one) => one.words.length);
      if (news.length !== batch.length) throw new Error("The server answered with other sentences than were sent.");
      batch.forEach((index, place) => { state.pieces[index] = badxDocument.piece(news[place]); });
      sort();
      show();
    }
    at("status").textContent = `Annotated: ${plural(total, "sentence")}`;
  }

  function busy(now) {
    for (const id of ["annotate", "show"]) at(id).disabled = now;
    at("stop").hidden = !now;
    if (!now) state.work = null;
    if (now) fail(null);
    showEditor();
    showButtons();
  }

  function fail(message) {
    at("error").hidden = !message;
    at("error").textContent = message ? badxTree.visible(message) : "";
    if (message) at("status").textContent = "";
  }

  /* Sentences and their order. */

  const sentences = () => state.pieces.flatMap((one, index) => (one.places.length ? [index] : []));

  function load(pieces) {
    Object.assign(state, {
      pieces: pieces.map(badxDocument.piece), position: 0, word: null, picking: null, undo: [], redo: [], saved: true,
      fileName: state.file ? state.file.name.replace(/\.[^.]*$/, "") : "annotated",
    });
    if (!sentences().length) throw new Error("There is no word in it.");
    at("document").hidden = false;
    at("worst").checked = false;
    sort();
    show();
  }

  function sort() {
    const index = current();
    state.order = sentences();
    if (at("worst").checked) {
      const sure = new Map(state.order.map((one) => [one, badxDocument.certainty(state.pieces[one]) ?? 1]));
      state.order.sort((one, other) => sure.get(one) - sure.get(other));
    }
    state.position = Math.max(0, state.order.indexOf(index));
  }

  const current = () => state.order[state.position];
  const piece = () => state.pieces[current()];
  const cell = (word, column) => badxDocument.cell(piece(), word, column);

  function go(position) {
    state.position = Math.min(Math.max(position, 0), state.order.length - 1);
    state.word = null;
    pick(null);
    show();
  }

  function show() {
    const one = badxTree.parseSentence(badxDocument.shown(piece()));
    const sure = badxDocument.certainty(piece());
    at("number").value = state.position + 1;
    at("number").max = state.order.length;
    at("count").textContent = `of ${state.order.length.toLocaleString("en")}`;
    const text = one.text ?? one.rows.filter((row) => row.kind === "word").map((row) => row.form).join(" ");
    at("sentence-text").textContent = badxTree.visible(text) + (sure === null ? "" : ` (certainty ${percent(sure)})`);
    if (state.tree) state.tree.redraw(one, { label: text });
    else state.tree = badxTree.drawTree(at("tree"), one, { onSelectWord, onSelectArc, doubt: DOUBT, label: text });
    at("faults").textContent = badxDocument.faults(piece()).join(" ");
    mark();
    showEditor();
    showButtons();
  }

  function showButtons() {
    at("previous").disabled = state.position === 0;
    at("next").disabled = state.position >= state.order.length - 1;
    at("undo").disabled = !state.undo.length || Boolean(state.work);
    at("redo").disabled = !state.redo.length || Boolean(state.work);
    at("download").disabled = Boolean(state.work);
    at("undo").textContent = state.undo.length ? `Undo (${state.undo.length})` : "Undo";
  }

  const percent = (number) => `${Math.round(100 * number)} %`;

  /* One word: its tag, head, relation and name. */

  function onSelectWord(row) {
    const word = Number(row.id) - 1;
    if (row.kind !== "word") return;
    if (state.picking !== null) return setHead(state.picking, word + 1);
    state.word = word;
    mark();
    showEditor();
    if (!state.work) at("upos").focus();
  }

  function onSelectArc(row) {
    state.word = Number(row.id) - 1;
    showEditor();
    pick(state.word);
  }

  function pick(word) {
    if (word !== null && state.work) return;
    state.picking = word;
    at("tree").classList.toggle("picking", word !== null);
    if (word !== null) {
      const form = badxTree.visible(cell(word, "FORM"));
      at("status").textContent = `Choose the head of ${word + 1} ${form}: click a word or press Enter on it; 0 is the root, Esc gives up.`;
    } else if (at("status").textContent.startsWith("Choose")) at("status").textContent = "";
    mark();
  }

  function mark() {
    const id = state.word === null ? undefined : String(state.word + 1);
    state.tree?.mark({ word: id, arc: state.picking === null ? undefined : String(state.picking + 1) });
  }

  function setHead(word, head) {
    pick(null);
    state.word = word;
    if (head === word + 1) {
      fail("A word is not its own head. Choose another word.");
      return showEditor();
    }
    const values = { HEAD: String(head) };
    if (head === 0) values.DEPREL = "root";
    else if (cell(word, "DEPREL") === "root") values.DEPREL = "dep";
    correct(word, values);
    if (!state.tree.focusArc(String(word + 1))) state.tree.focusWord(String(word + 1));
  }

  function options(select, values, value) {
    const all = values.includes(value) ? values : [value, ...values];
    select.replaceChildren(...all.map((one) => new Option(badxTree.visible(one), one, false, one === value)));
  }

  function nameLabels() {
    const inText = state.pieces.flatMap((one) => one.places.map((_, word) => badxDocument.cell(one, word, "MISC.name")));
    const known = [...(chosenStack()?.labels.ner ?? []), ...new Set(inText)].filter((one) => one !== NONE);
    return [...new Set(known)];
  }

  function showEditor() {
    at("editor").hidden = state.word === null || Boolean(state.work);
    if (at("editor").hidden) return;
    const word = state.word;
    at("word").textContent = `${word + 1} ${badxTree.visible(cell(word, "FORM"))}`;
    options(at("upos"), [NONE, ...UPOS], cell(word, "UPOS"));
    const head = cell(word, "HEAD");
    at("head").value = head === NONE ? "" : head;
    at("head").max = piece().places.length;
    const above = head === NONE ? "" : head === "0" ? "root" : cell(Number(head) - 1, "FORM");
    at("head-word").textContent = badxTree.visible(above);
    at("deprel").value = cell(word, "DEPREL");
    const names = nameLabels();
    options(at("name"), [NONE, ...names], cell(word, "MISC.name"));
    at("name-field").hidden = !names.length;
    for (const kind of ["upos", "head", "name"]) {
      const number = badxDocument.chance(piece(), word, kind);
      at(`${kind}-chance`).textContent = number === null ? "" : percent(number);
    }
  }

  /* Corrections. */

  function correct(word, values) {
    const before = piece(), after = badxDocument.changed(before, word, values);
    fail(null);
    if (after === before) return show();
    state.undo.push({ index: current(), word, before, after });
    state.redo = [];
    replaced(current(), after);
  }

  function replaced(index, one) {
    state.pieces[index] = one;
    state.saved = false;
    show();
  }

  function step(from, to, side) {
    const last = state.work ? undefined : from.pop();
    if (!last) return;
    to.push(last);
    state.position = Math.max(0, state.order.indexOf(last.index));
    state.word = last.word;
    pick(null);
    replaced(last.index, last[side]);
    at("status").textContent = side === "before" ? "Undone." : "Done again.";
  }

  const undo = () => step(state.undo, state.redo, "before");
  const redo = () => step(state.redo, state.undo, "after");

  function download() {
    const url = URL.createObjectURL(new Blob([badxDocument.text(state.pieces)], { type: "text/plain;charset=utf-8" }));
    const link = Object.assign(document.createElement("a"), { href: url, download: `${state.fileName}.conllu` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    state.saved = true;
    at("status").textContent = `${state.fileName}.conllu is downloaded.`;
  }

  function cellOf(input) {
    const value = input.value.trim().replace(/\s+/g, " ");
    return value === "" ? NONE : value;
  }

  function changeHead() {
    const value = at("head").value.trim(), most = piece().places.length;
    if (value === "") return correct(state.word, { HEAD: NONE });
    if (!/^\d+$/.test(value) || Number(value) > most) {
      fail(`A head is the number of a word from 1 to ${most}, or 0 for the root.`);
      return showEditor();
    }
    const word = state.word;
    setHead(word, Number(value));
    at("head").focus();
  }

  /* Keys. */

  function treeKey(event) {
    const on = event.target.closest("[data-word], [data-arc]");
    const word = on ? Number(on.dataset.word ?? on.dataset.arc) - 1 : null;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (state.picking !== null && event.key === "0") setHead(state.picking, 0);
    else if (state.picking !== null && event.key === "Escape") pick(null);
    else if (!Number.isInteger(word) || state.work) return;
    else if (event.key === "h") { state.word = word; showEditor(); pick(word); }
    else if (["t", "r", "n"].includes(event.key)) {
      state.word = word;
      mark();
      showEditor();
      at({ t: "upos", r: "deprel", n: "name" }[event.key]).focus();
    } else return;
    event.preventDefault();
  }

  function pageKey(event) {
    const inText = event.target.matches("textarea");
    if (at("document").hidden || inText) return;
    if (event.key === "PageDown") go(state.position + 1);
    else if (event.key === "PageUp") go(state.position - 1);
    else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") event.shiftKey ? redo() : undo();
    else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "y") redo();
    else if (event.key === "Escape" && at("editor").contains(event.target)) state.tree.focusWord(String(state.word + 1));
    else return;
    event.preventDefault();
  }

  function listen() {
    at("stack").addEventListener("change", showTasks);
    at("file").addEventListener("change", () => takeFile(at("file").files[0] ?? null));
    at("text").addEventListener("input", () => { state.file = null; at("file").value = ""; });
    at("annotate").addEventListener("click", () => run(true));
    at("show").addEventListener("click", () => run(false));
    at("stop").addEventListener("click", () => state.work?.abort());
    at("previous").addEventListener("click", () => go(state.position - 1));
    at("next").addEventListener("click", () => go(state.position + 1));
    at("number").addEventListener("change", () => go((Number.parseInt(at("number").value, 10) || 1) - 1));
    at("worst").addEventListener("change", () => { sort(); go(at("worst").checked ? 0 : state.position); });
    at("undo").addEventListener("click", undo);
    at("redo").addEventListener("click", redo);
    at("download").addEventListener("click", download);
    at("pick").addEventListener("click", () => { pick(state.word); state.tree.focusWord(String(state.word + 1)); });
    at("upos").addEventListener("change", () => correct(state.word, { UPOS: at("upos").value }));
    at("name").addEventListener("change", () => correct(state.word, { "MISC.name": at("name").value }));
    at("deprel").addEventListener("change", () => correct(state.word, { DEPREL: cellOf(at("deprel")) }));
    at("head").addEventListener("change", changeHead);
    at("editor").addEventListener("submit", (event) => event.preventDefault());
    at("tree").addEventListener("keydown", treeKey);
    document.addEventListener("keydown", pageKey);
    window.addEventListener("beforeunload", (event) => { if (!state.saved) event.preventDefault(); });
    document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
    document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      if (event.dataTransfer.files.length) { at("file").value = ""; at("input").open = true; takeFile(event.dataTransfer.files[0]); }
    });
  }

  at("relations").replaceChildren(...RELATIONS.map((one) => new Option(one)));
  listen();
  listStacks().catch((error) => fail(error.message));
})();
