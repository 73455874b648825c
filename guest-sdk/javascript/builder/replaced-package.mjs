/** Finds packages that the SDK replaces where they are imported by a path, as the samples in the repository of `durable-functions` do. */

import { readFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

import { standIns } from "../src/stand-ins.js";

/** The name of the replaced package whose main file is at a path outside of the app's folder; undefined if it is something else. */
export async function replacedPackageAt(target, folder) {
  if (!relative(folder, target).startsWith("..")) {
    return undefined;
  }
  for (let root = target; root !== dirname(root); root = dirname(root)) {
    const text = await readFile(join(root, "package.json"), "utf8").catch(() => undefined);
    if (text !== undefined) {
      const { name, main = "index.js" } = parsed(text);
      const file = join(root, main);
      const isMain = [root, dirname(file), file].some((path) => withoutExtension(path) === withoutExtension(target));
      return isMain && Object.hasOwn(standIns, name) ? name : undefined;
    }
  }
  return undefined;
}

function parsed(text) {
  try {
    const { name, main } = JSON.parse(text);
    return { name: String(name), main: typeof main === "string" ? main : undefined };
  } catch {
    return { name: "" };
  }
}

function withoutExtension(path) {
  return path.replace(/\.[cm]?[jt]s$/, "").replace(/[\\/]$/, "");
}
