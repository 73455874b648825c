//! The generated bindings of `wit/dacapo.wit`, and their conversion to and from the types of this crate. Only this module,
//! `wasm_host` and `exports` use generated types.

// The generated code, and the exports that `app!` makes from it, implement the canonical ABI.
#![allow(unsafe_code)]

use crate::entity_id::EntityId;
use crate::failure::Failure;
use crate::level::Level;
use crate::retry::RetryPolicy;
use crate::timestamp::Timestamp;

#[allow(clippy::too_many_arguments)] // the canonical ABI flattens records into parameters
#[allow(missing_docs)] // the contract documents them
pub mod generated {
    wit_bindgen::generate!({
        path: "wit",
        world: "app",
        pub_export_macro: true,
        export_macro_name: "export_app",
        default_bindings_module: "dacapo_sdk::__private::generated",
        generate_all,
    });
}

use generated::dacapo::guest::{logging, orchestration, types};

/// The host's handle of a scheduled task.
pub(crate) type Handle = orchestration::Task;

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => logging::Level::Trace,
        Level::Debug => logging::Level::Debug,
        Level::Info => logging::Level::Info,
        Level::Warn => logging::Level::Warn,
        Level::Error => logging::Level::Error,
    };
    logging::log(level, message);
}

pub(crate) fn call_entity(entity: &EntityId, operation: &str, input: &str) -> Handle {
    orchestration::call_entity(&entity_id(entity), operation, input)
}

pub(crate) fn signal_entity(entity: &EntityId, operation: &str, input: &str, deliver_at: Option<Timestamp>) {
    orchestration::signal_entity(&entity_id(entity), operation, input, deliver_at.map(at));
}

pub(crate) fn lock_entities(entities: &[EntityId]) -> Handle {
    orchestration::lock_entities(&entities.iter().map(entity_id).collect::<Vec<_>>())
}

pub(crate) fn unlock_entities() {
    orchestration::unlock_entities();
}

pub(crate) fn call_http(request: &str) -> Handle {
    orchestration::call_http(request)
}

/// The durable client. One function for each import, so that an app imports only what it calls.
pub(crate) mod client {
    use std::time::Duration;

    use super::generated::dacapo::guest::client;
    use super::{at, entity_id, from_generated, millis};
    use crate::entity_id::EntityId;
    use crate::failure::Result;
    use crate::timestamp::Timestamp;

    pub(crate) fn start_orchestration(
        name: &str,
        input: &str,
        instance_id: Option<&str>,
        version: Option<&str>,
        start_at: Option<Timestamp>,
    ) -> Result<String> {
        client::start_orchestration(name, input, instance_id, version, start_at.map(at)).map_err(from_generated)
    }

    pub(crate) fn get_status(instance_id: &str, options: &str) -> Result<String> {
        client::get_status(instance_id, options).map_err(from_generated)
    }

    pub(crate) fn list_instances(filter: &str) -> Result<String> {
        client::list_instances(filter).map_err(from_generated)
    }

    pub(crate) fn raise_event(instance_id: &str, name: &str, data: &str) -> Result<()> {
        client::raise_event(instance_id, name, data).map_err(from_generated)
    }

    pub(crate) fn terminate(instance_id: &str, reason: &str) -> Result<()> {
        client::terminate(instance_id, reason).map_err(from_generated)
    }

    pub(crate) fn suspend(instance_id: &str, reason: &str) -> Result<()> {
        client::suspend(instance_id, reason).map_err(from_generated)
    }

    pub(crate) fn resume(instance_id: &str, reason: &str) -> Result<()> {
        client::resume(instance_id, reason).map_err(from_generated)
    }

    pub(crate) fn rewind(instance_id: &str, reason: &str) -> Result<()> {
        client::rewind(instance_id, reason).map_err(from_generated)
    }

    pub(crate) fn restart(instance_id: &str, new_instance_id: Option<&str>) -> Result<String> {
        client::restart(instance_id, new_instance_id).map_err(from_generated)
    }

    pub(crate) fn purge(instance_id: &str) -> Result<bool> {
        client::purge(instance_id).map_err(from_generated)
    }

    pub(crate) fn purge_instances(filter: &str) -> Result<u32> {
        client::purge_instances(filter).map_err(from_generated)
    }

    pub(crate) fn wait_for_completion(instance_id: &str, timeout: Duration) -> Result<String> {
        client::wait_for_completion(instance_id, millis(timeout)).map_err(from_generated)
    }

    pub(crate) fn signal_entity(entity: &EntityId, operation: &str, input: &str, deliver_at: Option<Timestamp>) -> Result<()> {
        client::signal_entity(&entity_id(entity), operation, input, deliver_at.map(at)).map_err(from_generated)
    }

    pub(crate) fn enqueue(queue: &str, messages: &[String], deliver_at: Option<Timestamp>) -> Result<()> {
        client::enqueue(queue, messages, deliver_at.map(at)).map_err(from_generated)
    }

    pub(crate) fn read_entity(entity: &EntityId) -> Result<Option<String>> {
        client::read_entity(&entity_id(entity)).map_err(from_generated)
    }

    pub(crate) fn list_entities(filter: &str) -> Result<String> {
        client::list_entities(filter).map_err(from_generated)
    }

    pub(crate) fn links(instance_id: &str) -> Result<String> {
        client::links(instance_id).map_err(from_generated)
    }
}

fn entity_id(entity: &EntityId) -> types::EntityId {
    types::EntityId { name: entity.name().to_owned(), key: entity.key().to_owned() }
}

pub(crate) fn retry_policy(policy: &RetryPolicy) -> types::RetryPolicy {
    types::RetryPolicy {
        max_attempts: policy.max_attempts,
        first_interval: millis(policy.first_interval),
        backoff_coefficient: policy.backoff_coefficient,
        max_interval: policy.max_interval.map(millis),
        timeout: policy.timeout.map(millis),
        non_retriable_error_types: policy.non_retriable_error_types.clone(),
    }
}

fn at(time: Timestamp) -> f64 {
    time.as_millis() as f64
}

fn millis(duration: std::time::Duration) -> f64 {
    duration.as_millis() as f64
}

pub(crate) fn to_generated(failure: Failure) -> types::Failure {
    let Failure { error_type, message, details, retriable } = failure;
    types::Failure { error_type, message, details, retriable }
}

pub(crate) fn from_generated(failure: types::Failure) -> Failure {
    let types::Failure { error_type, message, details, retriable } = failure;
    Failure { error_type, message, details, retriable }
}
