
import { WASI } from 'wasi';
import { argv, env } from 'node:process';

const wasi = new WASI({ version: 'preview1', args: argv, env, });

const fs = await import('node:fs');
const url = await import('node:url');
const wasmBuffer = fs.readFileSync(url.fileURLToPath(import.meta.resolve('./app.wasm')));
const wasmModule = new WebAssembly.Module(wasmBuffer);
const wasmInstance = new WebAssembly.Instance(wasmModule, wasi.getImportObject());

wasi.finalizeBindings(wasmInstance);

const exports = wasmInstance.exports

export {
    exports as __ALL_EXPORTS,

}

const wasmMemory = exports.memory;
export { wasmMemory as memory }

export const {
    cabi_realloc,
    describe
} = exports
const {
    'run-orchestrator': a,
    'run-activity': b
} = exports

export {
    a as 'run-orchestrator',
    b as 'run-activity'
}

