//! A test double of a task hub, for the durable client: it records what is asked, and answers as it is told. It implements the
//! contract's interface `client`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::client_call::ClientCall;
use crate::entity_id::EntityId;
use crate::failure::{Failure, Result};
use crate::status::OrchestrationStatus;

/// What the double knows, and what was asked of it.
#[derive(Default)]
pub(crate) struct ScriptedHub {
    pub(crate) instances: BTreeMap<String, OrchestrationStatus>,
    pub(crate) entities: BTreeMap<EntityId, Value>,
    /// The first that answers a call counts.
    pub(crate) answers: Vec<Box<Give>>,
    pub(crate) calls: Vec<ClientCall>,
    /// How many orchestrations were given an id.
    named: u32,
}

/// Answers a call, with JSON in the form of the contract; none if the answer is for other calls.
pub(crate) type Give = dyn FnMut(&ClientCall) -> Option<Result<Value>> + Send;

impl ScriptedHub {
    pub(crate) fn call(&mut self, call: ClientCall) -> Result<Value> {
        let answered = self.answers.iter_mut().find_map(|give| give(&call));
        let answer = answered.unwrap_or_else(|| self.default_answer(&call));
        self.calls.push(call);
        answer
    }

    /// Every message succeeds, and changes nothing.
    fn default_answer(&mut self, call: &ClientCall) -> Result<Value> {
        Ok(match call {
            ClientCall::StartOrchestration { instance_id: id, .. } | ClientCall::Restart { new_instance_id: id, .. } => {
                json!(id.clone().unwrap_or_else(|| self.new_id()))
            }
            ClientCall::GetStatus { instance_id, .. } | ClientCall::WaitForCompletion { instance_id, .. } => {
                json!(self.instances.get(instance_id))
            }
            ClientCall::ListInstances { .. } => {
                json!({ "instances": self.instances.values().collect::<Vec<_>>(), "continuationToken": null })
            }
            ClientCall::RaiseEvent { .. }
            | ClientCall::Terminate { .. }
            | ClientCall::Suspend { .. }
            | ClientCall::Resume { .. }
            | ClientCall::Rewind { .. }
            | ClientCall::SignalEntity { .. }
            | ClientCall::Enqueue { .. } => Value::Null,
            ClientCall::Purge { instance_id } => json!(self.instances.contains_key(instance_id)),
            ClientCall::PurgeInstances { .. } => json!(self.instances.len()),
            ClientCall::ReadEntity { entity } => json!(self.entities.get(entity)),
            ClientCall::ListEntities { .. } => {
                let listed = |(id, state): (&EntityId, &Value)| json!({ "entityId": { "name": id.name(), "key": id.key() }, "lastOperationTime": EPOCH, "state": state });
                json!({ "entities": self.entities.iter().map(listed).collect::<Vec<_>>(), "continuationToken": null })
            }
            ClientCall::ManagementLinks { instance_id } => links(instance_id),
        })
    }

    fn new_id(&mut self) -> String {
        self.named += 1;
        format!("instance-{}", self.named)
    }
}

const EPOCH: &str = "1970-01-01T00:00:00Z";

/// The links that a host on this machine gives.
fn links(id: &str) -> Value {
    let instance = format!("http://localhost:7071/runtime/webhooks/durabletask/instances/{id}");
    let link = |rest: &str| format!("{instance}{rest}taskHub=TestHubName&connection=Storage");
    json!({
        "id": id,
        "statusQueryGetUri": link("?"),
        "sendEventPostUri": link("/raiseEvent/{eventName}?"),
        "terminatePostUri": link("/terminate?reason={text}&"),
        "rewindPostUri": link("/rewind?reason={text}&"),
        "purgeHistoryDeleteUri": link("?"),
        "restartPostUri": link("/restart?"),
        "suspendPostUri": link("/suspend?reason={text}&"),
        "resumePostUri": link("/resume?reason={text}&"),
    })
}

impl fmt::Debug for ScriptedHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedHub").field("calls", &self.calls).finish_non_exhaustive()
    }
}

/// Where there is no double: nothing can be asked.
pub(crate) fn unsupported() -> Failure {
    let message = "the durable client is available only on a host; in a test, give the context that of a `ScriptedClient`";
    Failure::new("Unsupported", message).not_retriable()
}
