// Looks at a training that runs, on the page of a loop: its card shows how far it is, and changes by itself.
//
//   node running.mjs URL TRIAL
//
// Ends with 0 when it does, and with 1 and the reason otherwise.

import { run, withPage } from "./browser.mjs";
import { card, changes } from "./trainings-page.mjs";

run(async () => {
  const [url, trial] = process.argv.slice(2);
  if (!url || !trial) throw new Error("usage: node running.mjs URL TRIAL");
  await withPage(`${url}/?view=trainings`, { width: 1280, height: 800 }, async (page) => {
    const one = card(page, trial);
    await one.waitFor();
    await one.locator('[data-testid="state"]', { hasText: "running" }).waitFor();
    // there before it says how far it is
    const bar = one.getByRole("progressbar");
    await bar.waitFor();
    await changes(page, bar, (element) => element.getAttribute("aria-valuenow"), "the progress");
    console.log(`a running training: ${await bar.getAttribute("aria-valuenow")} % and going on`);
  });
});
