/** The compiler, at pinned versions, in its own folder. */

import { existsSync } from "node:fs";
import { copyFile, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import { defaultToolsFolder as toolsOfJavaScript, installOnce, npm } from "../../javascript/builder/tools.mjs";

const PINS = new URL("../tools/", import.meta.url);
const FILES = ["package.json", "package-lock.json"];

/** The builder of the SDK for JavaScript has its tools there too. */
export const defaultToolsFolder = toolsOfJavaScript;

/** Installs missing packages. Returns their folder. */
export async function openTools(folder) {
  const { dependencies } = JSON.parse(await readFile(new URL("package.json", PINS), "utf8"));
  const named = (mark) => Object.entries(dependencies).map((parts) => parts.join(mark));
  const installed = join(folder, named("-").join("-"));
  if (!existsSync(installed)) {
    await installOnce(installed, named("@"), async (unfinished) => {
      await Promise.all(FILES.map((name) => copyFile(new URL(name, PINS), join(unfinished, name))));
      await npm(["ci", "--prefix", unfinished, "--ignore-scripts"]);
    });
  }
  return join(installed, "node_modules");
}
