// Renames exports: the contract's names contain hyphens, which identifiers cannot.
export function afterCompile(module) {
  for (const [internal, name] of [["runOrchestrator", "run-orchestrator"], ["runActivity", "run-activity"]]) {
    module.removeExport(internal);
    module.addFunctionExport(`dacapo/${internal}`, name);
  }
}
