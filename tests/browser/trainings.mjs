// Follows trainings on the demo page in a real browser, at the width of a telephone: what runs, a trial, the table, the plot, a copy, and a
// cancellation.
//
//   node trainings.mjs URL TOKEN
//
// URL is a page before the manager of apps/demo-ui/tests/stand_in_manager.py, which takes TOKEN. Ends with 0 when everything is shown as it is
// meant, and with 1 and the reason otherwise.

import { run, settled, withPage } from "./browser.mjs";
import { card, changes, open } from "./trainings-page.mjs";

const PHONE = { width: 390, height: 844 };
const RUNNING = "mnist-resnet-3f9a1c20";

async function nothingSticksOut(page, when) {
  const { wide, screen } = await page.getByTestId("stMain").evaluate((main) => ({ wide: main.scrollWidth, screen: window.innerWidth }));
  if (wide > screen) throw new Error(`${when}: the page is ${wide} pixels wide on a screen of ${screen}`);
}

/** Chooses from a list with the keyboard. */
async function choose(page, list, name) {
  await page.getByRole("combobox", { name: list }).focus();
  await page.keyboard.type(name);
  await page.getByRole("option", { name }).waitFor();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  await settled(page);
}

/** The cards change by themselves, in place: the same elements, where they were. */
async function movesWithoutFlicker(page) {
  await open(page, "?view=trainings", card(page, RUNNING));
  await nothingSticksOut(page, "all trainings");
  const one = card(page, RUNNING);
  const place = await one.boundingBox();
  const width = (element) => element.querySelector(".fill").style.width;
  const path = (element) => element.querySelector(".line").getAttribute("d");
  const seen = await one.evaluateHandle((element) => {
    const found = { card: element, line: element.querySelector(".line"), removed: 0 };
    new MutationObserver((changes) => changes.forEach((change) => (found.removed += change.removedNodes.length)))
      .observe(element.parentNode, { childList: true });
    return found;
  });
  await changes(page, one, width, "the progress");
  await changes(page, one, path, "the curve");
  const { same, removed } = await seen.evaluate((found) => ({ same: found.card.isConnected && found.line.isConnected, removed: found.removed }));
  if (!same || removed) throw new Error(`the card was made anew: ${removed} were removed`);
  const now = await one.boundingBox();
  if (now.x !== place.x || now.y !== place.y) throw new Error(`the card jumped from ${place.x}, ${place.y} to ${now.x}, ${now.y}`);
  await page.getByText("No node has room").waitFor();
  console.log("what runs: it moves in place");
}

async function leadsToATrialAndBack(page) {
  await card(page, RUNNING).getByRole("link").click();
  await page.getByRole("heading", { name: RUNNING }).waitFor();
  if (!page.url().includes(`trial=${RUNNING}`)) throw new Error(`the address is ${page.url()}`);
  const drawn = page.getByTestId("stVegaLiteChart").first().locator("svg").first();
  await drawn.locator(".mark-line path").first().waitFor();
  // the handle is of this very drawing: a new one in its place would not change it
  await changes(page, drawn, (svg) => svg.querySelector(".mark-line path").getAttribute("d"), "the chart");
  await nothingSticksOut(page, "a running trial");
  await page.goBack();
  await card(page, RUNNING).waitFor();
  await page.goForward();
  await page.getByRole("heading", { name: RUNNING }).waitFor();
  console.log("a running trial: its chart moves in place, and the browser's way back leads back");
}

async function followsTheLog(page) {
  const log = page.getByTestId("log");
  await log.getByText("meeting the other workers").waitFor({ state: "attached" });
  await changes(page, log, (element) => element.lastElementChild.textContent, "the log");
  const isAtEnd = (element) => element.scrollHeight - element.scrollTop - element.clientHeight < 30;
  if (!(await log.evaluate(isAtEnd))) throw new Error("the log does not follow its end");
  await log.evaluate((element) => (element.scrollTop = 0));
  await changes(page, log, (element) => element.lastElementChild.textContent, "the log");
  if (await log.evaluate(isAtEnd)) throw new Error("the log left the place where a person reads");
  console.log("a log: it follows its end, and stays where a person reads");
}

/** The table is drawn on a canvas, so it is met where its rows are. */
async function opensFromTheTable(page) {
  const table = page.getByTestId("stDataFrame");
  await open(page, "?view=trainings", table.locator("canvas").first());
  await choose(page, "Experiments", "mnist-cnn");
  await table.scrollIntoViewIfNeeded();
  const box = await table.boundingBox();
  await page.mouse.click(box.x + 16, box.y + 35 + 17);
  await page.getByRole("heading", { name: /^mnist-cnn-/ }).waitFor();
  await page.getByText("All trainings").click();
  await card(page, RUNNING).waitFor();
  console.log("the table: its rows lead to trials");
}

async function opensFromThePlot(page) {
  const points = page.getByTestId("stVegaLiteChart").locator(".mark-symbol.role-mark path");
  await open(page, "?view=trainings", points.first());
  await settled(page);
  await points.first().click({ force: true });
  await page.getByTestId("trial-facts").waitFor();
  if (!page.url().includes("trial=")) throw new Error(`the address is ${page.url()}`);
  console.log("the plot: its points lead to trials");
}

async function showsWhatEnded(page) {
  const names = await namesOfTheSweep(page);
  await open(page, `?view=trainings&trial=${names[0]}`, page.getByTestId("confusion"));
  await page.getByTestId("trial-facts").getByText("#17").waitFor();
  await nothingSticksOut(page, "a trial that ended");
  await choose(page, "Compare with", names[1]);
  await page.getByTestId("legend").getByText(names[1]).waitFor();
  await nothingSticksOut(page, "two trials beside each other");
  console.log("a trial that ended: its matrix, its origin, and another one beside it");
}

/** The names of trials of the sweep: those that a trial can be compared with. */
async function namesOfTheSweep(page) {
  await open(page, `?view=trainings&trial=${RUNNING}`, page.getByRole("combobox", { name: "Compare with" }));
  await page.getByRole("combobox", { name: "Compare with" }).focus();
  await page.keyboard.type("mnist-cnn-");
  const found = page.getByRole("option", { name: /^mnist-cnn-/ });
  await found.nth(1).waitFor();
  return (await found.allInnerTexts()).map((text) => text.split(" ")[0]);
}

async function copies(page, token) {
  await page.getByText("Copy with changed values").click();
  const text = page.getByRole("textbox", { name: /^experiments\// });
  await text.waitFor();
  const rates = page.getByRole("textbox", { name: "Learning rate" });
  await rates.fill("fast");
  await rates.press("Enter");
  await page.waitForFunction((area) => area.value.includes("learningRate: [fast]"), await text.elementHandle());
  const secret = page.getByRole("textbox", { name: "Your GitHub token" });
  await secret.fill(token);
  await secret.press("Enter");
  await settled(page);
  await page.getByRole("button", { name: "Open a pull request" }).click();
  await page.getByText("is not a number").waitFor();
  await page.getByText("11 | ").waitFor();
  await nothingSticksOut(page, "a copy with a mistake");
  await rates.fill("0.002");
  await rates.press("Enter");
  await page.waitForFunction((area) => area.value.includes("learningRate: [0.002]"), await text.elementHandle());
  await settled(page);
  await page.getByRole("button", { name: "Open a pull request" }).click();
  await page.getByRole("link", { name: "Pull request #42" }).waitFor();
  const kept = await page.evaluate(() => [document.body.innerText, location.href, document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage)]);
  if (kept.some((text) => text.includes(token))) throw new Error("the token is shown, or kept in the browser");
  console.log("a copy: its mistake has a place, and without it there is a pull request");
}

/** With the keyboard alone: the question has the focus until it is answered, and then the button has it again. */
async function cancels(page, token) {
  const button = page.getByRole("button", { name: "Cancel this trial" });
  await open(page, `?view=trainings&trial=${RUNNING}`, button);
  await button.focus();
  await page.keyboard.press("Enter");
  const question = page.getByRole("dialog", { name: `Cancel ${RUNNING}?` });
  await question.getByText("nothing stops before a person merges it").waitFor();
  const secret = question.getByRole("textbox", { name: "Your GitHub token" });
  for (let presses = 0; !(await secret.evaluate((field) => field === document.activeElement)); presses += 1) {
    if (presses === 5) throw new Error("the keyboard does not lead to the token");
    await page.keyboard.press("Tab");
  }
  await page.keyboard.type(token);
  await page.keyboard.press("Enter");
  await settled(page);
  await question.getByRole("button", { name: "Open the pull request" }).press("Enter");
  await question.getByRole("link", { name: "Pull request #43" }).waitFor();
  await nothingSticksOut(page, "a cancellation");
  await page.keyboard.press("Escape");
  await question.waitFor({ state: "detached" });
  await page.waitForFunction((one) => one === document.activeElement, await button.elementHandle());
  console.log("a cancellation: it is asked first, and is a pull request");
}

async function hostileTextsAreTexts(page) {
  const elsewhere = [];
  page.on("request", (request) => {
    const { origin, pathname } = new URL(request.url());
    if (origin !== new URL(page.url()).origin || pathname === "/x") elsewhere.push(request.url());
  });
  await open(page, "?view=trainings&trial=hostile-00000001", page.getByTestId("confusion"));
  await page.getByText("[a link](javascript:").waitFor();
  await page.getByTestId("log").getByText("</pre><script>").waitFor({ state: "attached" });
  const made = await page.evaluate(() => {
    const inside = (root) => Array.from(root.querySelectorAll("*")).flatMap((one) => [one, ...(one.shadowRoot ? inside(one.shadowRoot) : [])]);
    const all = inside(document.querySelector('[data-testid="stMain"]'));
    return all.filter((one) => one.matches('script, img[src="x"], iframe, object, [onerror], [onload], a[href^="javascript"]')).length;
  });
  if (made) throw new Error(`hostile texts made ${made} elements`);
  if ((await page.title()) === "hostile") throw new Error("a hostile text ran as a script");
  await nothingSticksOut(page, "a hostile trial");
  await page.getByTestId("stVegaLiteChart").first().hover();
  const points = page.getByTestId("stVegaLiteChart").locator(".mark-symbol.role-mark path");
  await open(page, "?view=trainings", points.first());
  await choose(page, "Up", "<img");
  await page.getByTestId("stVegaLiteChart").getByText("<img").first().waitFor();
  await points.first().hover({ force: true });
  await page.locator("#vg-tooltip-element.visible").getByText("<img").waitFor();
  await nothingSticksOut(page, "all trainings");
  if (elsewhere.length) throw new Error(`hostile texts loaded ${elsewhere.join(", ")}`);
  if ((await page.title()) === "hostile") throw new Error("a hostile text ran as a script in the table or the plot");
  console.log("hostile texts: shown as texts");
}

async function isDarkAtNight(page) {
  const colour = () => page.getByTestId("stApp").evaluate((app) => getComputedStyle(app).backgroundColor);
  const day = await colour();
  await page.emulateMedia({ colorScheme: "dark" });
  await open(page, "?view=trainings", card(page, RUNNING));
  if ((await colour()) === day) throw new Error(`the page is ${day} by day and at night`);
  console.log("at night: dark");
}

run(async () => {
  const [url, token] = process.argv.slice(2);
  if (!url || !token) throw new Error("usage: node trainings.mjs URL TOKEN");
  await withPage(url, PHONE, async (page) => {
    await movesWithoutFlicker(page);
    await leadsToATrialAndBack(page);
    await followsTheLog(page);
    await opensFromTheTable(page);
    await opensFromThePlot(page);
    await showsWhatEnded(page);
    await copies(page, token);
    await cancels(page, token);
    await hostileTextsAreTexts(page);
    await isDarkAtNight(page);
  });
});
