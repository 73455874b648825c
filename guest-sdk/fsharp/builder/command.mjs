import process from "node:process";

import { BuildError } from "../../javascript/builder/build-error.mjs";

/** Runs a program. What its user can mend is printed without a stack trace. */
export async function runCommand(main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof BuildError)) {
      throw error;
    }
    console.error(error.message);
    process.exitCode = 1;
  }
}
