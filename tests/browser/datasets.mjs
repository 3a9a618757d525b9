// Looks at datasets on the demo page in a real browser, at the width of a telephone: all of them, one of them, and one whose texts are hostile.
//
//   node datasets.mjs URL
//
// URL is a page before the dataset monitor of apps/demo-ui/tests/stand_in_monitor.py. Ends with 0 when everything is shown as it is meant, and with 1
// and the reason otherwise.

import { run, withPage } from "./browser.mjs";
import { open } from "./trainings-page.mjs";

const PHONE = { width: 380, height: 800 };

const dataset = (page, name) => page.locator(`[data-testid="dataset"][data-dataset="${name}"]`);

async function nothingSticksOut(page, when) {
  const { wide, screen } = await page.getByTestId("stMain").evaluate((main) => ({ wide: main.scrollWidth, screen: window.innerWidth }));
  if (wide > screen) throw new Error(`${when}: the page is ${wide} pixels wide on a screen of ${screen}`);
  // what is too wide for its card is cut there, and would not make the page wider
  const cut = await page.getByTestId("dataset").evaluateAll((cards) => cards.filter((card) => card.scrollWidth > card.clientWidth).map((card) => card.dataset.dataset));
  if (cut.length) throw new Error(`${when}: the cards of ${cut.join(", ")} are too wide`);
}

async function showsAll(page) {
  await page.getByText("Datasets", { exact: true }).click();
  await dataset(page, "digits").waitFor();
  if (!page.url().includes("view=datasets")) throw new Error(`the address is ${page.url()}`);
  for (const [name, state] of [["digits", "retrain"], ["fashion", "nothing to do"], ["letters", "held back"], ["mail", "issue"], ["notes", "failing"], ["plates", "failing"], ["signs", "switched off"]]) {
    await dataset(page, name).getByTestId("state").getByText(state, { exact: true }).waitFor();
  }
  const link = dataset(page, "digits").getByRole("link", { name: "Pull request #7" });
  const [href, opener] = await link.evaluate((one) => [one.href, one.rel]);
  if (href !== "https://github.com/acme/digits/pull/7" || !opener.includes("noopener")) throw new Error(`the pull request's link is ${href}, ${opener}`);
  await nothingSticksOut(page, "all datasets");
  console.log("all datasets: a card for each, with its answers");
}

async function leadsToOneAndBack(page) {
  await page.getByTestId("stVerticalBlock").filter({ has: dataset(page, "digits") }).last().getByRole("button", { name: "Details" }).click();
  await page.getByRole("heading", { name: "digits" }).waitFor();
  if (!page.url().includes("dataset=digits")) throw new Error(`the address is ${page.url()}`);
  await page.getByTestId("streams").first().getByText("sharpness").waitFor();
  await page.getByTestId("accuracies").getByText("69.0 %").waitFor();
  await page.getByTestId("stVegaLiteChart").locator(".mark-rect.role-mark path").first().waitFor();
  await nothingSticksOut(page, "a dataset");
  await page.getByText("The statistics that people know").click();
  await page.getByTestId("statistics").getByText("Kolmogorov").waitFor();
  await nothingSticksOut(page, "a dataset with its statistics");
  await page.getByText("All datasets").click();
  await dataset(page, "fashion").waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "digits" }).waitFor();
  console.log("a dataset: its evidence is there, its tables scroll by themselves, and there is a way back");
}

async function showsRequests(page) {
  await open(page, "?view=datasets&dataset=mail", dataset(page, "mail"));
  await dataset(page, "mail").getByTestId("requests").getByRole("link", { name: "Issue #31" }).waitFor();
  await page.getByTestId("requests-facts").getByText("700 rows in 4 hours").waitFor();
  await page.getByTestId("accuracies").getByText("78.2 %").waitFor();
  // the classes of the data, and the answers to the requests
  await page.getByTestId("stVegaLiteChart").nth(1).locator(".mark-rect.role-mark path").first().waitFor();
  await nothingSticksOut(page, "a dataset with its requests");
  await open(page, "?view=datasets", dataset(page, "asked"));
  await page.getByRole("button", { name: "Details" }).first().click();
  await page.getByRole("heading", { name: "asked" }).waitFor();
  await page.getByRole("heading", { name: "Have the requests changed?" }).waitFor();
  console.log("requests: they are shown beside the data, and alone");
}

async function hostileTextsAreTexts(page) {
  const elsewhere = [];
  page.on("request", (request) => {
    const { origin, pathname } = new URL(request.url());
    if (origin !== new URL(page.url()).origin || pathname === "/x") elsewhere.push(request.url());
  });
  for (const [query, when] of [["?view=datasets", "all datasets"], ["?view=datasets&dataset=zz-hostile", "a hostile dataset"]]) {
    await open(page, query, dataset(page, "zz-hostile"));
    await dataset(page, "zz-hostile").getByText("<script>document.title").first().waitFor();
    await nothingSticksOut(page, when);
    const made = await page.getByTestId("stMain").evaluate((main) => main.querySelectorAll('script, img[src="x"], iframe, object, [onerror], [onload], a[href^="javascript"]').length);
    if (made) throw new Error(`${when}: hostile texts made ${made} elements`);
  }
  await page.getByTestId("stVegaLiteChart").getByText("<img").first().waitFor();
  if (elsewhere.length) throw new Error(`hostile texts loaded ${elsewhere.join(", ")}`);
  if ((await page.title()) === "hostile") throw new Error("a hostile text ran as a script");
  console.log("hostile texts: shown as texts");
}

run(async () => {
  const [url] = process.argv.slice(2);
  if (!url) throw new Error("usage: node datasets.mjs URL");
  await withPage(url, PHONE, async (page) => {
    for (const part of [showsAll, leadsToOneAndBack, showsRequests, hostileTextsAreTexts]) await part(page);
  });
});
