// Streamlit calls this on every run of the page with the same element, so the canvas is set up only once and keeps its drawing.

const STROKE = 0.075; // of the canvas's width: about two pixels of MNIST's 28
const wired = new WeakMap();

export default function (component) {
  const canvas = component.parentElement.querySelector("canvas");
  const sender = wired.get(canvas) ?? wire(component.parentElement, canvas);
  canvas.setAttribute("aria-label", component.data.hint);
  component.parentElement.querySelector(".hint").textContent = component.data.hint;
  sender.send = (image) => component.setStateValue("image", image);
}

function wire(root, canvas) {
  const sender = {};
  wired.set(canvas, sender);
  const paper = root.querySelector(".paper");
  const context = canvas.getContext("2d");
  Object.assign(context, { lineWidth: canvas.width * STROKE, lineCap: "round", lineJoin: "round", strokeStyle: "#14181d" });

  // The pointer that is drawing. A second finger on the canvas is ignored.
  let drawing = null;
  let last = null;

  const position = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
  };
  const line = (from, to) => {
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
  };

  canvas.onpointerdown = (event) => {
    if (drawing !== null || event.button !== 0) return;
    event.preventDefault();
    drawing = event.pointerId;
    canvas.setPointerCapture(drawing);
    paper.classList.add("drawn");
    last = position(event);
    line(last, last);
  };
  canvas.onpointermove = (event) => {
    if (event.pointerId !== drawing) return;
    // A fast pen moves further than one event reports; the browser keeps the points in between.
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) {
      const next = position(each);
      line(last, next);
      last = next;
    }
  };
  canvas.onpointerup = canvas.onpointercancel = (event) => {
    if (event.pointerId !== drawing) return;
    drawing = null;
    sender.send(canvas.toDataURL("image/png"));
  };
  root.querySelector("button").onclick = () => {
    context.clearRect(0, 0, canvas.width, canvas.height);
    paper.classList.remove("drawn");
    sender.send(null);
  };
  return sender;
}
