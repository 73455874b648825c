//! What a component may import, and what is denied to each role: a denied function exists, and traps with an explanation.

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceType};

use crate::DeployError;
use crate::deployment::compile::ModuleError;

/// The type of every resource of an interface that a role may not use. It is never instantiated.
enum Denied {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Orchestrator,
    Activity,
    /// Is granted the same as an orchestrator.
    Entity,
    /// Is granted the same as an activity.
    Trigger,
}

/// Implemented by the data of a guest's store: tells the guest's role.
pub(crate) trait HasRole: 'static {
    fn role(&self) -> Role;
}

/// What a call of an interface's function does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Recorded in the history, or read from it.
    Durable,
    /// WASI that is derived from the execution or the operation: a replay sees the same.
    Deterministic,
    /// Reaches the outside world, as far as the hub's grants allow.
    Real,
    /// Served by the host itself, such as its log.
    Host,
    /// Stops the guest, with an explanation.
    Traps,
    /// The host offers no such interface: the file cannot be deployed.
    Unknown,
}

/// An imported interface, and what calling it does in each role.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportedInterface {
    /// Such as `wasi:http/types@0.2.3`; of a core module that cannot be made a component, the name of the module.
    pub interface: String,
    pub functions: Vec<String>,
    /// Also applies to entities, which are granted the same.
    pub in_orchestrators: Access,
    /// Also applies to triggers, which are granted the same.
    pub in_activities: Access,
}

impl ImportedInterface {
    pub(crate) fn new(interface: &str, functions: Vec<String>) -> Self {
        let parsed = Interface::parse(interface);
        let (in_orchestrators, in_activities) = (parsed.access(Role::Orchestrator), parsed.access(Role::Activity));
        Self { interface: interface.to_owned(), functions, in_orchestrators, in_activities }
    }
}

/// What the interfaces of the contract begin with.
const CONTRACT: &str = "dacapo:guest/";

/// Whether an interface is one of those of the contract.
pub(crate) fn is_of_the_contract(interface: &str) -> bool {
    interface.starts_with(CONTRACT) && Interface::parse(interface).is_known()
}

/// An interface by name, without its version.
struct Interface<'a> {
    /// Such as `wasi:http/types`.
    name: &'a str,
    version: &'a str,
}

impl<'a> Interface<'a> {
    fn parse(import: &'a str) -> Self {
        let (name, version) = import.split_once('@').unwrap_or((import, ""));
        Self { name, version }
    }

    /// Whether it is of a package that some role can use.
    fn is_known(&self) -> bool {
        const PACKAGES: [&str; 7] =
            ["wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:cli/", "wasi:filesystem/", "wasi:sockets/", "wasi:http/"];
        let is_0 = |minor: &str| {
            self.version.strip_prefix("0.").and_then(|rest| rest.strip_prefix(minor)).is_some_and(|rest| rest.starts_with('.'))
        };
        match self.name.strip_prefix(CONTRACT) {
            Some(interface) => matches!(interface, "orchestration" | "management" | "client" | "logging" | "types") && is_0("1"),
            None => PACKAGES.iter().any(|package| self.name.starts_with(package)) && is_0("2"),
        }
    }

    /// Why no role can use it.
    fn unknown_because(&self) -> String {
        let offered = match (self.name.starts_with(CONTRACT), self.name.starts_with("wasi:")) {
            (true, _) => "dacapo:guest 0.1",
            (_, true) => "io, clocks, random, cli, filesystem, sockets and http of WASI 0.2",
            (false, false) => return "no function of this host can use it".to_owned(),
        };
        format!("it offers {offered}")
    }

    /// What calling its functions does in a role.
    fn access(&self, role: Role) -> Access {
        match (self.is_known(), self.is_granted_to(role), self.name.strip_prefix(CONTRACT)) {
            (false, _, _) => Access::Unknown,
            (true, false, _) => Access::Traps,
            (true, true, Some("orchestration")) => Access::Durable,
            (true, true, Some(_)) => Access::Host,
            (true, true, None) if matches!(role, Role::Activity | Role::Trigger) => Access::Real,
            (true, true, None) => Access::Deterministic,
        }
    }

    fn is_granted_to(&self, role: Role) -> bool {
        match (role, self.name) {
            (Role::Orchestrator | Role::Entity, "dacapo:guest/management" | "dacapo:guest/client" | "wasi:clocks/timezone") => {
                false
            }
            (Role::Orchestrator | Role::Entity, name) => !name.starts_with("wasi:sockets/") && !name.starts_with("wasi:http/"),
            (
                Role::Activity | Role::Trigger,
                "dacapo:guest/orchestration" | "wasi:http/incoming-handler" | "wasi:clocks/timezone",
            ) => false,
            (Role::Activity | Role::Trigger, _) => true,
        }
    }
}

/// Why a role may not call a function.
fn sentence(role: Role, interface: &str, function: &str) -> String {
    match (role, interface) {
        (Role::Orchestrator | Role::Entity, "dacapo:guest/management") => {
            let instead = match function {
                "start-orchestration" => "here it is start-orchestration of the orchestration interface",
                "send-http" if role == Role::Orchestrator => "here it is call-http of the orchestration interface",
                _ => "what it gives is not part of the history",
            };
            format!("only activities may call {function} of the management interface: {instead}")
        }
        (Role::Orchestrator | Role::Entity, "dacapo:guest/client") => {
            format!("only activities and triggers may call {function} of the client: what it gives is not part of the history")
        }
        (Role::Orchestrator, _) => format!("an orchestrator may not use {interface}.{function}: do it in an activity"),
        (Role::Entity, _) => {
            format!("an entity may not use {interface}.{function}: do it in an activity of an orchestration")
        }
        (Role::Activity, "dacapo:guest/orchestration") => {
            format!("only orchestrators may call {function}: an activity schedules nothing, it returns its output")
        }
        (Role::Trigger, "dacapo:guest/orchestration") => {
            format!(
                "only orchestrators may call {function}: a trigger schedules nothing, it starts an orchestration with the client"
            )
        }
        (Role::Trigger, _) => format!("a trigger may not use {interface}.{function}"),
        (Role::Activity, _) => format!("an activity may not use {interface}.{function}"),
    }
}

/// Refuses a component that imports an interface which no role may use.
pub(crate) fn check(component: &Component, engine: &Engine) -> Result<(), DeployError> {
    let refused = component.component_type().imports(engine).find_map(|(name, _)| unknown(name));
    refused.map_or(Ok(()), |why| Err(why.into()))
}

/// Why a component that imports this cannot be deployed. None: it can.
pub(crate) fn unknown(import: &str) -> Option<ModuleError> {
    let interface = Interface::parse(import);
    let refused = || ModuleError::UnknownImport { import: import.to_owned(), reason: interface.unknown_because() };
    (!interface.is_known()).then(refused)
}

/// The imports that trap in an orchestrator or entity: interface and function, as the component names them.
pub(crate) fn denied_in_orchestrators(component: &Component) -> Vec<(String, String)> {
    let mut denied = Vec::new();
    for (import, item) in component.component_type().imports(component.engine()) {
        let ComponentItem::ComponentInstance(instance) = item.ty else { continue };
        if Interface::parse(import).is_granted_to(Role::Orchestrator) {
            continue;
        }
        let functions =
            instance.exports(component.engine()).filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)));
        denied.extend(functions.map(|(name, _)| (import.to_owned(), name.to_owned())));
    }
    denied
}

/// Links a component to what its role is granted (as `granted` defines it), and the rest to traps with an explanation.
pub(crate) fn link<T: HasRole>(
    role: Role,
    granted: &Linker<T>,
    component: &Component,
) -> Result<wasmtime::component::InstancePre<T>, DeployError> {
    let mut linker = granted.clone();
    deny(role, &mut linker, component).map_err(|why| DeployError::invalid(format_args!("{why:#}")))?;
    linker.instantiate_pre(component).map_err(|why| {
        let (import, reason) = (quoted(&why.to_string()).to_owned(), why.root_cause().to_string());
        ModuleError::UnknownImport { import, reason }.into()
    })
}

fn deny<T: HasRole>(role: Role, linker: &mut Linker<T>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    // A later interface may only refer to a resource that an earlier one has defined.
    let mut defined: Vec<ResourceType> = Vec::new();
    for (import, item) in component.component_type().imports(&engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else { continue };
        let interface = Interface::parse(import);
        let denied = !interface.is_granted_to(role);
        for (name, item) in instance.exports(&engine) {
            match item.ty {
                ComponentItem::Resource(resource) if !defined.contains(&resource) => {
                    defined.push(resource);
                    if denied {
                        linker.instance(import)?.resource(name, ResourceType::host::<Denied>(), |_, _| Ok(()))?;
                    }
                }
                ComponentItem::ComponentFunc(_) if denied => {
                    let (interface, function) = (interface.name.to_owned(), readable(name));
                    linker.instance(import)?.func_new(name, move |store, _, _, _| {
                        Err(wasmtime::Error::msg(sentence(store.data().role(), &interface, &function)))
                    })?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Strips the kind: `[method]tcp-socket.start-connect` becomes `tcp-socket.start-connect`.
fn readable(function: &str) -> String {
    function.split_once(']').map_or(function, |(_, name)| name).to_owned()
}

/// Returns the text between the first two backquotes.
fn quoted(text: &str) -> &str {
    text.split('`').nth(1).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_imports_are_those_of_the_contract_and_of_wasi_0_2() {
        let known = |import| Interface::parse(import).is_known();
        for import in
            ["dacapo:guest/management@0.1.0", "dacapo:guest/types@0.1.3", "wasi:io/poll@0.2.0", "wasi:http/types@0.2.12"]
        {
            assert!(known(import), "{import}");
        }
        for import in [
            "dacapo:guest/orchestration@0.2.0",
            "dacapo:guest/other@0.1.0",
            "wasi:io/poll@0.3.0",
            "wasi:nn/graph@0.2.0",
            "env",
            "wasi:io/poll",
        ] {
            assert!(!known(import), "{import}");
        }
    }
}
