// Renames exports: the contract's names contain hyphens, which identifiers cannot.
const NAMES = {
  runOrchestrator: "run-orchestrator",
  runActivity: "run-activity",
  describeTriggers: "describe-triggers",
  runTrigger: "run-trigger",
};

export function afterCompile(module) {
  for (const [internal, name] of Object.entries(NAMES)) {
    if (module.getExport(internal)) {
      module.removeExport(internal);
      module.addFunctionExport(`dacapo/${internal}`, name);
    }
  }
}
