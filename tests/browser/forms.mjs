// Asks models that are not drawn on the demo page in a real browser: an upload and a correction, a row of
// numbers, pasted rows, and JSON.
//
//   node forms.mjs URL
//
// URL is a page before the models of apps/demo-ui/tests/models.py. Everything is done at the width of a telephone, and where a person
// could use the keyboard, with the keyboard alone. Ends with 0 when each answer was right, and with 1 and the reason otherwise.

import { readFileSync } from "node:fs";
import { run, settled, withPage } from "./browser.mjs";

/** A picture of one colour that the page itself must decode and scale. */
async function drawnPicture(page, colour) {
  const url = await page.evaluate((fill) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 200 });
    const context = canvas.getContext("2d");
    context.fillStyle = fill;
    context.fillRect(0, 0, canvas.width, canvas.height);
    return canvas.toDataURL("image/jpeg");
  }, colour);
  return { name: `${colour}.jpg`, mimeType: "image/jpeg", buffer: Buffer.from(url.split(",")[1], "base64") };
}

/** Waits for what a run of the page shows, and for the end of that run: a form without its button cannot be sent. */
async function shows(page, part) {
  await part.waitFor();
  await settled(page);
}

async function choose(page, model, part) {
  const chosen = page.getByRole("combobox").first();
  await chosen.focus();
  await page.keyboard.type(model);
  await page.getByRole("option", { name: model, exact: true }).waitFor();
  await page.keyboard.press("Enter");
  await shows(page, part);
}

/** Waits for the answer, and checks that it fits its card. */
async function answered(page, label) {
  await page.getByTestId("label").getByText(label, { exact: true }).waitFor();
  await nothingSticksOut(page, label);
}

async function nothingSticksOut(page, when) {
  const { wide, screen } = await page.getByTestId("stMain").evaluate((main) => ({ wide: main.scrollWidth, screen: window.innerWidth }));
  if (wide > screen) throw new Error(`${when}: the page is ${wide} pixels wide on a screen of ${screen}`);
}

async function uploads(page) {
  await choose(page, "fashion", page.getByTestId("stFileUploader"));
  const file = page.locator('input[type="file"]');
  await file.setInputFiles(await drawnPicture(page, "white"));
  await answered(page, "Ankle boot");
  await settled(page);
  const seen = page.getByAltText("The picture as the model sees it");
  const size = await seen.evaluate((image) => [image.naturalWidth, image.naturalHeight]);
  if (String(size) !== "28,28") throw new Error(`what the model sees has the size ${size}`);
  await page.getByText("320 × 200 pixels, its middle scaled to 28 × 28, made grey").waitFor();
  await page.getByRole("checkbox").focus();
  await page.keyboard.press("Space");
  await answered(page, "T-shirt");
  console.log("uploaded a white picture: answered Ankle boot, inverted T-shirt");
  await corrects(page, "T-shirt", "Ankle boot");
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByTestId("pictures").waitFor({ state: "detached" });
  await settled(page);
  await file.setInputFiles({ name: "none.png", mimeType: "image/png", buffer: Buffer.from("hello") });
  await page.getByText("The file is not a picture").waitFor();
  console.log("uploaded a text: refused with the reason");
}

/** Says that an answer is wrong: at first too much arrives at the server, and the choice is kept. */
async function corrects(page, wrong, right) {
  await page.getByText(`Not ${wrong}?`).click();
  await page.getByTestId("stButtonGroup").getByText(right, { exact: true }).click();
  await settled(page);
  const send = page.getByRole("button", { name: "Send" });
  await send.click();
  await page.getByText("Too many corrections arrive at the moment").waitFor();
  await settled(page);
  await nothingSticksOut(page, "a correction");
  await send.click();
  await page.getByText(`The picture is kept as an example of ${right}`).waitFor();
  await settled(page);
  console.log(`said that ${wrong} is ${right}: kept at the second try`);
}

async function fillsInARow(page) {
  const fields = page.getByRole("spinbutton");
  await choose(page, "wine", fields.nth(6));
  if ((await fields.count()) !== 7) throw new Error(`there are ${await fields.count()} fields for 7 columns`);
  await fields.first().focus();
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type("2");
  await page.keyboard.press("Enter");
  await answered(page, "Barbera");
  console.log("filled in a row: answered Barbera");
}

async function pastesRows(page) {
  await page.getByRole("radio").first().focus();
  await page.keyboard.press("ArrowRight");
  const rows = page.getByRole("textbox", { name: "Rows, one a line" });
  await shows(page, rows);
  await rows.fill("0,1,1,1,1,1,1\n2,1,1,1,1,1,x");
  await page.keyboard.press("Control+Enter");
  await page.getByText("Line 2, column 7 (flavanoids): x is not a number.").waitFor();
  await settled(page);
  await rows.fill("0,1,1,1,1,1,1\n2,1,1,1,1,1,1");
  await page.keyboard.press("Control+Enter");
  const cells = page.getByTestId("rows").getByRole("cell");
  await cells.nth(4).getByText("Barbera").waitFor();
  const texts = await cells.allInnerTexts();
  if (String(texts) !== "1,Barolo,90.0 %,2,Barbera,90.0 %") throw new Error(`the table holds ${texts}`);
  await nothingSticksOut(page, "a table");
  console.log("pasted two rows: answered Barolo, Barbera");
}

async function writesARequest(page) {
  const request = page.getByRole("textbox", { name: "A request of the Open Inference Protocol" });
  await choose(page, "text", request);
  const first = await request.inputValue();
  await request.fill("{");
  await page.keyboard.press("Control+Enter");
  await page.getByText("Line 1, column 2: the request ends too early").waitFor();
  await settled(page);
  await request.fill(first);
  await page.keyboard.press("Control+Enter");
  await page.getByText("[4 4]").waitFor();
  await nothingSticksOut(page, "a request");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download as JSON" }).click()]);
  const { outputs } = JSON.parse(readFileSync(await download.path(), "utf8"));
  if (outputs[0].name !== "counts") throw new Error(`the download holds ${JSON.stringify(outputs)}`);
  console.log("wrote a request: answered and downloaded");
}

run(async () => {
  const [url] = process.argv.slice(2);
  if (!url) throw new Error("usage: node forms.mjs URL");
  await withPage(url, { width: 380, height: 800 }, async (page) => {
    await page.getByTestId("answer").waitFor();
    for (const part of [uploads, fillsInARow, pastesRows, writesARequest]) await part(page);
  });
});
