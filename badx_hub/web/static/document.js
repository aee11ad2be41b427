"use strict";
/* A CoNLL-U text as its lines, which stay as they came unless a cell of them is changed. No page, no network. */
const badxDocument = (() => {
  const COLUMNS = ["ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC"];
  const NONE = "_", BOM = "\ufeff";
  const WORD = /^\ufeff?[1-9][0-9]*\t/;
  // What is said to be probable, and the key in MISC that says it; a correction makes the number meaningless.
  const PROBABILITY_KEYS = { UPOS: "UposProb", HEAD: "HeadProb", "MISC.name": "NameProb" };

  const linesOf = (text) => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

  /* A line as its cells and its end. */
  function split(line) {
    const content = line.replace(/[\r\n]+$/, "");
    return { cells: content.split("\t"), end: line.slice(content.length) };
  }

  function attribute(misc, key) {
    const found = misc.split("|").find((part) => part.startsWith(`${key}=`));
    return found === undefined ? NONE : found.slice(key.length + 1);
  }

  function withAttribute(misc, key, value) {
    const parts = misc === NONE ? [] : misc.split("|");
    const at = parts.findIndex((part) => part.startsWith(`${key}=`));
    parts.splice(at < 0 ? parts.length : at, at < 0 ? 0 : 1, ...(value === NONE ? [] : [`${key}=${value}`]));
    return parts.join("|") || NONE;
  }

  function put(cells, column, value) {
    const [name, key] = column.split(".");
    const at = COLUMNS.indexOf(name);
    cells[at] = key ? withAttribute(cells[at], key, value) : value;
  }

  /* A piece of the text: `conllu`, and what the server says of its words. */
  function piece({ conllu, words }) {
    const lines = linesOf(conllu);
    const places = lines.flatMap((line, at) => (WORD.test(line) ? [at] : []));
    return { lines, places, chances: words.map((word) => word.probability) };
  }

  /* What a column, such as "UPOS" or "MISC.name", says of a word, counted from 0. */
  function cell(one, word, column) {
    const [name, key] = column.split(".");
    const found = split(one.lines[one.places[word]]).cells[COLUMNS.indexOf(name)];
    return key ? attribute(found, key) : found;
  }

  /* The same piece with other values in these columns of a word; without a change the piece itself. */
  function changed(one, word, values) {
    const news = Object.entries(values).filter(([column, value]) => cell(one, word, column) !== value);
    if (!news.length) return one;
    const { cells, end } = split(one.lines[one.places[word]]);
    for (const [column, value] of news) {
      put(cells, column, value);
      if (column in PROBABILITY_KEYS) put(cells, `MISC.${PROBABILITY_KEYS[column]}`, NONE);
    }
    const lines = one.lines.with(one.places[word], cells.join("\t") + end);
    const dropped = news.map(([column]) => column.replace("MISC.", "").toLowerCase());
    const kept = Object.entries(one.chances[word]).filter(([kind]) => !dropped.includes(kind));
    return { ...one, lines, chances: one.chances.with(word, Object.fromEntries(kept)) };
  }

  /* How probable a value of a word is: what the server has just said, or what the file says; null if neither does. */
  function chance(one, word, kind) {
    const column = kind === "name" ? "MISC.name" : kind.toUpperCase();
    const told = one.chances[word][kind] ?? cell(one, word, `MISC.${PROBABILITY_KEYS[column]}`);
    const number = Number(told);
    return told === NONE || !(number >= 0 && number <= 1) ? null : number;
  }

  /* The mean of all probabilities in a piece; null if there are none. */
  function certainty(one) {
    const all = one.places.flatMap((_, word) => ["upos", "head", "name"].map((kind) => chance(one, word, kind)));
    const known = all.filter((number) => number !== null);
    return known.length ? known.reduce((sum, number) => sum + number, 0) / known.length : null;
  }

  /* The piece as text to draw: with all probabilities in MISC. */
  function shown(one) {
    const lines = [...one.lines];
    one.places.forEach((at, word) => {
      const { cells, end } = split(lines[at]);
      for (const [column, key] of Object.entries(PROBABILITY_KEYS)) {
        const number = one.chances[word][column.replace("MISC.", "").toLowerCase()];
        if (number !== undefined) put(cells, `MISC.${key}`, number.toFixed(3));
      }
      lines[at] = cells.join("\t") + end;
    });
    return lines.join("").replace(BOM, "");
  }

  /* What keeps the heads of a piece from being a tree, in words; nothing is said of a piece without any head. */
  function faults(one) {
    const heads = one.places.map((_, word) => cell(one, word, "HEAD"));
    if (heads.every((head) => head === NONE)) return [];
    const found = [];
    const without = heads.flatMap((head, word) => (head === NONE ? [word + 1] : []));
    if (without.length) found.push(`Without a head: ${without.join(", ")}.`);
    const roots = heads.flatMap((head, word) => (head === "0" ? [word + 1] : []));
    if (roots.length !== 1) found.push(roots.length ? `Several roots: ${roots.join(", ")}.` : "There is no root.");
    const circle = heads.flatMap((_, word) => (returns(heads, word) ? [word + 1] : []));
    if (circle.length) found.push(`In a circle: ${circle.join(", ")}.`);
    return found;
  }

  /* Whether the way from a word over its heads leads back to it. */
  function returns(heads, word) {
    let at = word;
    for (let step = 0; step < heads.length; step++) {
      if (heads[at] === NONE || heads[at] === "0") return false;
      at = Number(heads[at]) - 1;
      if (at === word) return true;
    }
    return false;
  }

  const text = (pieces) => pieces.map((one) => one.lines.join("")).join("");

  return { NONE, piece, cell, changed, chance, certainty, shown, faults, text };
})();
