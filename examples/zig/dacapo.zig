//! Durable orchestrations in Zig: bindings of the contract `dacapo:guest@0.1.0` to its canonical ABI, and a small API for apps.
//!
//! Values cross the boundary as JSON: any type that `std.json` reads and writes can be an input, an output, or event data.
//! Nothing is freed: each run has its own memory, which is discarded at its end.

const std = @import("std");

/// The allocator for all memory, also for apps.
pub const allocator = std.heap.wasm_allocator;

/// Why a function did not succeed.
pub const Failure = struct {
    /// A short name that callers match on.
    error_type: []const u8,
    /// One sentence for people.
    message: []const u8,
    details: ?[]const u8 = null,
    /// Whether a retry policy may try again.
    retriable: bool = false,
};

/// The failure behind the last `error.Failed`.
pub var failure: Failure = .{ .error_type = "Failed", .message = "it failed and did not say why" };

/// `return dacapo.fail(.{ .error_type = "NotFound", .message = "there is no such order" });`
pub fn fail(why: Failure) error{Failed} {
    failure = why;
    return error.Failed;
}

/// One call of an activity. An activity that needs it takes it as its first parameter.
pub const Call = struct {
    instance_id: []const u8,
    /// Together with the instance id, an idempotency key: the same when the call is repeated after a crash.
    task_id: u32,
    /// 1 for the first attempt under the caller's retry policy, then 2, and so on.
    attempt: u32,
};

/// One call of a trigger. A trigger that needs it takes it as its first parameter.
pub const TriggerCall = struct {
    /// An idempotency key: the same when the call is repeated, for example because a message is delivered again.
    invocation_id: []const u8,
    /// 1 for the first time that the call is made, then 2, and so on.
    attempt: u32,
};

/// All times are in milliseconds.
pub const RetryPolicy = struct {
    max_attempts: u32,
    first_interval: f64,
    backoff_coefficient: f64 = 1,
    max_interval: ?f64 = null,
    timeout: ?f64 = null,
    non_retriable_error_types: []const []const u8 = &.{},
};

/// Something that was scheduled and completes once, with a `T`.
pub fn Task(comptime T: type) type {
    return struct {
        handle: Handle,

        /// Waits until the task has completed, and returns its value. On `error.Failed`, see `dacapo.failure`.
        pub fn wait(task: @This()) error{Failed}!T {
            var outcome: Option(Result) = undefined;
            host.@"[method]task.outcome"(task.handle, &outcome);
            if (!outcome.is_some) {
                _ = waitAny(.{task});
                return task.wait();
            }
            if (outcome.value.is_err) return fail(outcome.value.value.err.lift());
            return parse(T, outcome.value.value.ok.slice());
        }

        /// Cancels a timer or a wait for an event. Returns false if it has completed already.
        pub fn cancel(task: @This()) bool {
            return host.@"[method]task.cancel"(task.handle);
        }
    };
}

pub fn callActivity(comptime T: type, name: []const u8, input: anytype) Task(T) {
    return .{ .handle = schedule(name, stringify(input), null) };
}

pub fn callActivityWithRetry(comptime T: type, name: []const u8, input: anytype, policy: RetryPolicy) Task(T) {
    return .{ .handle = schedule(name, stringify(input), policy) };
}

/// Schedules a timer. `fire_at` is in milliseconds since 1970.
pub fn createTimer(fire_at: f64) Task(void) {
    return .{ .handle = host.@"create-timer"(fire_at) };
}

pub fn waitForExternalEvent(comptime T: type, name: []const u8) Task(T) {
    const event = wellFormed(name);
    return .{ .handle = host.@"wait-for-external-event"(event.ptr, event.len) };
}

/// The current time, in milliseconds since 1970: the time of the turn, the same on replay.
pub fn currentTime() f64 {
    return host.@"current-time"();
}

/// Waits until a task of the tuple has completed, and returns the index of the one that completed first.
pub fn waitAny(tasks: anytype) usize {
    var handles: [tasks.len]Handle = undefined;
    inline for (tasks, &handles) |task, *handle| handle.* = task.handle;
    var completed: Slice(u32) = undefined;
    host.wait(&handles, handles.len, &completed);
    return completed.ptr[0];
}

/// The durable client of the app's own task hub, for activities and triggers. A refusal is a failure with a type, such as
/// `InstanceNotFound` or `NotGranted`. A `T` is what a status or a page is read as; options and filters are structs, whose fields
/// are named in the contract, for example `.{ .runtimeStatus = .{"Failed"}, .top = 10 }`.
pub const client = struct {
    pub const Start = struct {
        /// Without one the host derives it from the call.
        instance_id: ?[]const u8 = null,
        version: ?[]const u8 = null,
        /// The orchestration does not begin before this time, in milliseconds since 1970.
        start_at: ?f64 = null,
    };

    pub const Entity = struct { name: []const u8, key: []const u8 };

    /// Starts an orchestration, and returns its instance id.
    pub fn startOrchestration(called: []const u8, input: anytype, start: Start) error{Failed}![]const u8 {
        const name, const given = .{ wellFormed(called), stringify(input) };
        const id, const version = .{ wellFormed(start.instance_id orelse ""), wellFormed(start.version orelse "") };
        var answer: Answer(Slice(u8)) = undefined;
        client_host.@"start-orchestration"(
            name.ptr,
            name.len,
            given.ptr,
            given.len,
            start.instance_id != null,
            id.ptr,
            id.len,
            start.version != null,
            version.ptr,
            version.len,
            start.start_at != null,
            start.start_at orelse 0,
            &answer,
        );
        return (try answer.get()).slice();
    }

    /// The status of an instance; `null` if there is none.
    pub fn getStatus(comptime T: type, instance_id: []const u8, options: anytype) error{Failed}!T {
        const id, const given = .{ wellFormed(instance_id), stringify(options) };
        var answer: Answer(Slice(u8)) = undefined;
        client_host.@"get-status"(id.ptr, id.len, given.ptr, given.len, &answer);
        return parse(T, (try answer.get()).slice());
    }

    /// A page: `instances` and `continuationToken`.
    pub fn listInstances(comptime T: type, filter: anytype) error{Failed}!T {
        const given = stringify(filter);
        var answer: Answer(Slice(u8)) = undefined;
        client_host.@"list-instances"(given.ptr, given.len, &answer);
        return parse(T, (try answer.get()).slice());
    }

    pub fn raiseEvent(instance_id: []const u8, event: []const u8, data: anytype) error{Failed}!void {
        const id, const name, const given = .{ wellFormed(instance_id), wellFormed(event), stringify(data) };
        var answer: Answer(u8) = undefined;
        client_host.@"raise-event"(id.ptr, id.len, name.ptr, name.len, given.ptr, given.len, &answer);
        _ = try answer.get();
    }

    pub fn terminate(instance_id: []const u8, reason: []const u8) error{Failed}!void {
        return steer(client_host.terminate, instance_id, reason);
    }

    pub fn @"suspend"(instance_id: []const u8, reason: []const u8) error{Failed}!void {
        return steer(client_host.@"suspend", instance_id, reason);
    }

    pub fn @"resume"(instance_id: []const u8, reason: []const u8) error{Failed}!void {
        return steer(client_host.@"resume", instance_id, reason);
    }

    /// Brings a failed instance back to the state before its failure.
    pub fn rewind(instance_id: []const u8, reason: []const u8) error{Failed}!void {
        return steer(client_host.rewind, instance_id, reason);
    }

    fn steer(comptime import: anytype, instance_id: []const u8, given_reason: []const u8) error{Failed}!void {
        const id, const reason = .{ wellFormed(instance_id), wellFormed(given_reason) };
        var answer: Answer(u8) = undefined;
        import(id.ptr, id.len, reason.ptr, reason.len, &answer);
        _ = try answer.get();
    }

    /// Starts an orchestration anew, and returns the id of the new instance: this one, or one that the host generates.
    pub fn restart(instance_id: []const u8, new_instance_id: ?[]const u8) error{Failed}![]const u8 {
        const id, const new_id = .{ wellFormed(instance_id), wellFormed(new_instance_id orelse "") };
        var answer: Answer(Slice(u8)) = undefined;
        client_host.restart(id.ptr, id.len, new_instance_id != null, new_id.ptr, new_id.len, &answer);
        return (try answer.get()).slice();
    }

    /// Removes an instance that has ended, or an entity. Returns whether there was one.
    pub fn purge(instance_id: []const u8) error{Failed}!bool {
        const id = wellFormed(instance_id);
        var answer: Answer(bool) = undefined;
        client_host.purge(id.ptr, id.len, &answer);
        return answer.get();
    }

    /// Removes all instances that match and have ended, and returns how many. The filter needs `createdTimeFrom`.
    pub fn purgeInstances(filter: anytype) error{Failed}!u32 {
        const given = stringify(filter);
        var answer: Answer(u32) = undefined;
        client_host.@"purge-instances"(given.ptr, given.len, &answer);
        return answer.get();
    }

    /// Waits until an instance has ended, at most so many milliseconds, and returns its status then; `null` if there is none.
    pub fn waitForCompletion(comptime T: type, instance_id: []const u8, timeout: f64) error{Failed}!T {
        const id = wellFormed(instance_id);
        var answer: Answer(Slice(u8)) = undefined;
        client_host.@"wait-for-completion"(id.ptr, id.len, timeout, &answer);
        return parse(T, (try answer.get()).slice());
    }

    /// Sends a one-way operation to an entity, which is delivered at once, or not before `deliver_at`.
    pub fn signalEntity(entity: Entity, called: []const u8, input: anytype, deliver_at: ?f64) error{Failed}!void {
        const name, const key = .{ wellFormed(entity.name), wellFormed(entity.key) };
        const operation, const given = .{ wellFormed(called), stringify(input) };
        var answer: Answer(u8) = undefined;
        client_host.@"signal-entity"(
            name.ptr,
            name.len,
            key.ptr,
            key.len,
            operation.ptr,
            operation.len,
            given.ptr,
            given.len,
            deliver_at != null,
            deliver_at orelse 0,
            &answer,
        );
        _ = try answer.get();
    }

    /// The state of an entity, if there is one.
    pub fn readEntity(comptime T: type, entity: Entity) error{Failed}!?T {
        const name, const key = .{ wellFormed(entity.name), wellFormed(entity.key) };
        var answer: Answer(Option(Slice(u8))) = undefined;
        client_host.@"read-entity"(name.ptr, name.len, key.ptr, key.len, &answer);
        const state = try answer.get();
        return if (state.is_some) try parse(T, state.value.slice()) else null;
    }

    /// A page: `entities` and `continuationToken`.
    pub fn listEntities(comptime T: type, filter: anytype) error{Failed}!T {
        const given = stringify(filter);
        var answer: Answer(Slice(u8)) = undefined;
        client_host.@"list-entities"(given.ptr, given.len, &answer);
        return parse(T, (try answer.get()).slice());
    }

    /// The links for managing an instance over HTTP.
    pub fn links(comptime T: type, instance_id: []const u8) error{Failed}!T {
        const id = wellFormed(instance_id);
        var answer: Answer(Slice(u8)) = undefined;
        client_host.links(id.ptr, id.len, &answer);
        return parse(T, (try answer.get()).slice());
    }
};

pub const Level = enum(u32) { trace, debug, info, warn, err };

/// Writes a line to the host's log. A replay does not write it again.
pub fn log(level: Level, comptime format: []const u8, arguments: anytype) void {
    const line = wellFormed(std.fmt.allocPrint(allocator, format, arguments) catch return);
    host.log(@backingInt(level), line.ptr, line.len);
}

/// The panic handler; an app sets it with `pub const panic = dacapo.panic;`. The host makes the failure from the logged line.
pub const panic = std.debug.FullPanic(struct {
    fn panic(message: []const u8, _: ?usize) noreturn {
        log(.err, "panicked at app.zig: {s}", .{message});
        @trap();
    }
}.panic);

/// Makes an app of two structs, whose public functions are its orchestrators and its activities. A function takes its input,
/// or nothing; an activity may take a `Call` before it. It returns its output, or an error.
pub fn app(comptime orchestrators: type, comptime activities: type) void {
    const Exports = struct {
        const functions = functionsOf(orchestrators, .orchestrator) ++ functionsOf(activities, .activity);
        const described: Slice(Function) = .of(&functions);

        fn describe() callconv(.c) *const Slice(Function) {
            return &described;
        }

        fn runOrchestrator(name: [*]u8, name_len: usize, input: [*]u8, input_len: usize) callconv(.c) *const Result {
            return run(orchestrators, name[0..name_len], input[0..input_len], {});
        }

        fn runActivity(
            name: [*]u8,
            name_len: usize,
            input: [*]u8,
            input_len: usize,
            instance_id: [*]u8,
            instance_id_len: usize,
            task_id: u32,
            attempt: u32,
        ) callconv(.c) *const Result {
            const call: Call = .{ .instance_id = instance_id[0..instance_id_len], .task_id = task_id, .attempt = attempt };
            return run(activities, name[0..name_len], input[0..input_len], call);
        }
    };
    @export(&Exports.describe, .{ .name = "describe" });
    @export(&Exports.runOrchestrator, .{ .name = "run-orchestrator" });
    @export(&Exports.runActivity, .{ .name = "run-activity" });
    @export(&reallocate, .{ .name = "cabi_realloc" });
}

/// Adds triggers to an app: the public functions of a struct, with their bindings as JSON, in the form of a `function.json` of Azure
/// Functions. A trigger takes its input, as `run-trigger` of the contract describes it, or nothing, and may take a `TriggerCall`
/// before it. It returns its output: `void`, or a struct with `response` or `outputs` or both.
///
///     dacapo.triggers(triggers, .{
///         .place_order = "[{\"type\":\"httpTrigger\",\"name\":\"req\",\"direction\":\"in\"}]",
///     });
pub fn triggers(comptime functions: type, comptime bindings: anytype) void {
    const Exports = struct {
        const list = triggersOf(functions, bindings);
        const described: Slice(Trigger) = .of(&list);

        fn describeTriggers() callconv(.c) *const Slice(Trigger) {
            return &described;
        }

        fn runTrigger(
            name: [*]u8,
            name_len: usize,
            input: [*]u8,
            input_len: usize,
            invocation_id: [*]u8,
            invocation_id_len: usize,
            attempt: u32,
        ) callconv(.c) *const Result {
            const call: TriggerCall = .{ .invocation_id = invocation_id[0..invocation_id_len], .attempt = attempt };
            return run(functions, name[0..name_len], input[0..input_len], call);
        }
    };
    @export(&Exports.describeTriggers, .{ .name = "describe-triggers" });
    @export(&Exports.runTrigger, .{ .name = "run-trigger" });
}

fn functionsOf(comptime functions: type, comptime kind: Kind) [namesOf(functions).len]Function {
    var list: [namesOf(functions).len]Function = undefined;
    for (namesOf(functions), &list) |name, *function| function.* = .{ .name = .of(name), .kind = kind };
    return list;
}

fn triggersOf(comptime functions: type, comptime bindings: anytype) [namesOf(functions).len]Trigger {
    var list: [namesOf(functions).len]Trigger = undefined;
    for (namesOf(functions), &list) |name, *trigger| trigger.* = .{ .name = .of(name), .bindings = .of(@field(bindings, name)) };
    return list;
}

fn namesOf(comptime functions: type) []const [:0]const u8 {
    return @typeInfo(functions).@"struct".decl_names;
}

/// Runs the function with this name. The host calls only functions that it knows from a description. `call` is that of an
/// activity or a trigger.
fn run(comptime functions: type, name: []const u8, input: []const u8, call: anytype) *const Result {
    const result = allocator.create(Result) catch outOfMemory();
    inline for (comptime namesOf(functions)) |known| {
        if (std.mem.eql(u8, known, name)) {
            result.* = if (apply(@field(functions, known), input, call)) |output| .ok(output) else |why| .err(reasonOf(why));
            return result;
        }
    }
    unreachable;
}

/// Calls a function with the parameters that it declares, and returns its output as JSON.
fn apply(comptime function: anytype, input: []const u8, call: anytype) anyerror![]const u8 {
    var arguments: std.meta.ArgsTuple(@TypeOf(function)) = undefined;
    inline for (&arguments) |*argument| {
        const T = @TypeOf(argument.*);
        argument.* = if (T == @TypeOf(call) and T != void) call else try parse(T, input);
    }
    const output = @call(.auto, function, arguments);
    return stringify(if (@typeInfo(@TypeOf(output)) == .error_union) try output else output);
}

/// Makes the failure of an error. An error that `fail` did not make has only its name.
fn reasonOf(why: anyerror) Failure {
    return if (why == error.Failed) failure else .{ .error_type = @errorName(why), .message = @errorName(why) };
}

fn parse(comptime T: type, json: []const u8) error{Failed}!T {
    if (T == void) return;
    return std.json.parseFromSliceLeaky(T, allocator, json, .{ .ignore_unknown_fields = true }) catch |why| fail(.{
        .error_type = "UnexpectedJson",
        .message = "what was given is no " ++ @typeName(T),
        .details = std.fmt.allocPrint(allocator, "{t}: {s}", .{ why, json }) catch outOfMemory(),
    });
}

fn stringify(value: anytype) []const u8 {
    if (@TypeOf(value) == void) return "null";
    return std.json.Stringify.valueAlloc(allocator, value, .{}) catch outOfMemory();
}

/// Replaces invalid UTF-8, which would trap, with U+FFFD.
fn wellFormed(text: []const u8) []const u8 {
    if (std.unicode.utf8ValidateSlice(text)) return text;
    return std.fmt.allocPrint(allocator, "{f}", .{std.unicode.fmtUtf8(text)}) catch outOfMemory();
}

fn schedule(called: []const u8, input: []const u8, retry: ?RetryPolicy) Handle {
    const name = wellFormed(called);
    const policy = retry orelse RetryPolicy{ .max_attempts = 1, .first_interval = 0 };
    const types = allocator.alloc(Slice(u8), policy.non_retriable_error_types.len) catch outOfMemory();
    for (types, policy.non_retriable_error_types) |*to, from| to.* = .of(from);
    const non_retriable: Slice(Slice(u8)) = .of(types);
    return host.@"call-activity"(
        name.ptr,
        name.len,
        input.ptr,
        input.len,
        retry != null,
        policy.max_attempts,
        policy.first_interval,
        policy.backoff_coefficient,
        policy.max_interval != null,
        policy.max_interval orelse 0,
        policy.timeout != null,
        policy.timeout orelse 0,
        non_retriable.ptr,
        non_retriable.len,
    );
}

fn outOfMemory() noreturn {
    @panic("out of memory");
}

// The canonical ABI. Values in memory have the layout of C; strings and lists are an address and a length; a result that does
// not fit into one value is returned in memory.

const Handle = i32;

const Kind = enum(u8) { orchestrator, activity, entity };

const Function = extern struct { name: Slice(u8), kind: Kind };

const Trigger = extern struct { name: Slice(u8), bindings: Slice(u8) };

/// The result of an import: a `T` or a failure.
fn Answer(comptime T: type) type {
    return extern struct {
        is_err: bool,
        value: extern union { ok: T, err: LoweredFailure },

        fn get(answer: @This()) error{Failed}!T {
            return if (answer.is_err) fail(answer.value.err.lift()) else answer.value.ok;
        }
    };
}

const Result = extern struct {
    is_err: bool,
    value: extern union { ok: Slice(u8), err: LoweredFailure },

    fn ok(output: []const u8) Result {
        return .{ .is_err = false, .value = .{ .ok = .of(output) } };
    }

    fn err(why: Failure) Result {
        return .{ .is_err = true, .value = .{ .err = .of(why) } };
    }
};

const LoweredFailure = extern struct {
    error_type: Slice(u8),
    message: Slice(u8),
    details: Option(Slice(u8)),
    retriable: bool,

    fn of(why: Failure) LoweredFailure {
        return .{
            .error_type = .of(wellFormed(why.error_type)),
            .message = .of(wellFormed(why.message)),
            .details = .{ .is_some = why.details != null, .value = .of(wellFormed(why.details orelse "")) },
            .retriable = why.retriable,
        };
    }

    fn lift(why: LoweredFailure) Failure {
        return .{
            .error_type = why.error_type.slice(),
            .message = why.message.slice(),
            .details = if (why.details.is_some) why.details.value.slice() else null,
            .retriable = why.retriable,
        };
    }
};

fn Option(comptime T: type) type {
    return extern struct { is_some: bool, value: T };
}

fn Slice(comptime T: type) type {
    return extern struct {
        ptr: [*]const T,
        len: usize,

        fn of(items: []const T) @This() {
            // An empty slice may have any address, but the host requires one within the memory.
            return .{ .ptr = if (items.len == 0) @ptrFromInt(@alignOf(T)) else items.ptr, .len = items.len };
        }

        fn slice(items: @This()) []const T {
            return items.ptr[0..items.len];
        }
    };
}

const host = struct {
    extern "dacapo:guest/orchestration@0.1.0" fn @"call-activity"(
        name: [*]const u8,
        name_len: usize,
        input: [*]const u8,
        input_len: usize,
        has_retry: bool,
        max_attempts: u32,
        first_interval: f64,
        backoff_coefficient: f64,
        has_max_interval: bool,
        max_interval: f64,
        has_timeout: bool,
        timeout: f64,
        non_retriable_error_types: [*]const Slice(u8),
        non_retriable_error_types_len: usize,
    ) Handle;
    extern "dacapo:guest/orchestration@0.1.0" fn @"create-timer"(fire_at: f64) Handle;
    extern "dacapo:guest/orchestration@0.1.0" fn @"wait-for-external-event"(name: [*]const u8, name_len: usize) Handle;
    extern "dacapo:guest/orchestration@0.1.0" fn wait(tasks: [*]const Handle, len: usize, returned: *Slice(u32)) void;
    extern "dacapo:guest/orchestration@0.1.0" fn @"[method]task.outcome"(task: Handle, returned: *Option(Result)) void;
    extern "dacapo:guest/orchestration@0.1.0" fn @"[method]task.cancel"(task: Handle) bool;
    extern "dacapo:guest/orchestration@0.1.0" fn @"current-time"() f64;
    extern "dacapo:guest/logging@0.1.0" fn log(level: u32, message: [*]const u8, message_len: usize) void;
};

const client_host = struct {
    const Text = [*]const u8;

    extern "dacapo:guest/client@0.1.0" fn @"start-orchestration"(
        name: Text,
        name_len: usize,
        input: Text,
        input_len: usize,
        has_instance_id: bool,
        instance_id: Text,
        instance_id_len: usize,
        has_version: bool,
        version: Text,
        version_len: usize,
        has_start_at: bool,
        start_at: f64,
        returned: *Answer(Slice(u8)),
    ) void;
    extern "dacapo:guest/client@0.1.0" fn @"get-status"(id: Text, id_len: usize, options: Text, options_len: usize, returned: *Answer(Slice(u8))) void;
    extern "dacapo:guest/client@0.1.0" fn @"list-instances"(filter: Text, filter_len: usize, returned: *Answer(Slice(u8))) void;
    extern "dacapo:guest/client@0.1.0" fn @"raise-event"(
        id: Text,
        id_len: usize,
        name: Text,
        name_len: usize,
        data: Text,
        data_len: usize,
        returned: *Answer(u8),
    ) void;
    extern "dacapo:guest/client@0.1.0" fn terminate(id: Text, id_len: usize, reason: Text, reason_len: usize, returned: *Answer(u8)) void;
    extern "dacapo:guest/client@0.1.0" fn @"suspend"(id: Text, id_len: usize, reason: Text, reason_len: usize, returned: *Answer(u8)) void;
    extern "dacapo:guest/client@0.1.0" fn @"resume"(id: Text, id_len: usize, reason: Text, reason_len: usize, returned: *Answer(u8)) void;
    extern "dacapo:guest/client@0.1.0" fn rewind(id: Text, id_len: usize, reason: Text, reason_len: usize, returned: *Answer(u8)) void;
    extern "dacapo:guest/client@0.1.0" fn restart(
        id: Text,
        id_len: usize,
        has_new_id: bool,
        new_id: Text,
        new_id_len: usize,
        returned: *Answer(Slice(u8)),
    ) void;
    extern "dacapo:guest/client@0.1.0" fn purge(id: Text, id_len: usize, returned: *Answer(bool)) void;
    extern "dacapo:guest/client@0.1.0" fn @"purge-instances"(filter: Text, filter_len: usize, returned: *Answer(u32)) void;
    extern "dacapo:guest/client@0.1.0" fn @"wait-for-completion"(id: Text, id_len: usize, timeout: f64, returned: *Answer(Slice(u8))) void;
    extern "dacapo:guest/client@0.1.0" fn @"signal-entity"(
        name: Text,
        name_len: usize,
        key: Text,
        key_len: usize,
        operation: Text,
        operation_len: usize,
        input: Text,
        input_len: usize,
        has_deliver_at: bool,
        deliver_at: f64,
        returned: *Answer(u8),
    ) void;
    extern "dacapo:guest/client@0.1.0" fn @"read-entity"(
        name: Text,
        name_len: usize,
        key: Text,
        key_len: usize,
        returned: *Answer(Option(Slice(u8))),
    ) void;
    extern "dacapo:guest/client@0.1.0" fn @"list-entities"(filter: Text, filter_len: usize, returned: *Answer(Slice(u8))) void;
    extern "dacapo:guest/client@0.1.0" fn links(id: Text, id_len: usize, returned: *Answer(Slice(u8))) void;
};

/// Allocates memory for the host, before it writes a string or a list.
fn reallocate(old: [*]u8, old_len: usize, alignment: usize, len: usize) callconv(.c) [*]u8 {
    if (len == 0) return @ptrFromInt(alignment);
    const new = allocator.rawAlloc(len, .fromByteUnits(alignment), @returnAddress()) orelse outOfMemory();
    @memcpy(new[0..@min(old_len, len)], old);
    return new;
}
