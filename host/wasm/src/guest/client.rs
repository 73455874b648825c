//! The durable client of activities and triggers.

use dacapo_core::execution::arguments;
use dacapo_core::guest::{ClientCall, ClientGrant, ClientMessage, ClientQuery, Start};
use dacapo_core::{Failure, InstanceId, Timestamp};

use crate::guest::activity::Activity;
use crate::guest::bindings::{client, types, wit_failure};

type Answer<T> = wasmtime::Result<Result<T, types::Failure>>;

impl Activity {
    /// Makes a call that needs the grant to read. `name` is its name in the contract.
    async fn query(
        &mut self,
        name: &str,
        operation: &'static str,
        parameters: Vec<(&'static str, String)>,
        options: String,
    ) -> Result<Option<String>, types::Failure> {
        let query = ClientQuery { operation, parameters, options };
        self.call(name, ClientGrant::Read, Ok(ClientCall::Query(query))).await
    }

    /// Makes a call that needs the grant to operate.
    async fn operate(&mut self, name: &str, call: Result<ClientCall, Failure>) -> Result<Option<String>, types::Failure> {
        self.call(name, ClientGrant::Operate, call).await
    }

    async fn call(
        &mut self,
        name: &str,
        needs: ClientGrant,
        call: Result<ClientCall, Failure>,
    ) -> Result<Option<String>, types::Failure> {
        let granted = self.require(needs, name).and(call);
        let called = match granted.map(|call| self.client.call(call)) {
            Ok(calling) => calling.await,
            Err(refusal) => Err(refusal),
        };
        called.map_err(wit_failure)
    }

    async fn send(&mut self, name: &str, to: Result<InstanceId, Failure>, message: ClientMessage) -> Answer<()> {
        let sent = self.operate(name, to.map(|to| ClientCall::Message { to, message })).await;
        Ok(sent.map(drop))
    }
}

fn entity(id: &types::EntityId) -> Result<InstanceId, Failure> {
    arguments::entity(&id.name, &id.key)
}

fn or_null(answer: Option<String>) -> String {
    answer.unwrap_or_else(|| "null".to_owned())
}

impl client::Host for Activity {
    async fn start_orchestration(
        &mut self,
        name: String,
        input: String,
        instance_id: Option<String>,
        version: Option<String>,
        start_at: Option<f64>,
    ) -> Answer<String> {
        let start = Start::parse(&name, input.into(), instance_id.as_deref(), version.as_deref());
        Ok(self.start(start.map(|start| Start { start_at: start_at.map(Timestamp::from_millis), ..start })).await)
    }

    async fn get_status(&mut self, instance_id: String, options: String) -> Answer<String> {
        let status = self.query("get-status", "getInstance", vec![("instanceId", instance_id)], options).await;
        Ok(status.map(or_null))
    }

    async fn list_instances(&mut self, filter: String) -> Answer<String> {
        Ok(self.query("list-instances", "listInstances", Vec::new(), filter).await.map(or_null))
    }

    async fn raise_event(&mut self, instance_id: String, name: String, data: String) -> Answer<()> {
        let message = ClientMessage::RaiseEvent { name, data: data.into() };
        self.send("raise-event", arguments::instance(&instance_id), message).await
    }

    async fn terminate(&mut self, instance_id: String, reason: String) -> Answer<()> {
        self.send("terminate", arguments::instance(&instance_id), ClientMessage::Terminate { reason }).await
    }

    async fn suspend(&mut self, instance_id: String, reason: String) -> Answer<()> {
        self.send("suspend", arguments::instance(&instance_id), ClientMessage::Suspend { reason }).await
    }

    async fn resume(&mut self, instance_id: String, reason: String) -> Answer<()> {
        self.send("resume", arguments::instance(&instance_id), ClientMessage::Resume { reason }).await
    }

    async fn rewind(&mut self, instance_id: String, reason: String) -> Answer<()> {
        self.send("rewind", arguments::instance(&instance_id), ClientMessage::Rewind { reason }).await
    }

    async fn restart(&mut self, instance_id: String, new_instance_id: Option<String>) -> Answer<String> {
        let call = arguments::instance(&instance_id).and_then(|id| {
            let new_id = new_instance_id.as_deref().map(arguments::orchestration).transpose()?;
            Ok(ClientCall::Restart { id, new_id })
        });
        Ok(self.operate("restart", call).await.map(Option::unwrap_or_default))
    }

    async fn purge(&mut self, instance_id: String) -> Answer<bool> {
        let call = arguments::instance(&instance_id).map(|id| ClientCall::Purge { id });
        Ok(self.operate("purge", call).await.map(|purged| purged.is_some()))
    }

    async fn purge_instances(&mut self, filter: String) -> Answer<u32> {
        let query = ClientQuery { operation: "purgeInstances", parameters: Vec::new(), options: filter };
        let purged = self.operate("purge-instances", Ok(ClientCall::Query(query))).await;
        let count = |body: String| {
            let body: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
            u32::try_from(body["instancesDeleted"].as_u64().unwrap_or(0)).unwrap_or(u32::MAX)
        };
        Ok(purged.map(|body| body.map_or(0, count)))
    }

    async fn wait_for_completion(&mut self, instance_id: String, timeout: f64) -> Answer<String> {
        let seconds = if timeout.is_nan() { 0.0 } else { (timeout / 1_000.0).clamp(0.0, WAIT_SECONDS_MAX) };
        let parameters = vec![("instanceId", instance_id), ("wait", seconds.to_string())];
        Ok(self.query("wait-for-completion", "getInstance", parameters, String::new()).await.map(or_null))
    }

    async fn signal_entity(
        &mut self,
        entity_id: types::EntityId,
        operation: String,
        input: String,
        deliver_at: Option<f64>,
    ) -> Answer<()> {
        let deliver_at = deliver_at.map(Timestamp::from_millis);
        let to = entity(&entity_id).and_then(|to| arguments::operation(&operation).map(|_| to));
        self.send("signal-entity", to, ClientMessage::Signal { operation, input: input.into(), deliver_at }).await
    }

    async fn enqueue(&mut self, queue: String, messages: Vec<String>, deliver_at: Option<f64>) -> Answer<()> {
        let deliver_at = deliver_at.map(Timestamp::from_millis);
        let put = self.operate("enqueue", Ok(ClientCall::Enqueue { queue, messages, deliver_at })).await;
        Ok(put.map(drop))
    }

    async fn read_entity(&mut self, entity_id: types::EntityId) -> Answer<Option<String>> {
        let call = entity(&entity_id).map(|id| ClientCall::ReadEntity { id });
        Ok(self.call("read-entity", ClientGrant::Read, call).await)
    }

    async fn list_entities(&mut self, filter: String) -> Answer<String> {
        Ok(self.query("list-entities", "listEntities", Vec::new(), filter).await.map(or_null))
    }

    async fn links(&mut self, instance_id: String) -> Answer<String> {
        let links = self.require(ClientGrant::Operate, "links").and_then(|()| {
            let none =
                || Err(Failure::permanent(Failure::UNAVAILABLE, "this host has no management links: it does not serve HTTP"));
            self.links_of(&instance_id).unwrap_or_else(none)
        });
        Ok(links.map_err(wit_failure))
    }
}

/// The longest wait: a trigger or activity is stopped before that.
const WAIT_SECONDS_MAX: f64 = 86_400.0;
