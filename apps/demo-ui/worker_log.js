// Shows the lines in `data`. Lines that stay are not made again, so that a selection in them stays too.

const NEAR = 24; // pixels from the end that still count as being there

export default function ({ data, parentElement }) {
  const log = parentElement.querySelector(".log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
  const before = log.shown ?? [];
  const said = data.lines.map(([kind, line]) => `${kind}\n${line}`);
  // a log that grows is the same log, some lines later
  const gone = Math.max(0, before.indexOf(said[0]));
  const grows = before.slice(gone).every((line, at) => line === said[at]);
  let kept = grows ? before.length - gone : 0;
  if (grows) for (let at = 0; at < gone; at += 1) log.firstChild.remove();
  else log.replaceChildren();
  for (; kept < said.length; kept += 1) {
    const [kind, line] = data.lines[kept];
    log.appendChild(Object.assign(document.createElement("div"), { className: kind, textContent: line }));
  }
  log.shown = said;
  if (!before.length || (data.follow && atEnd)) log.scrollTop = log.scrollHeight;
}
