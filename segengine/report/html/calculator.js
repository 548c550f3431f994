"use strict";
/* The calculator: a customer's values to the prepared point, the nearest centre, and what speaks for it. The same
   operations as segengine.features.prepare_numbers and segengine.scoring, on numbers that the page holds. */
(function () {
  const form = document.getElementById("calculator-form");
  if (!form) return;
  const model = JSON.parse(document.getElementById("model-numbers").textContent);
  const field = (place) => document.getElementById("f-" + place);

  function usable(value) {
    return value !== null && Math.abs(value) <= model.largest; // false for NaN
  }

  function part(column, value) {
    const input = model.inputs[column.input];
    if (input.kind === "numeric") {
      if (column.part === "missing") return usable(value) ? 0 : 1;
      let number = usable(value) ? value : input.impute;
      if (input.cap !== null) number = Math.min(Math.max(number, input.cap[0]), input.cap[1]);
      return input.log === null ? number : Math.sign(number) * Math.log1p(Math.abs(number) / input.log);
    }
    if (column.part === "missing") return value === null ? 1 : 0;
    if (column.part === "level") return value === column.level ? 1 : 0;
    return value !== null && !input.levels.includes(value) ? 1 : 0;
  }

  function score(values, group) {
    const point = model.vector.map((column) => (part(column, values[column.input]) - column.mean) * column.factor);
    const [first, stop] = model.groups === null ? [0, model.segments.length] : model.groups[group];
    const distances = model.segments.map((segment, index) => {
      if (index < first || index >= stop) return Infinity;
      let sum = 0;
      segment.centre.forEach((centre, place) => { sum += (point[place] - centre) ** 2; });
      return Math.sqrt(sum);
    });
    let own = first;
    for (let i = first; i < stop; i += 1) if (distances[i] < distances[own]) own = i;
    let second = -1;
    for (let i = first; i < stop; i += 1) {
      if (i !== own && (second < 0 || distances[i] < distances[second])) second = i;
    }
    return { point, own, second, distance: distances[own], next: second < 0 ? Infinity : distances[second] };
  }

  /* How much nearer each input brings the customer to its own segment than to the runner-up, in squared distance. */
  function reasons(scored) {
    const shares = model.inputs.map(() => 0);
    if (scored.second < 0) return shares;
    model.vector.forEach((column, place) => {
      const own = scored.point[place] - model.segments[scored.own].centre[place];
      const other = scored.point[place] - model.segments[scored.second].centre[place];
      shares[column.input] += other * other - own * own;
    });
    return shares;
  }

  function read() {
    return model.inputs.map((input, place) => {
      const text = field(place).value;
      if (input.kind === "numeric") return text === "" ? null : Number(text);
      return text === "" ? null : text === "other" ? "\u0000other" : text.slice(1);
    });
  }

  function element(name, text, classes) {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (classes) made.className = classes;
    return made;
  }

  function shown(input, value) {
    if (value === null) return "missing";
    if (input.kind !== "numeric") return value === "\u0000other" ? "another value" : value;
    const number = Number(value.toPrecision(4)).toLocaleString("en-US");
    return input.unit && !/^(share|ratio|own|nats)/.test(input.unit) ? number + " " + input.unit : number;
  }

  function told(list, title, values, shares, total) {
    const box = element("div");
    box.append(element("h3", title));
    const items = element("ul");
    list.forEach((place) => {
      const input = model.inputs[place];
      const percent = Math.round((100 * Math.abs(shares[place])) / total);
      items.append(element("li", input.label + " " + shown(input, values[place]) + " (" + percent + " %)"));
    });
    box.append(items);
    return box;
  }

  function answer() {
    const values = read();
    const group = model.groups === null ? 0 : Number(document.getElementById("f-group").value);
    const scored = score(values, group);
    const segment = model.segments[scored.own];
    const out = document.getElementById("answer");
    const why = document.getElementById("why");
    out.replaceChildren(element("span", "", "chip " + segment.classes), element("strong", segment.name));
    out.append(element("span", segment.id, "id"));
    out.dataset.segment = String(scored.own);
    out.dataset.distance = String(scored.distance);
    why.replaceChildren();
    if (scored.second < 0) return;
    const margin = scored.next > 0 ? Math.min(Math.max(1 - scored.distance / scored.next, 0), 1) : 0;
    out.dataset.margin = String(margin);
    const sure = margin < 0.1 ? "near the border" : margin < 0.3 ? "clear" : "very clear";
    const outlier = scored.distance > segment.limit ? " It is unusual even for that segment." : "";
    const other = model.segments[scored.second];
    why.append(element("p", "It is " + sure + ": " + scored.distance.toFixed(2) + " away from the middle of its segment, "
      + scored.next.toFixed(2) + " from that of " + other.name + " (" + other.id + "), the next one." + outlier));
    const shares = reasons(scored);
    const total = shares.reduce((sum, share) => sum + Math.abs(share), 0) || 1;
    const order = shares.map((_, place) => place).sort((a, b) => Math.abs(shares[b]) - Math.abs(shares[a]));
    const boxes = element("div", "", "reasons");
    const speaks = order.filter((place) => shares[place] > 0.01 * total).slice(0, 4);
    const against = order.filter((place) => shares[place] < -0.01 * total).slice(0, 4);
    if (speaks.length) boxes.append(told(speaks, "Speaks for it", values, shares, total));
    if (against.length) boxes.append(told(against, "Speaks for " + other.id + " instead", values, shares, total));
    why.append(boxes);
  }

  function fill(index) {
    const segment = model.segments[index];
    model.inputs.forEach((input, place) => {
      const value = segment.typical[place];
      if (input.kind === "numeric") field(place).value = value === null ? "" : String(Number(value.toPrecision(6)));
    });
    if (model.groups !== null) {
      const group = model.groups.findIndex(([first, stop]) => index >= first && index < stop);
      document.getElementById("f-group").value = String(group);
    }
    answer();
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", answer);
  form.querySelectorAll("[data-fill]").forEach((button) => {
    button.addEventListener("click", () => fill(Number(button.dataset.fill)));
  });
  form.hidden = false;
  fill(0);
})();
