// Shows the answer in `data`. The bars are made once, so that they move from one answer to the next.

export default function ({ data, parentElement }) {
  const part = (selector) => parentElement.querySelector(selector);
  const answered = data.label !== null;
  part(".answer").classList.toggle("waiting", !answered);
  part(".digit").textContent = answered ? data.label : "?";
  part(".sure").textContent = answered ? data.sure : "Nothing drawn yet";
  part(".by").textContent = answered ? data.by : "Draw a digit and the answer appears here";
  if (data.seen) part("img").src = data.seen;

  const bars = part(".bars");
  data.probabilities.forEach((probability, digit) => {
    const bar = bars.children[digit] ?? bars.appendChild(newBar(digit));
    const percent = `${(probability * 100).toFixed(1)} %`;
    bar.classList.toggle("best", digit === data.label);
    bar.querySelector(".fill").style.width = `${probability * 100}%`;
    bar.querySelector(".value").textContent = answered ? percent : "";
    bar.setAttribute("aria-label", answered ? `${digit}: ${percent}` : `${digit}`);
    bar.dataset.probability = probability;
  });
}

function newBar(digit) {
  const bar = document.createElement("li");
  bar.dataset.testid = `bar-${digit}`;
  bar.innerHTML = '<span class="name"></span><span class="track"><span class="fill" style="display:block"></span></span><span class="value"></span>';
  bar.querySelector(".name").textContent = digit;
  return bar;
}
