// Draws digits on the demo page in a real browser and reads the answers.
//
//   node draw.mjs URL [--strokes FILE] [--screenshot FILE]
//
// FILE of --strokes is a list of {digit, strokes}; a stroke is a list of [x, y], each 0 to 1 of the canvas. Ends with 0 when each digit
// was answered right, and with 1 and the reason otherwise.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { PATIENCE, run, settled, withPage } from "./browser.mjs";

async function draw(page, strokes) {
  const canvas = page.getByTestId("canvas");
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  for (const [start, ...rest] of strokes) {
    await page.mouse.move(...at(start));
    await page.mouse.down();
    for (const point of rest) await page.mouse.move(...at(point), { steps: 8 });
    await page.mouse.up();
  }
}

/** Waits until the page shows an answer that `right` accepts, and gives it; says what it showed instead when it never does. */
async function answered(page, right, wanted) {
  const label = page.getByTestId("label");
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const shown = (await label.textContent({ timeout: PATIENCE })).trim();
    if (right(shown)) return shown;
    if (Date.now() > deadline) throw new Error(`the page shows ${JSON.stringify(shown)}, expected ${wanted}; it says: ${await warnings(page)}`);
    await page.waitForFunction(([element, before]) => element.textContent.trim() !== before, [await label.elementHandle(), shown], {
      timeout: Math.max(1, deadline - Date.now()),
    }).catch(() => {});
  }
}

async function warnings(page) {
  const said = await page.getByTestId("stAlert").allInnerTexts();
  return said.length ? said.join(" | ") : "nothing";
}

/** The label and the ten bars as they are at one moment. */
async function answerShown(page) {
  return page.getByTestId("answer").evaluate((answer) => ({
    label: answer.querySelector('[data-testid="label"]').textContent.trim(),
    bars: Array.from(answer.querySelectorAll(".bars li"), (bar) => Number(bar.dataset.probability)),
  }));
}

async function barsAgree(page) {
  const { label, bars } = await answerShown(page);
  const sum = bars.reduce((total, each) => total + each, 0);
  if (bars.length !== 10 || Math.abs(sum - 1) > 1e-3) throw new Error(`the ${bars.length} bars add up to ${sum}`);
  if (bars.indexOf(Math.max(...bars)) !== Number(label)) throw new Error(`the answer is ${label} but the bars are ${bars}`);
  return Math.max(...bars);
}

async function clear(page) {
  await page.getByTestId("clear").click();
  await answered(page, (shown) => shown === "?", "an empty page after Clear");
}

/** The page opens on the version in service. */
async function opensOnTheServedVersion(page) {
  const chosen = page.getByTestId("stSelectbox").nth(1);
  await chosen.getByText("in service").or(chosen.locator('input[value*="in service"]')).first().waitFor({ timeout: PATIENCE });
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { strokes: { type: "string" }, screenshot: { type: "string" } },
  });
  const [url] = positionals;
  if (!url) throw new Error("usage: node draw.mjs URL [--strokes FILE] [--screenshot FILE]");
  const digits = JSON.parse(readFileSync(values.strokes ?? new URL("strokes.json", import.meta.url), "utf8"));

  await withPage(url, { width: 1280, height: 800 }, async (page) => {
    await page.getByTestId("canvas").waitFor();
    await opensOnTheServedVersion(page);
    for (const { digit, strokes } of digits) {
      await clear(page);
      await draw(page, strokes);
      await answered(page, (shown) => shown === String(digit), digit);
      const sure = await barsAgree(page);
      console.log(`drew a ${digit}: answered ${digit}, probability ${sure.toFixed(4)}`);
      if (values.screenshot && digit === digits[0].digit) {
        await page.mouse.move(0, 0);
        await settled(page);
        await page.screenshot({ path: values.screenshot, animations: "disabled" });
      }
    }
  });
}

run(main);
