// Bundles each explorer into one ES module and one style sheet that need nothing else at run time, and the page that
// shows a recording of one without a kernel.
//
//   node scripts/build.mjs            into the Python package, minified, size checked
//   node scripts/build.mjs --watch    the same, again at each change, and the page in dev/ served
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build, context } from "esbuild";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const watch = process.argv.includes("--watch");

// One module and one style sheet each. hatch_build.py, Makefile and scripts/check_dist.py know them by name.
const EXPLORERS = ["image", "table"];
// Jupyter sends the module to the browser, and saves it, once per widget: it has to stay small.
const LIMIT = 100_000;

const options = {
  absWorkingDir: at(".."),
  bundle: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  logLevel: "info",
};

const files = ["loader.ts", ...EXPLORERS.flatMap((name) => [`${name}.ts`, `${name}.css`])];
const bundles = files.map((file) => ({
  ...options,
  entryPoints: [`src/explorers/${file}`],
  outdir: at("../../ig_widgets/static"),
  minify: true,
}));

// What `to_html` writes into one file that needs no server: a script that is no module.
const standalone = ["src/standalone/page.ts", "src/standalone/page.css"].map((entry) => ({
  ...options,
  format: "iife",
  entryPoints: { standalone: entry },
  outdir: at("../../ig_widgets/static"),
  minify: true,
}));

const page = {
  ...options,
  entryPoints: { page: "dev/page.ts" },
  outdir: at("../dev/build"),
  sourcemap: true,
};

if (watch) {
  for (const bundle of [...bundles, ...standalone]) await (await context(bundle)).watch();
  const served = await context(page);
  await served.watch();
  const { port } = await served.serve({ servedir: at("../dev"), host: "127.0.0.1" });
  console.log(`dev page: http://127.0.0.1:${port}/`);
} else {
  for (const bundle of [...bundles, ...standalone]) await build(bundle);
  for (const name of EXPLORERS) {
    const { length } = await readFile(at(`../../ig_widgets/static/${name}.js`));
    console.log(`${name}.js has ${length} bytes of ${LIMIT}`);
    if (length > LIMIT) {
      console.error(`${name}.js has ${length} bytes, more than ${LIMIT}`);
      process.exitCode = 1;
    }
  }
}
