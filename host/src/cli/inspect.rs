use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use dacapo_core::FunctionName;
use dacapo_wasm::{Access, FileKind, Finding, ImportedInterface, InspectedFunction, Inspection, Memory};

use super::error::CliError;
use super::output::{Table, bytes, print, print_table, table};
use crate::triggers::{StartedBy, Trigger};

/// Show what is in a WebAssembly file: its functions, its imports and how the host provides them, and any reasons why it cannot
/// be deployed.
///
/// Needs no host, and stores nothing. The file is compiled and asked for its functions. Exit code 1: it cannot be deployed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo inspect app.wasm
  dacapo inspect app.wasm --json | jq '.imports[] | select(.inOrchestrators == \"traps\")'")]
pub(super) struct Inspect {
    /// A component or a core module.
    #[arg(value_name = "APP.wasm")]
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub fn run(self) -> Result<(), CliError> {
        let wasm = std::fs::read(&self.file).map_err(|why| CliError::file("reading", &self.file, &why))?;
        let inspection = inspect(&wasm)?;
        match self.json {
            true => print(serde_json::to_string_pretty(&inspection).expect("its keys are texts"))?,
            false => show(&inspection)?,
        }
        refuse(&inspection)
    }
}

/// Inspects a file on this machine.
pub(super) fn inspect(wasm: &[u8]) -> Result<Inspection, CliError> {
    dacapo_wasm::inspect(wasm).map_err(|why| CliError::Failed(why.to_string()))
}

/// An error if the file cannot be deployed.
pub(super) fn refuse(inspection: &Inspection) -> Result<(), CliError> {
    match inspection.troubles.as_slice() {
        [] => Ok(()),
        troubles => Err(CliError::Failed(format!("it cannot be deployed:\n  {}", troubles.join("\n  ")))),
    }
}

/// Prints a description of a file. [`refuse`] reports why it cannot be deployed.
pub(super) fn show(inspection: &Inspection) -> Result<(), CliError> {
    let Some(kind) = inspection.kind else { return Ok(()) };
    print(format_args!("{}, {}, version {}", name_of(kind), bytes(inspection.bytes), &inspection.version[..12]))?;
    if !inspection.functions.is_empty() {
        print(format_args!(""))?;
        print_table(functions(inspection))?;
    }
    // An interface without functions only imports types.
    let called: Vec<&ImportedInterface> = inspection.imports.iter().filter(|import| !import.functions.is_empty()).collect();
    if !called.is_empty() {
        let mut imports = table(["IMPORT", "FUNCTIONS", "IN ORCHESTRATORS AND ENTITIES", "IN ACTIVITIES"]);
        imports.add_rows(called.into_iter().map(row));
        print(format_args!(""))?;
        print_table(imports)?;
    }
    let lines = [memories(&inspection.memories), others(&inspection.other_exports), manifest(inspection)];
    let traps = traps(&inspection.report);
    for (number, line) in lines.into_iter().flatten().chain(traps).enumerate() {
        if number == 0 {
            print(format_args!(""))?;
        }
        print(line)?;
    }
    Ok(())
}

/// Its functions and their kinds, and what starts them.
pub(super) fn functions(inspection: &Inspection) -> Table {
    let started_by = started_by(inspection);
    let mut functions = table(["FUNCTION", "KIND", "STARTED BY"]);
    functions.add_rows(inspection.functions.iter().map(|function| {
        let trigger = started_by.get(&function.name);
        [function.name.clone(), function.kind.to_owned(), trigger.map_or_else(String::new, |trigger| trigger.text(""))]
    }));
    functions
}

/// What starts the triggers of a file, by name. One whose bindings are invalid is refused when the file is deployed.
pub(super) fn started_by(inspection: &Inspection) -> BTreeMap<String, StartedBy> {
    let prefix = inspection.manifest.as_ref().and_then(|manifest| manifest.http.as_ref()?.route_prefix.as_deref());
    let one = |function: &InspectedFunction| {
        let trigger = Trigger::parse(function.bindings.as_ref()?).ok()?;
        let name = FunctionName::new(&function.name).ok()?;
        Some((function.name.clone(), StartedBy::of(&name, &trigger, prefix)))
    };
    inspection.functions.iter().filter_map(one).collect()
}

fn name_of(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Component => "a component",
        FileKind::CoreModule => "a core module",
        FileKind::CoreModuleWithPreview1 => "a core module on WASI preview 1",
    }
}

fn row(import: &ImportedInterface) -> [String; 4] {
    let ImportedInterface { interface, functions, in_orchestrators, in_activities } = import;
    let access = |access| word(access).to_owned();
    [interface.to_owned(), functions.len().to_string(), access(*in_orchestrators), access(*in_activities)]
}

fn word(access: Access) -> &'static str {
    match access {
        Access::Durable => "durable",
        Access::Deterministic => "deterministic",
        Access::Real => "real, as granted",
        Access::Host => "of the host",
        Access::Traps => "traps",
        Access::Unknown => "not offered",
    }
}

fn memories(memories: &[Memory]) -> Option<String> {
    let initial: u64 = memories.iter().map(|memory| memory.initial_bytes).sum();
    let maximum = memories.iter().map(|memory| memory.maximum_bytes).sum::<Option<u64>>();
    let most = maximum.map_or_else(|| "as much as the hub allows".to_owned(), bytes);
    (!memories.is_empty()).then(|| format!("Memory: {} at first, {most} at most.", bytes(initial)))
}

fn others(exports: &[String]) -> Option<String> {
    (!exports.is_empty()).then(|| format!("Exports that the host does not use: {}.", exports.join(", ")))
}

fn manifest(inspection: &Inspection) -> Option<String> {
    let manifest = inspection.manifest.as_ref()?;
    Some(format!("Manifest: {}", serde_json::to_string(manifest).expect("its keys are texts")))
}

/// The imports that trap in an orchestrator or entity, a line for each interface.
fn traps(report: &[Finding]) -> Vec<String> {
    let of_interfaces = report.chunk_by(|one, other| one.interface == other.interface);
    let line = |findings: &[Finding]| {
        let functions: Vec<String> = findings.iter().map(with_callers).collect();
        format!("Of {} trap in orchestrators and entities: {}.", findings[0].interface, functions.join(", "))
    };
    of_interfaces.map(line).collect()
}

fn with_callers(finding: &Finding) -> String {
    let function = finding.function.split_once(']').map_or(finding.function.as_str(), |(_, name)| name);
    match finding.called_by.as_slice() {
        [] => function.to_owned(),
        callers => format!("{function} (called by {})", callers.join(" and ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_traps_has_a_line_for_each_interface() {
        let finding = |interface: &str, function: &str, called_by: &[&str]| Finding {
            interface: interface.into(),
            function: function.into(),
            what: "it traps".into(),
            called_by: called_by.iter().map(ToString::to_string).collect(),
        };
        let report = [
            finding("wasi:http/types", "[method]fields.append", &[]),
            finding("wasi:http/types", "send", &["f", "g"]),
            finding("x", "y", &[]),
        ];
        let expected = [
            "Of wasi:http/types trap in orchestrators and entities: fields.append, send (called by f and g).",
            "Of x trap in orchestrators and entities: y.",
        ];
        assert_eq!(traps(&report), expected);
    }

    #[test]
    fn memories_are_added_up() {
        let memory = |initial_bytes, maximum_bytes| Memory { initial_bytes, maximum_bytes };
        assert_eq!(memories(&[]), None);
        let bounded = [memory(1 << 20, Some(2 << 20)), memory(1 << 20, Some(1 << 20))];
        assert_eq!(memories(&bounded).unwrap(), "Memory: 2.0 MiB at first, 3.0 MiB at most.");
        let open = [memory(1 << 16, None), memory(0, Some(0))];
        assert_eq!(memories(&open).unwrap(), "Memory: 64.0 KiB at first, as much as the hub allows at most.");
    }
}
