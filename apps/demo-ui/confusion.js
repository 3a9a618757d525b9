// Shows the confusion matrix in `data`: rows are what things are, columns what they were taken for.

const STRONG = 0.55; // shades on which dark text is hard to read

export default function ({ data, parentElement }) {
  const matrix = parentElement.querySelector(".matrix");
  const same = JSON.stringify(data);
  if (matrix.shown === same) return;
  matrix.shown = same;
  matrix.hidden = !data.labels.length;
  matrix.classList.toggle("named", data.labels.some((label) => label.length > 2));
  const head = document.createElement("tr");
  head.append(cell("th", ""), ...data.labels.map((label) => cell("th", label, `taken for ${label}`)));
  matrix.querySelector("thead").replaceChildren(head);
  matrix.querySelector("tbody").replaceChildren(...data.rows.map((row, at) => {
    const line = document.createElement("tr");
    line.append(cell("th", data.labels[at], `is ${data.labels[at]}`));
    row.forEach(([count, shade], column) => {
      const one = line.appendChild(cell("td", String(count), `${data.labels[at]} taken for ${data.labels[column]}: ${count}`));
      one.style.setProperty("--shade", shade);
      one.classList.toggle("right", at === column);
      one.classList.toggle("strong", shade > STRONG);
      one.classList.toggle("none", count === 0);
    });
    return line;
  }));
  parentElement.querySelector(".mistakes").replaceChildren(...data.mistakes.map((mistake) => cell("div", mistake)));
}

function cell(kind, text, title = "") {
  return Object.assign(document.createElement(kind), { textContent: text, title });
}
