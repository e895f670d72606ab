#!/usr/bin/env node
// Builds a policy: bundles the author's module with this SDK (rolldown) and makes a component of it (componentize-qjs).
//
//     node build.mjs --world WORLD --source policy.ts --wit wit --out build/policy.wasm [--tools FOLDER]
//
// FOLDER holds node_modules with rolldown and componentize-qjs; without it they are looked for beside this file. Nothing is
// downloaded. An error is one that names the source's line where there is one; the exit code is then 1.

import { realpathSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { SourceMap, createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const HERE = dirname(fileURLToPath(import.meta.url));

const ENTRIES = {
  "role-authorization": "authorization",
  "marble-admission": "admission",
  "manifest-validation": "validation",
};

const MODULES = ["authorization", "admission", "validation", "testing"];

/** Imports a package of the tools' folder. */
async function tool(name, folder) {
  const require = createRequire(resolve(folder ?? HERE, "package.json"));
  return import(pathToFileURL(require.resolve(name)));
}

/** Finds the SDK's modules in this copy of it, and the author's module. */
function modules(source) {
  return {
    name: "carrara-policy",
    resolveId(id) {
      if (id === "carrara:project") return resolve(source);
      const name = /^@carrara\/policy\/(.+)$/.exec(id)?.[1];
      return MODULES.includes(name) ? join(HERE, "src", `${name}.js`) : null;
    },
  };
}

/** One module of JavaScript, with its source map: the author's and the SDK's. */
export async function bundle({ entry, source, tools, external = [] }) {
  const { rolldown } = await tool("rolldown", tools);
  const unresolved = [];
  const build = await rolldown({
    input: entry,
    cwd: dirname(resolve(source)),
    external,
    plugins: [modules(source)],
    platform: "neutral",
    treeshake: true,
    tsconfig: false,
    resolve: { mainFields: ["module", "main"] },
    onLog(level, log, next) {
      if (log.code === "UNRESOLVED_IMPORT") unresolved.push(log.message);
      // The guest's entry says it better.
      else if (log.code !== "IMPORT_IS_UNDEFINED") next(level, log);
    },
  });
  try {
    const { output } = await build.generate({ format: "esm", minify: false, codeSplitting: false, sourcemap: "hidden" });
    // What cannot be found would only fail in the component, without a word.
    if (unresolved.length > 0) throw new Error(unresolved.join("\n"));
    return output[0];
  } finally {
    await build.close();
  }
}

async function component({ world, source, wit, tools }) {
  const entry = join(HERE, "src", "guest", `${ENTRIES[world]}.js`);
  const { code, map } = await bundle({ entry, source, tools, external: [/^carrara:policy\//] });
  const { componentize } = await tool("componentize-qjs", tools);
  const options = { witPath: wit, jsSource: code, world, stubWasi: true, optSize: true, sync: true };
  try {
    return (await componentize(options)).component;
  } catch (error) {
    throw new Error(shown(error, new SourceMap(map), source));
  }
}

/** What an author can use of an error of the module's evaluation: places in the author's files, none in the bundle. */
function shown(error, map, source) {
  const [first, ...frames] = String(error.message).split("\n");
  const text = first.replace(/^.*JavaScript module(?: evaluation)?: /, "");
  const place = /componentize-qjs:user\.js:(\d+):(\d+)/;
  const places = frames.map((frame) => place.exec(frame)).filter((found) => found !== null);
  const entries = places.map(([, line, column]) => map.findEntry(Number(line) - 1, Number(column) - 1));
  const own = entries.filter((entry) => entry.originalSource !== undefined && !resolve(entry.originalSource).startsWith(HERE));
  const lines = own.map((entry) => `    at ${basename(entry.originalSource)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`);
  return [`${basename(source)}: ${text}`, ...lines].join("\n");
}

function read(args) {
  const text = { type: "string" };
  const options = { world: text, source: text, wit: text, out: text, tools: text };
  const { values } = parseArgs({ args, options });
  for (const name of ["world", "source", "wit", "out"]) {
    if (values[name] === undefined) throw new Error(`--${name} is missing`);
  }
  if (!(values.world in ENTRIES)) {
    throw new Error(`policies in JavaScript are for ${Object.keys(ENTRIES).join(", ")}, not for ${values.world}`);
  }
  return values;
}

async function main() {
  const options = read(process.argv.slice(2));
  const bytes = await component(options);
  const out = resolve(options.out);
  await mkdir(dirname(out), { recursive: true });
  const temporary = join(dirname(out), `.${basename(out)}.${process.pid}`);
  await writeFile(temporary, bytes);
  await rename(temporary, out);
}

// Started as a program, and not imported by testing.js. A module knows itself by its real path alone.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main().catch((error) => {
    console.error(String(error.message ?? error));
    process.exitCode = 1;
  });
}
