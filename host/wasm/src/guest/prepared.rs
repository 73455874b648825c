//! A version that is ready to run.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use dacapo_core::execution::{Context, Execution};
use dacapo_core::{EventDelivery, ExecutionId, FunctionKind, FunctionName, InstanceId};
use wasmtime::component::{Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower, TypedFunc};
use wasmtime::{Engine, PoolConcurrencyLimitError, Store};

use crate::DeployError;
use crate::config::{Checkpoint, GuestLimits, Policy};
use crate::deployment::compile::ModuleError;
use crate::deployment::deploy;
use crate::deployment::imports::{self, Role};
use crate::engine::pool::{self, PoolUsage};
use crate::engine::slices::{self, RunOutcome};
use crate::guest::activity::Activity;
use crate::guest::bindings;
use crate::guest::deterministic::{Deterministic, Shared};
use crate::guest::trap::{self, STOPPED};

/// The export that lists an app's triggers. An app without it has none.
const DESCRIBE_TRIGGERS: &str = "describe-triggers";

/// An export and everything that is needed to call it in a new instance.
pub(crate) struct Entry<T: 'static> {
    instance: InstancePre<T>,
    export: ComponentExportIndex,
}

impl<T: 'static> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { instance: self.instance.clone(), export: self.export }
    }
}

impl<T: Send + 'static> Entry<T> {
    /// Instantiates the component and calls the export.
    pub async fn call<P, R>(&self, store: &mut Store<T>, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.open::<P, R>(store).await?.call_async(&mut *store, params).await
    }

    /// Instantiates the component and returns the export, to be called more than once.
    pub async fn open<P, R>(&self, store: &mut Store<T>) -> wasmtime::Result<TypedFunc<P, R>>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let instance = self.instance.instantiate_async(&mut *store).await?;
        instance.get_typed_func::<P, R>(&mut *store, self.export)
    }
}

/// A compiled component with its imports resolved for every role, its exports looked up, and its functions known.
pub(crate) struct Prepared {
    pub component: Component,
    /// In the order in which it describes them.
    pub functions: Vec<(FunctionName, FunctionKind)>,
    /// The bindings of those that are triggers, as JSON.
    pub triggers: Vec<(FunctionName, String)>,
    /// By folded name.
    spelling: HashMap<String, FunctionName>,
    pub orchestrator: Option<Entry<Deterministic>>,
    pub activity: Option<Entry<Activity>>,
    pub trigger: Option<Entry<Activity>>,
    pub entity: Option<Entry<Deterministic>>,
    /// How many slots of the pool a guest takes: one, unless it has many memories, tables or core instances.
    pub slots: u32,
}

impl Prepared {
    /// Calls `describe` once the imports and the types of the exports have been checked.
    pub fn new(
        component: Component,
        describe: impl FnOnce() -> Result<Described, DeployError>,
        deterministic: &Linker<Deterministic>,
        activities: &Linker<Activity>,
    ) -> Result<Self, DeployError> {
        imports::check(&component, component.engine())?;
        let deterministic = imports::link(Role::Orchestrator, deterministic, &component)?;
        let activity = imports::link(Role::Activity, activities, &component)?;
        let export = |name: &str| component.get_export_index(None, name);
        let in_deterministic = |name: &str| export(name).map(|export| Entry { instance: deterministic.clone(), export });
        let describe_triggers = in_deterministic(DESCRIBE_TRIGGERS);
        let described = in_deterministic("describe").ok_or_else(|| DeployError::wrong_world("it does not export `describe`"))?;
        let mut prepared = Self {
            functions: Vec::new(),
            triggers: Vec::new(),
            spelling: HashMap::new(),
            orchestrator: in_deterministic("run-orchestrator"),
            trigger: export("run-trigger").map(|export| Entry { instance: activity.clone(), export }),
            activity: export("run-activity").map(|export| Entry { instance: activity, export }),
            entity: in_deterministic("run-entity-operation"),
            slots: 1,
            component,
        };
        prepared.check_types(&described, describe_triggers.as_ref())?;
        let Described { functions, triggers, takes } = describe()?;
        takes.check()?;
        prepared.functions = functions;
        prepared.triggers = triggers;
        prepared.slots = takes.slots();
        prepared.check_exports()?;
        prepared.spelling = prepared.functions.iter().map(|(name, _)| (name.folded(), name.clone())).collect();
        Ok(prepared)
    }

    /// The name as the app spells it: names compare ignoring case, but guests compare them exactly.
    pub fn spelled<'a>(&'a self, name: &'a FunctionName) -> &'a FunctionName {
        self.spelling.get(&name.folded()).unwrap_or(name)
    }

    pub fn has(&self, kind: FunctionKind, name: &FunctionName) -> bool {
        self.functions.iter().any(|(known, its)| *its == kind && known.as_str() == name.as_str())
    }

    /// The bindings of a trigger, as JSON.
    pub fn bindings_of(&self, trigger: &FunctionName) -> Option<&str> {
        self.triggers.iter().find(|(name, _)| name.as_str() == trigger.as_str()).map(|(_, bindings)| bindings.as_str())
    }

    /// Imports that trap in its orchestrators and entities. Empty if it has no such functions.
    pub fn denied_in_orchestrators(&self) -> Vec<(String, String)> {
        match self.functions.iter().all(|(_, kind)| matches!(kind, FunctionKind::Activity | FunctionKind::Trigger)) {
            true => Vec::new(),
            false => imports::denied_in_orchestrators(&self.component),
        }
    }

    /// Checks that the exports for its functions exist.
    fn check_exports(&self) -> Result<(), DeployError> {
        for (name, kind) in &self.functions {
            let (export, present) = match kind {
                FunctionKind::Orchestrator => ("run-orchestrator", self.orchestrator.is_some()),
                FunctionKind::Activity => ("run-activity", self.activity.is_some()),
                FunctionKind::Entity => ("run-entity-operation", self.entity.is_some()),
                FunctionKind::Trigger => ("run-trigger", self.trigger.is_some()),
            };
            if !present {
                let reason = format!("it describes the {} '{name}' but does not export `{export}`", kind.name());
                return Err(DeployError::wrong_world(reason));
            }
        }
        Ok(())
    }

    /// Checks that the exports have the types of the contract.
    fn check_types(
        &self,
        describe: &Entry<Deterministic>,
        describe_triggers: Option<&Entry<Deterministic>>,
    ) -> Result<(), DeployError> {
        fn check<T, P, R>(name: &str, entry: Option<&Entry<T>>) -> Result<(), DeployError>
        where
            P: ComponentNamedList + Lower,
            R: ComponentNamedList + Lift,
        {
            use wasmtime::component::types::ComponentItem;
            let Some(entry) = entry else { return Ok(()) };
            let component = entry.instance.component();
            let cause = match component.get_export(None, name).map(|(item, _)| item) {
                Some(ComponentItem::ComponentFunc(function)) => match function.typecheck::<P, R>(&entry.instance.instance_type())
                {
                    Ok(()) => return Ok(()),
                    Err(why) => format!("{why:#}"),
                },
                _ => "it is not a function".to_owned(),
            };
            Err(DeployError::wrong_world(format!("its export `{name}` has another type than in the contract: {cause}")))
        }
        check::<_, (), bindings::Described>("describe", Some(describe))?;
        check::<_, (), bindings::TriggersDescribed>(DESCRIBE_TRIGGERS, describe_triggers)?;
        check::<_, (bindings::types::TriggerCall,), bindings::Returned>("run-trigger", self.trigger.as_ref())?;
        check::<_, (&str, &str), bindings::Returned>("run-orchestrator", self.orchestrator.as_ref())?;
        check::<_, (bindings::types::ActivityCall,), bindings::Returned>("run-activity", self.activity.as_ref())?;
        type Operation = (bindings::types::EntityOperation,);
        check::<_, Operation, bindings::OperationReturned>("run-entity-operation", self.entity.as_ref())
    }
}

/// A component on an engine that runs nothing else, to measure what a guest of it takes of the pool.
pub(crate) struct Alone {
    pub component: Component,
    pub linker: Linker<Deterministic>,
}

/// The functions that a component describes, and the pool resources that it took meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    pub functions: Vec<(FunctionName, FunctionKind)>,
    /// The bindings of those that are triggers, as JSON.
    pub triggers: Vec<(FunctionName, String)>,
    pub takes: PoolUsage,
}

impl Alone {
    pub fn describe(&self, most: &GuestLimits) -> Result<Described, DeployError> {
        // Needs that are known before instantiation are refused with their numbers.
        if let Some(needs) = self.component.resources_required() {
            PoolUsage { core_instances: 0, memories: needs.num_memories, tables: needs.num_tables }.check()?;
        }
        let instance = imports::link(Role::Orchestrator, &self.linker, &self.component)?;
        let export = |name: &str| self.component.get_export_index(None, name);
        let entry = |export| Entry { instance: instance.clone(), export };
        let describe = export("describe").ok_or_else(|| DeployError::wrong_world("it does not export `describe`"))?;
        let triggers = export(DESCRIBE_TRIGGERS).map(entry);
        describe_in(most, self.component.engine(), &entry(describe), triggers.as_ref())
    }
}

/// Asks the component for its functions and triggers, each in a fresh guest.
fn describe_in(
    most: &GuestLimits,
    engine: &Engine,
    describe: &Entry<Deterministic>,
    describe_triggers: Option<&Entry<Deterministic>>,
) -> Result<Described, DeployError> {
    let ((functions,), takes) = described::<bindings::Described>(most, engine, describe)?;
    let triggers = describe_triggers.map(|entry| described::<bindings::TriggersDescribed>(most, engine, entry)).transpose()?;
    let triggers = triggers.map_or_else(Vec::new, |((triggers,), _)| triggers);
    let (functions, triggers) = deploy::functions_of(functions, triggers)?;
    Ok(Described { functions, triggers, takes })
}

/// Calls an export in an orchestrator's world, with an execution that is thrown away.
fn described<R>(most: &GuestLimits, engine: &Engine, export: &Entry<Deterministic>) -> Result<(R, PoolUsage), DeployError>
where
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    // The default limits, whatever the host allows: `describe` only lists names.
    let policy = Arc::new(Policy { limits: GuestLimits::default().within(most), ..Policy::default() });
    let shared = Shared::of_execution(Arc::new(Mutex::new(throw_away_execution(&policy))), Checkpoint::default());
    let mut store =
        Deterministic::store(engine, policy.clone(), shared).map_err(|why| DeployError::invalid(format_args!("{why:#}")))?;
    let call = export.call::<(), R>(&mut store, ());
    let rest = slices::run(pin!(call), policy.limits.fuel_per_turn, &Checkpoint::default());
    let error = match rest {
        RunOutcome::Ended(Ok(described)) => return Ok((described, PoolUsage::measured(engine))),
        RunOutcome::Ended(Err(error)) if error.is::<PoolConcurrencyLimitError>() => {
            let PoolUsage { core_instances, memories, tables } = pool::MOST;
            let reason = format!(
                "one guest of it takes more than {core_instances} core instances (the host's limit core_instances_per_guest), \
                 {memories} memories (memories_per_guest) or {tables} tables (tables_per_guest)"
            );
            return Err(ModuleError::TooComplex { reason }.into());
        }
        RunOutcome::Ended(Err(error)) => error,
        RunOutcome::Waits => wasmtime::Error::msg("it waits, but must depend on nothing"),
        RunOutcome::Stopped => wasmtime::Error::msg(STOPPED),
        RunOutcome::Overdue { most } => return Err(DeployError::DescribeFailed(trap::overdue(most))),
    };
    Err(DeployError::DescribeFailed(store.data().failure(&error)))
}

fn throw_away_execution(policy: &Policy) -> Execution {
    let context = Context {
        instance: InstanceId::orchestration("describe").expect("it follows the rules"),
        execution: ExecutionId(uuid::Uuid::nil()),
        name: FunctionName::new("describe").expect("it follows the rules"),
        input: "null".into(),
        version_label: String::new(),
        parent: None,
        event_delivery: EventDelivery::FirstAsked,
    };
    let mut execution = Execution::new(context, policy.execution.clone());
    // Not 0: Go's runtime takes that for a broken clock, and does not start.
    execution.begin_live_turn(dacapo_core::Timestamp(1));
    execution
}
