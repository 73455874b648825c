//! Tasks, which an orchestrator schedules and awaits.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as PollContext, Poll, ready};
use std::time::Duration;

use futures_core::FusedFuture;
use serde::de::DeserializeOwned;

use crate::executor::Run;
use crate::failure::{Failure, Result};
use crate::host::{Perform, TaskId, Work};
use crate::retry::RetryPolicy;

/// Something that an orchestrator schedules and that completes once, with a `Result<T>`.
///
/// Like every future in Rust a task is lazy: it is scheduled when it is first polled, for example by `.await`, `join!` or
/// [`when_all`](crate::when_all). [`start`](Task::start) schedules it at once, so that it runs while the orchestrator does
/// something else.
///
/// Dropping a timer or a wait for an event cancels it: a timer that lost a `select!` no longer fires, and a later event is
/// kept for the next wait. Dropping a started activity or sub-orchestration only discards its result.
///
/// ```no_run
/// use dacapo_sdk::prelude::*;
///
/// # #[activity] fn brew() -> Result<()> { Ok(()) }
/// # #[activity] fn toast() -> Result<()> { Ok(()) }
/// #[orchestrator]
/// async fn breakfast(ctx: Context) -> Result<()> {
///     let coffee = ctx.call_activity::<brew>(()).start(); // brews while the bread is toasted
///     ctx.call_activity::<toast>(()).await?;
///     coffee.await
/// }
/// ```
#[must_use = "a task is lazy: await it, or `start` it"]
pub struct Task<T> {
    run: Rc<Run>,
    state: State,
    output: PhantomData<fn() -> T>,
}

/// A durable timer. It completes when it fires.
pub type Timer = Task<()>;

enum State {
    /// An error here is an input that could not be written as JSON.
    Unscheduled(Result<Work>),
    Scheduled {
        task: TaskId,
        work: Work,
    },
    Done,
}

impl<T> Task<T> {
    pub(crate) fn new(run: Rc<Run>, work: Result<Work>) -> Self {
        Self { run, state: State::Unscheduled(work), output: PhantomData }
    }

    /// Schedules the task now, rather than when it is first polled.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # #[activity] fn brew() -> Result<()> { Ok(()) }
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let coffee = ctx.call_activity::<brew>(()).start();
    /// # coffee.await
    /// # }
    /// ```
    pub fn start(mut self) -> Self {
        self.schedule();
        self
    }

    /// Cancels a timer or a wait for an event, which then completes with the failure `Canceled`. Returns false, and does
    /// nothing, for activities, for sub-orchestrations and for completed tasks.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let mut alarm = ctx.create_timer(Duration::from_secs(3600)).start();
    /// assert!(alarm.cancel());
    /// assert!(alarm.await.unwrap_err().is("Canceled"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel(&mut self) -> bool {
        match &self.state {
            State::Unscheduled(Ok(work)) if work.is_cancellable() => {
                let canceled = Failure::new("Canceled", "the task was canceled before it was scheduled");
                self.state = State::Unscheduled(Err(canceled.not_retriable()));
                true
            }
            State::Scheduled { task, work } if work.is_cancellable() => self.run.host.cancel(*task),
            State::Unscheduled(_) | State::Scheduled { .. } | State::Done => false,
        }
    }

    /// Converts to a task whose output is left as JSON, so that tasks of different types fit into one list.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # #[activity] fn brew() -> Result<()> { Ok(()) }
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let done = when_any([
    ///     ctx.call_activity::<brew>(()).json(),
    ///     ctx.wait_for_external_event::<String>("TeaInstead").json(),
    ///     ctx.create_timer(Duration::from_secs(600)).json(),
    /// ]);
    /// let (index, output) = done.await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn json(mut self) -> Task<serde_json::Value> {
        Task::with_state(self.run.clone(), std::mem::replace(&mut self.state, State::Done))
    }

    fn with_state(run: Rc<Run>, state: State) -> Self {
        Self { run, state, output: PhantomData }
    }

    /// Changes the work, if it is not scheduled yet. Only builders call this, which are consumed by scheduling.
    fn configure(&mut self, change: impl FnOnce(&mut Work)) {
        if let State::Unscheduled(Ok(work)) = &mut self.state {
            change(work);
        }
    }

    fn schedule(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Done);
        self.state = match state {
            State::Unscheduled(Ok(work)) => State::Scheduled { task: self.run.host.schedule(&work), work },
            state => state,
        };
    }

    /// Drops the task, and performs `undo` when it has completed.
    pub(crate) fn abandon(&mut self, undo: impl Perform + 'static) {
        if let State::Scheduled { task, .. } = std::mem::replace(&mut self.state, State::Done) {
            self.run.abandon_task(task, Box::new(undo));
        }
    }

    /// Drops the task, and cancels it if possible. If it is a wait that completed together with the winner of a race, its unread
    /// event is put back for the next wait.
    fn give_up(&mut self) {
        if let State::Scheduled { task, work } = std::mem::replace(&mut self.state, State::Done) {
            self.run.forget_task(task);
            if work.is_cancellable() {
                self.run.host.cancel(task);
            }
            self.run.host.release(task);
        }
    }
}

impl<T: DeserializeOwned> Future for Task<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut PollContext<'_>) -> Poll<Result<T>> {
        let this = self.get_mut();
        this.schedule();
        let mut outcome = None;
        if let State::Scheduled { task, .. } = &this.state {
            ready!(this.run.poll_task(*task, context));
            outcome = this.run.host.outcome(*task);
            if outcome.is_none() {
                // While this wait was not polled, its event went to another wait, which was.
                return this.run.poll_task(*task, context).map(|()| unreachable!("it is ready once"));
            }
        }
        Poll::Ready(match std::mem::replace(&mut this.state, State::Done) {
            State::Scheduled { task, work } => {
                this.run.host.release(task);
                outcome.expect("it was asked for above").and_then(|json| decode(&work, &json))
            }
            State::Unscheduled(Err(failure)) => Err(failure),
            State::Unscheduled(Ok(_)) | State::Done => panic!("a task was polled after it had completed"),
        })
    }
}

impl<T: DeserializeOwned> FusedFuture for Task<T> {
    fn is_terminated(&self) -> bool {
        matches!(self.state, State::Done)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.give_up();
    }
}

fn decode<T: DeserializeOwned>(work: &Work, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| {
        let (error_type, what) = match work {
            Work::CallActivity { name, .. } | Work::CallSubOrchestrator { name, .. } => {
                ("InvalidOutput", format!("the output of `{name}`"))
            }
            Work::CreateTimer { .. } => ("InvalidOutput", "the output of a timer".to_owned()),
            Work::WaitForExternalEvent { name } => ("InvalidEventData", format!("the data of the event `{name}`")),
            Work::Other(work) => ("InvalidOutput", work.output()),
        };
        let expected = std::any::type_name::<T>();
        Failure::new(error_type, format!("{what} is not a {expected}: {error}")).details(json).not_retriable()
    })
}

/// The builders are tasks with options: this implements the methods and traits of a task for them.
macro_rules! task_builder {
    ($builder:ident) => {
        impl<T> $builder<T> {
            /// Schedules it now, rather than when it is first polled. See [`Task::start`].
            pub fn start(self) -> Task<T> {
                self.task.start()
            }

            /// Leaves the output as JSON. See [`Task::json`].
            pub fn json(self) -> Task<serde_json::Value> {
                self.task.json()
            }
        }

        impl<T: DeserializeOwned> Future for $builder<T> {
            type Output = Result<T>;

            fn poll(mut self: Pin<&mut Self>, context: &mut PollContext<'_>) -> Poll<Result<T>> {
                Pin::new(&mut self.task).poll(context)
            }
        }

        impl<T: DeserializeOwned> FusedFuture for $builder<T> {
            fn is_terminated(&self) -> bool {
                self.task.is_terminated()
            }
        }
    };
}

/// The call of an activity: a [`Task`] with options.
///
/// ```no_run
/// use dacapo_sdk::prelude::*;
///
/// # #[activity] fn charge(cents: u64) -> Result<String> { Ok(cents.to_string()) }
/// # async fn example(ctx: Context) -> Result<()> {
/// let receipt = ctx
///     .call_activity::<charge>(1999)
///     .retry(RetryPolicy::new(5, Duration::from_secs(1)).backoff(2.0).non_retriable("CardDeclined"))
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a call is lazy: await it, or `start` it"]
pub struct ActivityCall<T> {
    task: Task<T>,
}

impl<T> ActivityCall<T> {
    pub(crate) fn new(task: Task<T>) -> Self {
        Self { task }
    }

    /// Retries the activity if it fails.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # #[activity] fn charge(cents: u64) -> Result<String> { Ok(cents.to_string()) }
    /// # async fn example(ctx: Context) -> Result<()> {
    /// ctx.call_activity::<charge>(1999).retry(RetryPolicy::new(3, Duration::from_secs(1))).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.task.configure(|work| {
            if let Work::CallActivity { retry, .. } = work {
                *retry = Some(policy);
            }
        });
        self
    }
}

task_builder!(ActivityCall);

/// The call of a sub-orchestration: a [`Task`] with options.
///
/// ```no_run
/// use dacapo_sdk::prelude::*;
///
/// # #[orchestrator] async fn provision(ctx: Context, device: String) -> Result<()> { Ok(()) }
/// # async fn example(ctx: Context) -> Result<()> {
/// ctx.call_sub_orchestrator::<provision>("lamp".to_owned()).instance_id("provision-lamp").await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a call is lazy: await it, or `start` it"]
pub struct SubOrchestratorCall<T> {
    task: Task<T>,
}

impl<T> SubOrchestratorCall<T> {
    pub(crate) fn new(task: Task<T>) -> Self {
        Self { task }
    }

    /// Retries the child if it fails. Each attempt is a new instance.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # #[orchestrator] async fn provision(ctx: Context, device: String) -> Result<()> { Ok(()) }
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let policy = RetryPolicy::new(3, Duration::from_secs(60));
    /// ctx.call_sub_orchestrator::<provision>("lamp".to_owned()).retry(policy).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.task.configure(|work| {
            if let Work::CallSubOrchestrator { retry, .. } = work {
                *retry = Some(policy);
            }
        });
        self
    }

    /// Sets the instance id of the child. Without one the host derives it. If a live instance has this id, the call fails
    /// with `InstanceAlreadyExists`.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # #[orchestrator] async fn provision(ctx: Context, device: String) -> Result<()> { Ok(()) }
    /// # async fn example(ctx: Context) -> Result<()> {
    /// ctx.call_sub_orchestrator::<provision>("lamp".to_owned()).instance_id("provision-lamp").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.task.configure(|work| {
            if let Work::CallSubOrchestrator { instance_id, .. } = work {
                *instance_id = Some(id.into());
            }
        });
        self
    }

    /// Sets the version that the child asks for: it runs on the code that a client's start with this version would get, and
    /// reads the version with [`Context::version`](crate::Context::version). A child that asks for none runs on the code of
    /// its parent, if that has the function.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # #[orchestrator] async fn provision(ctx: Context, device: String) -> Result<()> { Ok(()) }
    /// # async fn example(ctx: Context) -> Result<()> {
    /// ctx.call_sub_orchestrator::<provision>("lamp".to_owned()).version("2.0").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn version(mut self, label: impl Into<String>) -> Self {
        self.task.configure(|work| {
            if let Work::CallSubOrchestrator { version, .. } = work {
                *version = Some(label.into());
            }
        });
        self
    }
}

task_builder!(SubOrchestratorCall);

/// A wait for an external event: a [`Task`] with options.
///
/// ```no_run
/// use dacapo_sdk::prelude::*;
///
/// # async fn example(ctx: Context) -> Result<()> {
/// let approved = ctx.wait_for_external_event::<bool>("Approval").await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a wait is lazy: await it, or `start` it"]
pub struct EventWait<T> {
    task: Task<T>,
}

impl<T> EventWait<T> {
    pub(crate) fn new(task: Task<T>) -> Self {
        Self { task }
    }

    /// Sets a timeout, which counts from this call. After it the output is `None`, and a later event is kept for the next wait.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let three_days = Duration::from_secs(72 * 3600);
    /// match ctx.wait_for_external_event::<bool>("Approval").timeout(three_days).await? {
    ///     Some(approved) => ctx.log_info(format!("the answer is {approved}")),
    ///     None => ctx.log_warn("nobody answered"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(self, timeout: Duration) -> EventWithTimeout<T> {
        let run = self.task.run.clone();
        let fire_at = run.host.current_time() + timeout;
        EventWithTimeout { event: self.task, timer: Task::new(run, Ok(Work::CreateTimer { fire_at })) }
    }
}

task_builder!(EventWait);

/// A wait for an external event with a timeout. Made by [`EventWait::timeout`]; completes with a
/// `Result<Option<T>>`.
#[must_use = "a wait is lazy: await it"]
pub struct EventWithTimeout<T> {
    event: Task<T>,
    timer: Timer,
}

impl<T: DeserializeOwned> Future for EventWithTimeout<T> {
    type Output = Result<Option<T>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut PollContext<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(data) = Pin::new(&mut self.event).poll(context) {
            self.timer.give_up();
            return Poll::Ready(data.map(Some));
        }
        ready!(Pin::new(&mut self.timer).poll(context))?;
        self.event.give_up();
        Poll::Ready(Ok(None))
    }
}

impl<T: DeserializeOwned> FusedFuture for EventWithTimeout<T> {
    fn is_terminated(&self) -> bool {
        self.event.is_terminated()
    }
}
