// Reads the reports of pull requests on the demo page in a real browser, at the width of a telephone.
//
//   node reports.mjs URL
//
// URL is a page before the forge of apps/demo-ui/tests/test_browser.py: number 1 is a report with folds and charts, number 2 is hostile. Ends with
// 0 when both are shown as they are meant, and with 1 and the reason otherwise.

import { run, settled, withPage } from "./browser.mjs";

// The charts of crates/report/tests/it/charts.md.
const CHARTS = ["test accuracy by learningRate", "validation accuracy", "share of each class"];

async function nothingSticksOut(page, when) {
  const { wide, screen } = await page.getByTestId("stMain").evaluate((main) => ({ wide: main.scrollWidth, screen: window.innerWidth }));
  if (wide > screen) throw new Error(`${when}: the page is ${wide} pixels wide on a screen of ${screen}`);
}

async function isOnlyText(page) {
  await page.getByText("<script>document.title").waitFor();
  await settled(page);
  await page.getByText("a hostile fold").click();
  await page.getByText("<iframe").waitFor();
  const made = await page.getByTestId("stMain").evaluate((main) => main.querySelectorAll("script, iframe, form, object, [onerror], [onload]").length);
  if (made) throw new Error(`a report made ${made} elements`);
  const title = await page.title();
  if (title.includes("hostile")) throw new Error(`a report ran a script: the title is ${title}`);
  console.log("a hostile report: shown as text");
}

async function isFoldedAndDrawn(page) {
  await page.getByRole("combobox").click();
  await page.getByRole("option", { name: "#1" }).click();
  await page.getByText("1 trial finished").waitFor();
  await settled(page);
  await nothingSticksOut(page, "closed");
  await page.getByText("mnist in local").click();
  await page.getByText("the cell at the end").waitFor();
  const charts = page.locator('img[src^="blob:"]');
  for (const [at, title] of CHARTS.entries()) {
    const chart = charts.nth(at);
    await chart.waitFor();
    const isDrawn = await chart.evaluate((image) => image.decode().then(() => image.naturalWidth > 100));
    const picture = await chart.evaluate((image) => fetch(image.src).then((answer) => answer.text()));
    if (!isDrawn || !picture.includes(`>${title}<`)) throw new Error(`the chart "${title}" is not drawn: ${picture}`);
  }
  await page.getByText("TrainJob training/a").click();
  await page.getByText("+added: line").waitFor();
  await nothingSticksOut(page, "open");
  console.log("a report: its folds open, its charts are drawn, its table scrolls");
}

run(async () => {
  const [url] = process.argv.slice(2);
  if (!url) throw new Error("usage: node reports.mjs URL");
  await withPage(url, { width: 380, height: 800 }, async (page) => {
    await page.getByText("Pull requests").click();
    for (const part of [isOnlyText, isFoldedAndDrawn]) await part(page);
  });
});
