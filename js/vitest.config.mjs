import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { env } from "node:process";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";

/** The Chromium to drive: IGW_CHROMIUM, else one on the PATH, else the one playwright has fetched. */
function chromium() {
  if (env.IGW_CHROMIUM) return env.IGW_CHROMIUM;
  const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
  const folders = (env.PATH ?? "").split(delimiter);
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const executablePath = chromium();

export default defineConfig({
  // The protocol's fixtures lie beside the Python tests, which read them too.
  server: { fs: { allow: [".."] } },
  test: {
    include: ["tests/**/*.test.ts"],
    restoreMocks: true,
    // There is one mouse: files in which a person points would take it from each other.
    fileParallelism: false,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      viewport: { width: 1100, height: 900 },
      provider: playwright({
        launchOptions: {
          ...(executablePath ? { executablePath } : {}),
          // WebGL2 drawn in software, so that the tests need no GPU.
          args: ["--no-sandbox", "--enable-unsafe-swiftshader"],
        },
      }),
      instances: [{ browser: "chromium" }],
    },
  },
});
