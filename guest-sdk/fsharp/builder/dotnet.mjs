/** The compiler Fable as a tool of .NET, where it is installed. It is newer than the one of npm. */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

import { BuildError } from "../../javascript/builder/build-error.mjs";

/** The first release with the library that the SDK is written for. */
const MAJOR_MIN = 4;

/** Whether `dotnet fable` works in a folder: it may be installed for that only, or for the user. */
export function isDotnetFableThere(folder) {
  return version(folder) !== null;
}

export async function compileWithDotnet({ folder, name, files, refersToTheSdk, options }, out) {
  const found = version(folder);
  if (found === null) {
    throw new BuildError("'dotnet fable' does not work here. Install it: dotnet tool install fable; or choose --compiler node.");
  }
  if (Number.parseInt(found, 10) < MAJOR_MIN) {
    throw new BuildError(`'dotnet fable' is ${found}, and must be ${MAJOR_MIN} or newer. Update it: dotnet tool update fable; or choose --compiler node.`);
  }
  if (!refersToTheSdk) {
    throw new BuildError(`${name} does not refer to the SDK. Add ${REFERENCE[name.split(".").at(-1)]}`);
  }
  const defines = options.defines.flatMap((define) => ["--define", define]);
  const args = ["fable", name, "--outDir", out, "--extension", ".js", "--sourceMaps", "--noCache", ...defines];
  // What it prints is no output of this program.
  const { status, error } = spawnSync("dotnet", args, { cwd: folder, stdio: ["ignore", 2, 2] });
  if (error || status !== 0) {
    throw new BuildError(error ? `dotnet cannot be run: ${error.message}` : "'dotnet fable' failed; what it said is above.");
  }
  const missing = files.find(({ isOfTheSdk, module }) => !isOfTheSdk && !existsSync(join(out, module)));
  if (missing) {
    throw new BuildError(`'dotnet fable' ${found} did not write ${missing.module}. Choose --compiler node.`);
  }
}

const REFERENCE = {
  fsproj: '<ProjectReference Include=".dacapo/sdk/fsharp/Dacapo.fsproj" />',
  fsx: '#load ".dacapo/sdk/fsharp/Dacapo.fsx"',
};

function version(folder) {
  const { status, stdout, error } = spawnSync("dotnet", ["fable", "--version"], { cwd: folder, encoding: "utf8" });
  return error || status !== 0 ? null : (/\d+\.\d+\S*/.exec(stdout)?.[0] ?? null);
}
