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
            return run(orchestrators, name[0..name_len], input[0..input_len], undefined);
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

fn functionsOf(comptime functions: type, comptime kind: Kind) [namesOf(functions).len]Function {
    var list: [namesOf(functions).len]Function = undefined;
    for (namesOf(functions), &list) |name, *function| function.* = .{ .name = .of(name), .kind = kind };
    return list;
}

fn namesOf(comptime functions: type) []const [:0]const u8 {
    return @typeInfo(functions).@"struct".decl_names;
}

/// Runs the function with this name. The host calls only functions that `describe` returned.
fn run(comptime functions: type, name: []const u8, input: []const u8, call: Call) *const Result {
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
fn apply(comptime function: anytype, input: []const u8, call: Call) anyerror![]const u8 {
    var arguments: std.meta.ArgsTuple(@TypeOf(function)) = undefined;
    inline for (&arguments) |*argument| {
        const T = @TypeOf(argument.*);
        argument.* = if (T == Call) call else try parse(T, input);
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

/// Allocates memory for the host, before it writes a string or a list.
fn reallocate(old: [*]u8, old_len: usize, alignment: usize, len: usize) callconv(.c) [*]u8 {
    if (len == 0) return @ptrFromInt(alignment);
    const new = allocator.rawAlloc(len, .fromByteUnits(alignment), @returnAddress()) orelse outOfMemory();
    @memcpy(new[0..@min(old_len, len)], old);
    return new;
}
