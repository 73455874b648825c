//! Guest calls: activities, sub-orchestrations, timers, sent events, the custom status, and continue-as-new.

use super::tasks::Work;
use super::{Execution, Stopped, TaskId, arguments};
use crate::retry::RetryPolicy;
use crate::{Event, Failure, FunctionName, InstanceId, Payload, Timestamp};

#[derive(Debug, Clone)]
pub(super) enum Target {
    Activity { name: FunctionName, input: Payload },
    SubOrchestration { name: FunctionName, input: Payload, version: String, instance: Option<InstanceId> },
}

#[derive(Debug)]
pub(super) struct Retry {
    policy: RetryPolicy,
    attempt: u32,
    first_started: Timestamp,
}

impl Retry {
    /// When the next attempt starts, or none if the failure is final.
    pub fn next(&self, now: Timestamp, failure: &Failure) -> Option<Timestamp> {
        self.policy.next_attempt(self.attempt, self.first_started, now, failure)
    }

    /// Begins the next attempt and returns its number.
    pub fn begin(&mut self) -> u32 {
        self.attempt += 1;
        self.attempt
    }
}

impl Execution {
    pub fn call_activity(&mut self, name: &str, input: Payload, retry: Option<RetryPolicy>) -> Result<TaskId, Stopped> {
        self.check("the input of an activity", &input)?;
        match arguments::function(name) {
            Ok(name) => self.call(Target::Activity { name, input }, retry),
            Err(why) => self.refused(why),
        }
    }

    pub fn call_sub_orchestrator(
        &mut self,
        name: &str,
        input: Payload,
        instance: Option<&str>,
        retry: Option<RetryPolicy>,
    ) -> Result<TaskId, Stopped> {
        self.call_sub_orchestrator_with_version(name, input, "", instance, retry)
    }

    /// `version` is the requested label of the child; empty for none.
    pub fn call_sub_orchestrator_with_version(
        &mut self,
        name: &str,
        input: Payload,
        version: &str,
        instance: Option<&str>,
        retry: Option<RetryPolicy>,
    ) -> Result<TaskId, Stopped> {
        self.check("the input of a sub-orchestration", &input)?;
        self.check_may_call_child()?;
        let called = || Ok((arguments::function(name)?, arguments::version(version)?, self.child_id(instance)?));
        match called() {
            Ok((name, version, instance)) => self.call(Target::SubOrchestration { name, input, version, instance }, retry),
            Err(why) => self.refused(why),
        }
    }

    fn call(&mut self, target: Target, retry: Option<RetryPolicy>) -> Result<TaskId, Stopped> {
        let retry = retry.map(|policy| Box::new(Retry { policy, attempt: 1, first_started: self.now }));
        let id = self.add_task(Work::Call { target: target.clone(), retry })?;
        self.take_call(&target, 1, id)?;
        Ok(id)
    }

    pub(super) fn take_call(&mut self, target: &Target, attempt: u32, owner: TaskId) -> Result<(), Stopped> {
        let seq = self.next_seq();
        let action = match target.clone() {
            Target::Activity { name, input } => Event::TaskScheduled { seq, name, input, attempt },
            Target::SubOrchestration { name, input, version, instance } => {
                let instance = instance.unwrap_or_else(|| InstanceId::of_child(self.context.execution, seq));
                Event::SubOrchestrationInstanceCreated { seq, name, instance, input, version, detached: false }
            }
        };
        self.take_owned(owner, action)
    }

    pub fn create_timer(&mut self, fire_at: Timestamp) -> Result<TaskId, Stopped> {
        let id = self.add_task(Work::Timer { seq: self.next_seq() })?;
        self.take_timer(fire_at, id)?;
        Ok(id)
    }

    /// Returns the id of the instance that will run.
    pub fn start_orchestration(&mut self, name: &str, input: Payload, instance: Option<&str>) -> Result<InstanceId, Stopped> {
        let name = self.checked(arguments::function(name))?;
        self.check("the input of an orchestration", &input)?;
        let seq = self.next_seq();
        let asked = self.checked(self.child_id(instance))?;
        let instance = asked.unwrap_or_else(|| InstanceId::of_child(self.context.execution, seq));
        let (started, version) = (instance.clone(), String::new());
        self.take(Event::SubOrchestrationInstanceCreated { seq, name, instance, input, version, detached: true })?;
        Ok(started)
    }

    pub fn send_event(&mut self, instance: &str, name: &str, data: Payload) -> Result<(), Stopped> {
        self.check("the data of an event", &data)?;
        let name = self.checked(arguments::event(name))?;
        let instance = self.checked(arguments::instance(instance))?;
        self.take(Event::EventSent { seq: self.next_seq(), instance, name, data })
    }

    pub fn continue_as_new(&mut self, input: Payload) -> Result<(), Stopped> {
        self.check("the input of continue-as-new", &input)?;
        self.continue_as_new = Some(input);
        Ok(())
    }

    pub fn set_custom_status(&mut self, status: Payload) -> Result<(), Stopped> {
        let max = self.limits.custom_status_bytes;
        if status.len() > max {
            let message = format!("the custom status has {} bytes, {max} are allowed (custom_status_bytes)", status.len());
            return Err(self.stop(Failure::permanent(Failure::LIMIT_EXCEEDED, message)));
        }
        self.check("the custom status", &status)?;
        self.custom_status = Some(status);
        Ok(())
    }

    fn child_id(&self, id: Option<&str>) -> Result<Option<InstanceId>, Failure> {
        let Some(id) = id else { return Ok(None) };
        let parsed = match arguments::orchestration(id) {
            // A recorded id was valid when it was recorded.
            Err(_) if self.has_recorded_child(id) => arguments::instance(id)?,
            parsed => parsed?,
        };
        if parsed == self.context.instance || self.context.parent.as_ref().is_some_and(|parent| parent.instance == parsed) {
            let message = format!("'{id}' is the id of this instance or its parent: a child needs another");
            return Err(arguments::invalid(message));
        }
        Ok(Some(parsed))
    }
}
