// Shows the answer in `data`. The bars are made once, so that they move from one answer to the next.

export default function ({ data, parentElement }) {
  const part = (selector) => parentElement.querySelector(selector);
  const answered = data.label !== null;
  part(".answer").classList.toggle("waiting", !answered);
  const label = part(".label");
  label.textContent = label.title = answered ? data.label : "?";
  label.classList.toggle("word", label.textContent.length > 2);
  part(".sure").textContent = data.sure;
  part(".by").textContent = data.by;
  part(".note").textContent = data.note;
  part("figure").hidden = !data.seen;
  if (data.seen) part("img").src = data.seen;

  const bars = part(".bars");
  bars.classList.toggle("named", data.bars.some(({ name }) => name.length > 2));
  while (bars.children.length > data.bars.length) bars.lastChild.remove();
  data.bars.forEach(({ name, probability, best }, at) => {
    const bar = bars.children[at] ?? bars.appendChild(newBar(at));
    const percent = `${(probability * 100).toFixed(1)} %`;
    bar.classList.toggle("best", best);
    bar.querySelector(".name").textContent = bar.querySelector(".name").title = name;
    bar.querySelector(".fill").style.width = `${probability * 100}%`;
    bar.querySelector(".value").textContent = answered ? percent : "";
    bar.setAttribute("aria-label", answered ? `${name}: ${percent}` : name);
    bar.dataset.probability = probability;
  });
}

function newBar(at) {
  const bar = document.createElement("li");
  bar.dataset.testid = `bar-${at}`;
  bar.innerHTML = '<span class="name"></span><span class="track"><span class="fill" style="display:block"></span></span><span class="value"></span>';
  return bar;
}
