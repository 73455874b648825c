//! The interface `orchestration`, for orchestrators and, as far as it does not wait, for entities.

use dacapo_core::execution::TaskId;
use dacapo_core::{Payload, Timestamp};
use wasmtime::component::Resource;

use crate::guest::bindings::{self, Task, orchestration, types};
use crate::guest::deterministic::Deterministic;

fn task_id(task: &Resource<Task>) -> TaskId {
    TaskId(task.rep())
}

fn handle(task: TaskId) -> Resource<Task> {
    Resource::new_own(task.0)
}

const RANDOM_BYTES_MAX: u32 = 65_536;

impl orchestration::HostTask for Deterministic {
    fn outcome(&mut self, task: Resource<Task>) -> wasmtime::Result<Option<Result<String, types::Failure>>> {
        let outcome = self.shared.execution("task.outcome")?.outcome(task_id(&task)).map(bindings::wit_outcome);
        self.shared.spend(outcome.as_ref().map_or(0, |outcome| outcome.as_ref().map_or(0, String::len)))?;
        Ok(outcome)
    }

    fn cancel(&mut self, task: Resource<Task>) -> wasmtime::Result<bool> {
        self.shared.spend(0)?;
        Ok(self.shared.execution("task.cancel")?.cancel(task_id(&task)))
    }

    fn watch(&mut self, task: Resource<Task>, key: u32) -> wasmtime::Result<()> {
        self.shared.spend(0)?;
        self.shared.execution("task.watch")?.watch(task_id(&task), key);
        Ok(())
    }

    fn unwatch(&mut self, task: Resource<Task>) -> wasmtime::Result<()> {
        self.shared.spend(0)?;
        self.shared.execution("task.unwatch")?.unwatch(task_id(&task));
        Ok(())
    }

    fn drop(&mut self, task: Resource<Task>) -> wasmtime::Result<()> {
        self.shared.execution("task.drop")?.release(task_id(&task));
        Ok(())
    }
}

impl orchestration::Host for Deterministic {
    fn wait(&mut self, _tasks: Vec<Resource<Task>>) -> wasmtime::Result<Vec<u32>> {
        unreachable!("the linker defines another `wait`")
    }

    fn wait_watched(&mut self) -> wasmtime::Result<Vec<u32>> {
        unreachable!("the linker defines another `wait-watched`")
    }

    fn call_activity(
        &mut self,
        name: String,
        input: String,
        retry: Option<types::RetryPolicy>,
    ) -> wasmtime::Result<Resource<Task>> {
        self.shared.spend(input.len())?;
        let retry = retry.map(bindings::retry_policy_of);
        Ok(handle(self.shared.execution("call-activity")?.call_activity(&name, input.into(), retry)?))
    }

    fn call_sub_orchestrator(
        &mut self,
        name: String,
        input: String,
        instance_id: Option<String>,
        retry: Option<types::RetryPolicy>,
    ) -> wasmtime::Result<Resource<Task>> {
        self.call_sub_orchestrator_with_version(name, input, String::new(), instance_id, retry)
    }

    fn call_sub_orchestrator_with_version(
        &mut self,
        name: String,
        input: String,
        version: String,
        instance_id: Option<String>,
        retry: Option<types::RetryPolicy>,
    ) -> wasmtime::Result<Resource<Task>> {
        self.shared.spend(input.len())?;
        let retry = retry.map(bindings::retry_policy_of);
        Ok(handle(self.shared.execution("call-sub-orchestrator")?.call_sub_orchestrator_with_version(
            &name,
            input.into(),
            &version,
            instance_id.as_deref(),
            retry,
        )?))
    }

    fn create_timer(&mut self, fire_at: f64) -> wasmtime::Result<Resource<Task>> {
        self.shared.spend(0)?;
        Ok(handle(self.shared.execution("create-timer")?.create_timer(Timestamp::from_millis(fire_at))?))
    }

    fn wait_for_external_event(&mut self, name: String) -> wasmtime::Result<Resource<Task>> {
        self.shared.spend(0)?;
        Ok(handle(self.shared.execution("wait-for-external-event")?.wait_for_external_event(&name)?))
    }

    fn start_orchestration(&mut self, name: String, input: String, instance_id: Option<String>) -> wasmtime::Result<String> {
        self.shared.spend(input.len())?;
        let (input, id) = (Payload::from(input), instance_id.as_deref());
        let started = self.shared.either(
            |execution| execution.start_orchestration(&name, input.clone(), id),
            |operation| operation.start_orchestration(&name, input.clone(), id),
        );
        Ok(started?.to_string())
    }

    fn send_event(&mut self, instance_id: String, name: String, data: String) -> wasmtime::Result<()> {
        self.shared.spend(data.len())?;
        let data = Payload::from(data);
        let sent = self.shared.either(
            |execution| execution.send_event(&instance_id, &name, data.clone()),
            |operation| operation.send_event(&instance_id, &name, data.clone()),
        );
        Ok(sent?)
    }

    fn call_entity(&mut self, entity: types::EntityId, operation: String, input: String) -> wasmtime::Result<Resource<Task>> {
        self.shared.spend(input.len())?;
        Ok(handle(self.shared.execution("call-entity")?.call_entity(&entity.name, &entity.key, &operation, input.into())?))
    }

    fn signal_entity(
        &mut self,
        entity: types::EntityId,
        operation: String,
        input: String,
        deliver_at: Option<f64>,
    ) -> wasmtime::Result<()> {
        self.shared.spend(input.len())?;
        let (name, key, input, at) = (entity.name, entity.key, Payload::from(input), deliver_at.map(Timestamp::from_millis));
        let sent = self.shared.either(
            |execution| execution.signal_entity(&name, &key, &operation, input.clone(), at),
            |scope| scope.signal_entity(&name, &key, &operation, input.clone(), at),
        );
        Ok(sent?)
    }

    fn lock_entities(&mut self, entities: Vec<types::EntityId>) -> wasmtime::Result<Resource<Task>> {
        self.shared.spend(0)?;
        let entities: Vec<_> = entities.into_iter().map(|entity| (entity.name, entity.key)).collect();
        Ok(handle(self.shared.execution("lock-entities")?.lock_entities(&entities)?))
    }

    fn unlock_entities(&mut self) -> wasmtime::Result<bool> {
        self.shared.spend(0)?;
        // An operation is in no critical section of its own.
        Ok(self.shared.either(|execution| execution.unlock_entities(), |_operation| Ok(false))?)
    }

    fn call_http(&mut self, request: String) -> wasmtime::Result<Resource<Task>> {
        self.shared.spend(request.len())?;
        Ok(handle(self.shared.execution("call-http")?.call_http(request.into())?))
    }

    fn continue_as_new(&mut self, input: String) -> wasmtime::Result<()> {
        self.shared.spend(input.len())?;
        Ok(self.shared.execution("continue-as-new")?.continue_as_new(input.into())?)
    }

    fn set_custom_status(&mut self, status: String) -> wasmtime::Result<()> {
        self.shared.spend(status.len())?;
        Ok(self.shared.execution("set-custom-status")?.set_custom_status(Payload::from(status))?)
    }

    fn instance_id(&mut self) -> wasmtime::Result<String> {
        self.shared.spend(0)?;
        Ok(self.shared.either(|e| e.context().instance.to_string(), |o| o.entity.to_string()))
    }

    fn execution_id(&mut self) -> wasmtime::Result<String> {
        self.shared.spend(0)?;
        Ok(self.shared.execution_id().to_string())
    }

    fn parent(&mut self) -> wasmtime::Result<Option<types::ParentInstance>> {
        self.shared.spend(0)?;
        Ok(self.shared.either(|e| e.context().parent.as_ref().map(bindings::wit_parent), |_| None))
    }

    fn version(&mut self) -> wasmtime::Result<String> {
        self.shared.spend(0)?;
        Ok(self.shared.either(|e| e.context().version_label.clone(), |_| String::new()))
    }

    fn current_time(&mut self) -> wasmtime::Result<f64> {
        self.shared.spend(0)?;
        Ok(self.shared.current_time().as_millis())
    }

    fn new_guid(&mut self) -> wasmtime::Result<String> {
        self.shared.spend(0)?;
        Ok(self.shared.either(|e| e.new_guid(), |o| o.new_guid()).to_string())
    }

    fn random_bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.shared.spend(length as usize)?;
        if length > RANDOM_BYTES_MAX {
            wasmtime::bail!("it asked for {length} random bytes, {RANDOM_BYTES_MAX} are allowed at a time");
        }
        let mut bytes = vec![0; length as usize];
        self.shared.random_bytes(&mut bytes);
        Ok(bytes)
    }

    fn is_replaying(&mut self) -> wasmtime::Result<bool> {
        self.shared.spend(0)?;
        Ok(self.shared.either(|e| e.is_replaying(), |_| false))
    }
}
