// Shows the cards in `data`. A card and its parts are made once and then changed, so that nothing flickers and bars move.

const SVG = "http://www.w3.org/2000/svg";

export default function ({ data, parentElement, setTriggerValue }) {
  const list = parentElement.querySelector(".cards");
  list.classList.toggle("alone", data.alone);
  list.open = (name) => setTriggerValue("opened", name);
  const known = new Map(Array.from(list.children, (card) => [card.dataset.trial, card]));
  const shown = new Set(data.cards.map(({ name }) => name));
  for (const [name, card] of known) if (!shown.has(name)) card.remove();
  data.cards.forEach((content, at) => {
    const card = known.get(content.name) ?? newCard(content, list);
    if (list.children[at] !== card) list.insertBefore(card, list.children[at] ?? null);
    fill(card, content);
  });
}

function newCard({ name, link }, list) {
  const card = element("li", "card");
  card.dataset.trial = name;
  card.dataset.testid = "trial-card";
  const head = card.appendChild(element("div", "head"));
  const title = head.appendChild(element(link ? "a" : "span", "name"));
  title.textContent = title.title = name;
  if (link) {
    title.href = link;
    title.addEventListener("click", (event) => {
      // with a key that opens another tab, the link does what links do
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      list.open(name);
    });
  }
  head.appendChild(element("span", "state")).dataset.testid = "state";
  for (const part of ["parameters", "reason", "advice", "curve", "metrics", "progress", "notes"]) card.appendChild(element("div", part));
  card.querySelector(".progress").append(element("div", "track"), element("div", "words"));
  const track = card.querySelector(".track");
  track.setAttribute("role", "progressbar");
  track.setAttribute("aria-label", `progress of ${name}`);
  track.append(element("div", "fill"));
  card.querySelector(".words").append(element("span", "percent"), element("span", "remaining"));
  return card;
}

function fill(card, { state, parameters, reason, advice, curve, metrics, percent, remaining, notes }) {
  card.dataset.state = state;
  say(card.querySelector(".state"), state);
  pairs(card.querySelector(".parameters"), parameters);
  prose(card.querySelector(".reason"), reason);
  prose(card.querySelector(".advice"), advice);
  draw(card.querySelector(".curve"), curve);
  pairs(card.querySelector(".metrics"), metrics);
  const progress = card.querySelector(".progress");
  progress.hidden = percent === null;
  if (percent !== null) {
    progress.querySelector(".fill").style.width = `${percent}%`;
    progress.querySelector(".track").setAttribute("aria-valuenow", percent);
    say(progress.querySelector(".percent"), `${Math.floor(percent)} %`);
    say(progress.querySelector(".remaining"), remaining);
  }
  say(card.querySelector(".notes"), notes);
}

/** Names with their values; those that stay are only changed. */
function pairs(part, wanted) {
  while (part.children.length > wanted.length) part.lastChild.remove();
  wanted.forEach(([name, value], at) => {
    const pair = part.children[at] ?? part.appendChild(element("span", "pair"));
    if (!pair.children.length) pair.append(element("span", "of"), element("b", "value"));
    say(pair.querySelector(".of"), name);
    say(pair.querySelector(".value"), value);
    pair.title = `${name} ${value}`;
  });
}

/** Words in which `backticks` mark code. */
function prose(part, text) {
  if (part.dataset.text === text) return;
  part.dataset.text = text;
  part.hidden = !text;
  part.replaceChildren(...text.split("`").map((words, at) => {
    const span = element(at % 2 ? "code" : "span", "");
    span.textContent = words;
    return span;
  }));
}

/** A line through points; x and y go from 0 to 1. */
function draw(part, curve) {
  part.hidden = !curve;
  if (!curve) return;
  if (!part.firstChild) {
    const svg = part.appendChild(document.createElementNS(SVG, "svg"));
    svg.setAttribute("viewBox", "0 0 100 100");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    for (const kind of ["area", "line"]) svg.appendChild(document.createElementNS(SVG, "path")).setAttribute("class", kind);
    part.append(element("span", "tip"), element("span", "what"));
  }
  const points = curve.points.map(([x, y]) => `${(x * 100).toFixed(2)} ${((1 - y) * 100).toFixed(2)}`);
  const line = `M${points.join("L")}`;
  const [lastX, lastY] = curve.points.at(-1);
  part.querySelector(".line").setAttribute("d", line);
  part.querySelector(".area").setAttribute("d", `${line}L${(lastX * 100).toFixed(2)} 100L${(curve.points[0][0] * 100).toFixed(2)} 100Z`);
  part.querySelector("svg").setAttribute("aria-label", curve.says);
  Object.assign(part.querySelector(".tip").style, { left: `${lastX * 100}%`, top: `${(1 - lastY) * 100}%` });
  say(part.querySelector(".what"), curve.name);
}

function say(part, text) {
  if (part.textContent !== text) part.textContent = text;
}

function element(kind, name) {
  return Object.assign(document.createElement(kind), { className: name });
}
