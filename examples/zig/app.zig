//! The tour of Dacapo, in Zig.

const std = @import("std");
const dacapo = @import("dacapo.zig");

pub const panic = dacapo.panic;

comptime {
    dacapo.app(orchestrators, activities);
}

const Json = std.json.Value;

const orchestrators = struct {
    /// Calls activities one after the other.
    pub fn hello_sequence() ![3][]const u8 {
        var greetings: [3][]const u8 = undefined;
        for (&greetings, [_][]const u8{ "Tokyo", "Seattle", "London" }) |*greeting, city| {
            greeting.* = try dacapo.callActivity([]const u8, "say_hello", city).wait();
        }
        return greetings;
    }

    /// Calls activities in parallel and adds up their results.
    pub fn fan_out(n: u32) !u64 {
        const squares = try dacapo.allocator.alloc(dacapo.Task(u64), n);
        for (squares, 1..) |*square, i| square.* = dacapo.callActivity(u64, "square", i);
        var sum: u64 = 0;
        for (squares) |square| sum += try square.wait();
        return sum;
    }

    /// Waits for an approval, with a timeout.
    pub fn approval(patience: f64) ![]const u8 {
        const event = dacapo.waitForExternalEvent(Json, "Approval");
        const timer = dacapo.createTimer(dacapo.currentTime() + patience);
        if (dacapo.waitAny(.{ event, timer }) == 1) {
            _ = event.cancel();
            return "expired";
        }
        _ = timer.cancel();
        const approved = try event.wait();
        return if (approved == .bool and approved.bool) "approved" else "rejected";
    }

    /// Retries an activity, and reports the last failure if every attempt fails.
    pub fn stubborn(k: u32) !Json {
        const attempt = dacapo.callActivityWithRetry(u32, "flaky", k, .{
            .max_attempts = 3,
            .first_interval = 10,
            .backoff_coefficient = 2,
        });
        return .{ .integer = attempt.wait() catch {
            return .{ .string = try std.fmt.allocPrint(dacapo.allocator, "gave up: {s}", .{dacapo.failure.message}) };
        } };
    }
};

const activities = struct {
    pub fn say_hello(name: []const u8) ![]const u8 {
        return std.fmt.allocPrint(dacapo.allocator, "Hello {s}!", .{name});
    }

    pub fn square(n: u64) u64 {
        return n * n;
    }

    /// Succeeds on attempt `k`.
    pub fn flaky(call: dacapo.Call, k: u32) !u32 {
        if (call.attempt >= k) return call.attempt;
        return dacapo.fail(.{
            .error_type = "NotYet",
            .message = try std.fmt.allocPrint(dacapo.allocator, "attempt {d} of {d}", .{ call.attempt, k }),
            .retriable = true,
        });
    }
};
