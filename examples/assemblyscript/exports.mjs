// The contract's names have hyphens, which no identifier may have.
export function afterCompile(module) {
  for (const [internal, name] of [["runOrchestrator", "run-orchestrator"], ["runActivity", "run-activity"]]) {
    module.removeExport(internal);
    module.addFunctionExport(`dacapo/${internal}`, name);
  }
}
