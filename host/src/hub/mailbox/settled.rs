//! A turn between its end and the moment when its commit is durable.

use std::sync::Arc;

use dacapo_core::commit::Timer;
use dacapo_core::execution::LogLine;
use dacapo_core::{InstanceRecord, Seq};
use dacapo_store::{PendingActivity, Receipt, StoreError};

use crate::hub::mailbox::Envelope;
use crate::hub::mailbox::hot::Hot;
use crate::hub::versions::catalog::Choice;
use crate::meters::Before;

/// A turn whose commit was handed to the store, and later the result of that.
pub(in crate::hub) struct Settled {
    pub before: Before,
    pub envelopes: Vec<Envelope>,
    pub hot: Option<Hot>,
    pub logs: Vec<LogLine>,
    pub record: Option<InstanceRecord>,
    /// Held until the version on which an execution began is saved.
    pub _choice: Option<Arc<Choice>>,
    pub activities: Vec<PendingActivity>,
    pub activities_cleared: Vec<Seq>,
    pub timers: Vec<Timer>,
    /// The approximate size of the commit.
    pub bytes: usize,
    /// The instance needs another turn, even if no message arrives.
    pub again: bool,
    pub vanishes: bool,
    pub announced: bool,
    pub result: Option<Result<Receipt, StoreError>>,
}

impl Settled {
    pub fn new(before: Before, envelopes: Vec<Envelope>, hot: Option<Hot>, logs: Vec<LogLine>) -> Self {
        Self {
            before,
            envelopes,
            hot,
            logs,
            record: None,
            _choice: None,
            activities: Vec::new(),
            activities_cleared: Vec::new(),
            timers: Vec::new(),
            bytes: 0,
            again: false,
            vanishes: false,
            announced: false,
            result: None,
        }
    }
}
