// Durable orchestrations in Kotlin: bindings of the contract `dacapo:guest@0.1.0` to its canonical ABI, and a small API for apps.
//
// Inputs, outputs and event data are JSON texts. The app defines the property `app`, in another file.

@file:OptIn(UnsafeWasmMemoryApi::class, ExperimentalWasmInterop::class)

import kotlin.wasm.ExperimentalWasmInterop
import kotlin.wasm.WasmExport
import kotlin.wasm.WasmImport
import kotlin.wasm.unsafe.Pointer
import kotlin.wasm.unsafe.UnsafeWasmMemoryApi
import kotlin.wasm.unsafe.withScopedMemoryAllocator

/** Why a function did not succeed. An orchestrator can catch it; a function that throws it fails with it. */
class Failure(
    /** A short name that callers match on. */
    val errorType: String,
    /** One sentence for people. */
    override val message: String,
    /** Whether a retry policy may try again. */
    val retriable: Boolean = false,
    val details: String? = null,
) : Exception(message)

/** One call of an activity. */
class Call(
    val input: String,
    val instanceId: String,
    /** Together with the instance id, an idempotency key: the same when the call is repeated after a crash. */
    val taskId: Int,
    /** 1 for the first attempt under the caller's retry policy, then 2, and so on. */
    val attempt: Int,
)

/** One call of a trigger. */
class TriggerCall(
    /** JSON, as `run-trigger` of the contract describes it. */
    val input: String,
    /** An idempotency key: the same when the call is repeated, for example because a message is delivered again. */
    val invocationId: String,
    /** 1 for the first time that the call is made, then 2, and so on. */
    val attempt: Int,
)

internal class Trigger(val bindings: String, val run: (TriggerCall) -> String)

/** The functions of an app. */
class App(describe: App.() -> Unit) {
    internal val orchestrators = mutableMapOf<String, (String) -> String>()
    internal val activities = mutableMapOf<String, (Call) -> String>()
    internal val triggers = mutableMapOf<String, Trigger>()

    init {
        describe()
    }

    fun orchestrator(name: String, run: (input: String) -> String) {
        orchestrators[name] = run
    }

    fun activity(name: String, run: (call: Call) -> String) {
        activities[name] = run
    }

    /**
     * A trigger. Its [bindings] are JSON, in the form of a `function.json` of Azure Functions; its output is JSON too: `null`, or an
     * object with `response` or `outputs` or both.
     */
    fun trigger(name: String, bindings: String, run: (call: TriggerCall) -> String) {
        triggers[name] = Trigger(bindings, run)
    }
}

/** All times are in milliseconds. */
class RetryPolicy(
    val maxAttempts: Int,
    val firstInterval: Double,
    val backoffCoefficient: Double = 1.0,
    val maxInterval: Double? = null,
    val timeout: Double? = null,
    val nonRetriableErrorTypes: List<String> = emptyList(),
)

/** Something that was scheduled and completes once. */
class Task internal constructor(internal val handle: Int) {
    /** Waits until the task has completed, and returns its output or throws its [Failure]. */
    fun wait(): String = outcome() ?: run {
        waitAny(this)
        outcome()!!
    }

    /** Cancels a timer or a wait for an event. Returns false if it has completed already. */
    fun cancel(): Boolean = hostCancel(handle)

    private fun outcome(): String? = Desk.use {
        val returned = Desk.reserve(40)
        hostOutcome(handle, returned)
        when {
            byte(returned) == 0 -> null
            byte(returned + 4) == 0 -> text(returned + 8)
            else -> throw failure(returned + 8)
        }
    }
}

fun callActivity(name: String, input: String, retry: RetryPolicy? = null): Task = Desk.use {
    val types = retry?.nonRetriableErrorTypes.orEmpty()
    val list = Desk.reserve(8 * types.size)
    types.forEachIndexed { index, type -> Text(type).storeAt(list + 8 * index) }
    val nameText = Text(name)
    val inputText = Text(input)
    Task(
        hostCallActivity(
            nameText.address, nameText.length, inputText.address, inputText.length,
            retry != null, retry?.maxAttempts ?: 0, retry?.firstInterval ?: 0.0, retry?.backoffCoefficient ?: 0.0,
            retry?.maxInterval != null, retry?.maxInterval ?: 0.0,
            retry?.timeout != null, retry?.timeout ?: 0.0,
            list, types.size,
        ),
    )
}

/** Schedules a timer. [fireAt] is in milliseconds since 1970. */
fun createTimer(fireAt: Double): Task = Task(hostCreateTimer(fireAt))

fun waitForExternalEvent(name: String): Task = Desk.use {
    val text = Text(name)
    Task(hostWaitForExternalEvent(text.address, text.length))
}

/** Waits until a task has completed, and returns the one that completed first. */
fun waitAny(vararg tasks: Task): Task = Desk.use {
    val handles = Desk.reserve(4 * tasks.size)
    tasks.forEachIndexed { index, task -> storeInt(handles + 4 * index, task.handle) }
    val returned = Desk.reserve(8)
    hostWait(handles, tasks.size, returned)
    tasks[int(int(returned))]
}

/** The current time, in milliseconds since 1970: the time of the turn, the same on replay. */
fun currentTime(): Double = hostCurrentTime()

/**
 * The durable client of the app's own task hub, for activities and triggers. Results, options and filters are JSON. A refusal throws a
 * [Failure] with a type, such as `InstanceNotFound` or `NotGranted`.
 */
object Client {
    /** Starts an orchestration, and returns its instance id. [startAt] is in milliseconds since 1970. */
    fun startOrchestration(
        name: String, input: String, instanceId: String? = null, version: String? = null, startAt: Double? = null,
    ): String = Desk.use {
        val (function, given) = Text(name) to Text(input)
        val (id, label) = Text(instanceId.orEmpty()) to Text(version.orEmpty())
        answer(::text) { returned ->
            clientStart(
                function.address, function.length, given.address, given.length, instanceId != null, id.address, id.length,
                version != null, label.address, label.length, startAt != null, startAt ?: 0.0, returned,
            )
        }
    }

    /** The status of an instance; `null` if there is none. */
    fun getStatus(instanceId: String, options: String = ""): String = Desk.use {
        val (id, given) = Text(instanceId) to Text(options)
        answer(::text) { clientGetStatus(id.address, id.length, given.address, given.length, it) }
    }

    /** A page: `instances` and `continuationToken`. */
    fun listInstances(filter: String = ""): String = Desk.use {
        val given = Text(filter)
        answer(::text) { clientListInstances(given.address, given.length, it) }
    }

    fun raiseEvent(instanceId: String, name: String, data: String) = Desk.use {
        val (id, event) = Text(instanceId) to Text(name)
        val given = Text(data)
        answer({}) { clientRaiseEvent(id.address, id.length, event.address, event.length, given.address, given.length, it) }
    }

    fun terminate(instanceId: String, reason: String) = steer(instanceId, reason, ::clientTerminate)

    fun suspend(instanceId: String, reason: String) = steer(instanceId, reason, ::clientSuspend)

    fun resume(instanceId: String, reason: String) = steer(instanceId, reason, ::clientResume)

    /** Brings a failed instance back to the state before its failure. */
    fun rewind(instanceId: String, reason: String) = steer(instanceId, reason, ::clientRewind)

    private fun steer(instanceId: String, reason: String, import: (Int, Int, Int, Int, Int) -> Unit) = Desk.use {
        val (id, why) = Text(instanceId) to Text(reason)
        answer({}) { import(id.address, id.length, why.address, why.length, it) }
    }

    /** Starts an orchestration anew, and returns the id of the new instance: this one, or one that the host generates. */
    fun restart(instanceId: String, newInstanceId: String? = null): String = Desk.use {
        val (id, newId) = Text(instanceId) to Text(newInstanceId.orEmpty())
        answer(::text) { clientRestart(id.address, id.length, newInstanceId != null, newId.address, newId.length, it) }
    }

    /** Removes an instance that has ended, or an entity. Returns whether there was one. */
    fun purge(instanceId: String): Boolean = Desk.use {
        val id = Text(instanceId)
        answer({ byte(it) != 0 }) { clientPurge(id.address, id.length, it) }
    }

    /** Removes all instances that match and have ended, and returns how many. The filter needs `createdTimeFrom`. */
    fun purgeInstances(filter: String): Int = Desk.use {
        val given = Text(filter)
        answer(::int) { clientPurgeInstances(given.address, given.length, it) }
    }

    /** Waits until an instance has ended, at most so many milliseconds, and returns its status then; `null` if there is none. */
    fun waitForCompletion(instanceId: String, timeout: Double): String = Desk.use {
        val id = Text(instanceId)
        answer(::text) { clientWait(id.address, id.length, timeout, it) }
    }

    /** Sends a one-way operation to an entity. [deliverAt] is in milliseconds since 1970. */
    fun signalEntity(name: String, key: String, operation: String, input: String, deliverAt: Double? = null) = Desk.use {
        val (entity, entityKey) = Text(name) to Text(key)
        val (called, given) = Text(operation) to Text(input)
        answer({}) {
            clientSignalEntity(
                entity.address, entity.length, entityKey.address, entityKey.length, called.address, called.length,
                given.address, given.length, deliverAt != null, deliverAt ?: 0.0, it,
            )
        }
    }

    /** The state of an entity, if there is one. */
    fun readEntity(name: String, key: String): String? = Desk.use {
        val (entity, entityKey) = Text(name) to Text(key)
        answer({ if (byte(it) == 0) null else text(it + 4) }) {
            clientReadEntity(entity.address, entity.length, entityKey.address, entityKey.length, it)
        }
    }

    /** A page: `entities` and `continuationToken`. */
    fun listEntities(filter: String = ""): String = Desk.use {
        val given = Text(filter)
        answer(::text) { clientListEntities(given.address, given.length, it) }
    }

    /** The links for managing an instance over HTTP. */
    fun links(instanceId: String): String = Desk.use {
        val id = Text(instanceId)
        answer(::text) { clientLinks(id.address, id.length, it) }
    }

    /** Calls an import with the address for its result, and reads that: a value, or a failure, which is thrown. */
    private fun <T> answer(value: (at: Int) -> T, import: (returned: Int) -> Unit): T {
        val returned = Desk.reserve(36)
        import(returned)
        if (byte(returned) != 0) throw failure(returned + 4)
        return value(returned + 4)
    }
}

enum class Level { TRACE, DEBUG, INFO, WARN, ERROR }

/** Writes a line to the host's log. A replay does not write it again. */
fun log(level: Level, message: String) = Desk.use {
    val text = Text(message)
    hostLog(level.ordinal, text.address, text.length)
}

/** Converts a text to a JSON string. */
fun quote(text: String): String = buildString {
    append('"')
    for (char in text) {
        if (char < ' ' || char == '"' || char == '\\') append("\\u").append(char.code.toString(16).padStart(4, '0')) else append(char)
    }
    append('"')
}

/** Converts a JSON string to its text. */
fun unquote(json: String): String {
    if (!json.startsWith('"')) throw Failure("UnexpectedJson", "what was given is no string", details = json)
    return buildString {
        var at = 1
        while (at < json.length - 1) {
            val char = json[at++]
            if (char != '\\') {
                append(char)
                continue
            }
            val escape = json[at++]
            val plain = "\"\\/bfnrt".indexOf(escape)
            if (plain >= 0) {
                append("\"\\/\b\u000c\n\r\t"[plain])
            } else {
                append(json.substring(at, at + 4).toInt(16).toChar())
                at += 4
            }
        }
    }
}

// The canonical ABI. Kotlin's objects are outside of linear memory, so values pass to and from the host through a buffer, the desk.
// The desk is cleared as soon as its contents have been read, so that it is empty while an instance waits.

private object Desk {
    /** The end of the used part. The first bytes stay unused, because the address 0 is null. */
    private var top = 8

    /** The end of the allocated memory. */
    private var size = 0

    fun reserve(bytes: Int): Int {
        val at = top
        top = (at + bytes + 7) and -8
        // Grows the memory. An allocation of a new scope starts at the same address as the desk.
        if (top > size) withScopedMemoryAllocator { it.allocate(top) }
        size = maxOf(size, top)
        return at
    }

    /** Runs [exchange] and clears the desk. */
    inline fun <T> use(exchange: () -> T): T = try {
        exchange()
    } finally {
        top = 8
    }
}

/** Puts a text on the desk, in UTF-8. A lone surrogate becomes U+FFFD. */
private class Text(text: String) {
    private val bytes = text.encodeToByteArray()
    val address = Desk.reserve(bytes.size)
    val length get() = bytes.size

    init {
        bytes.forEachIndexed { index, byte -> (Pointer(address.toUInt()) + index).storeByte(byte) }
    }

    fun storeAt(at: Int) {
        storeInt(at, address)
        storeInt(at + 4, length)
    }
}

private fun text(at: Int): String = text(int(at), int(at + 4))

private fun text(address: Int, length: Int): String =
    ByteArray(length) { (Pointer(address.toUInt()) + it).loadByte() }.decodeToString()

private fun failure(at: Int) = Failure(
    errorType = text(at),
    message = text(at + 8),
    details = if (byte(at + 16) == 0) null else text(at + 20),
    retriable = byte(at + 28) != 0,
)

private fun byte(at: Int): Int = Pointer(at.toUInt()).loadByte().toInt()

private fun storeByte(at: Int, value: Boolean) = Pointer(at.toUInt()).storeByte(if (value) 1 else 0)

private fun int(at: Int): Int = Pointer(at.toUInt()).loadInt()

private fun storeInt(at: Int, value: Int) = Pointer(at.toUInt()).storeInt(value)

@WasmExport("cabi_realloc")
private fun reallocate(old: Int, oldSize: Int, alignment: Int, size: Int): Int = Desk.reserve(size)

@WasmExport("describe")
private fun describe(): Int = Desk.use {
    val functions = app.orchestrators.keys.map { it to false } + app.activities.keys.map { it to true }
    val list = Desk.reserve(8)
    val at = Desk.reserve(12 * functions.size)
    storeInt(list, at)
    storeInt(list + 4, functions.size)
    functions.forEachIndexed { index, (name, isActivity) ->
        Text(name).storeAt(at + 12 * index)
        storeByte(at + 12 * index + 8, isActivity)
    }
    list
}

@WasmExport("run-orchestrator")
private fun runOrchestrator(name: Int, nameLength: Int, input: Int, inputLength: Int): Int {
    val (function, json) = Desk.use { text(name, nameLength) to text(input, inputLength).trim() }
    return lowered { app.orchestrators.getValue(function)(json) }
}

@WasmExport("run-activity")
private fun runActivity(
    name: Int, nameLength: Int, input: Int, inputLength: Int, instanceId: Int, instanceIdLength: Int, taskId: Int, attempt: Int,
): Int {
    val (function, call) = Desk.use {
        text(name, nameLength) to Call(text(input, inputLength).trim(), text(instanceId, instanceIdLength), taskId, attempt)
    }
    return lowered { app.activities.getValue(function)(call) }
}

@WasmExport("describe-triggers")
private fun describeTriggers(): Int = Desk.use {
    val list = Desk.reserve(8)
    val at = Desk.reserve(16 * app.triggers.size)
    storeInt(list, at)
    storeInt(list + 4, app.triggers.size)
    app.triggers.entries.forEachIndexed { index, (name, trigger) ->
        Text(name).storeAt(at + 16 * index)
        Text(trigger.bindings).storeAt(at + 16 * index + 8)
    }
    list
}

@WasmExport("run-trigger")
private fun runTrigger(
    name: Int, nameLength: Int, input: Int, inputLength: Int, invocationId: Int, invocationIdLength: Int, attempt: Int,
): Int {
    val (function, call) = Desk.use {
        text(name, nameLength) to TriggerCall(text(input, inputLength), text(invocationId, invocationIdLength), attempt)
    }
    return lowered { app.triggers.getValue(function).run(call) }
}

/** Runs a function and puts its result on the desk. The host reads it before the desk is used again. */
private fun lowered(run: () -> String): Int {
    val ended = runCatching(run)
    return Desk.use {
        val result = Desk.reserve(36)
        val why = ended.exceptionOrNull()
        storeByte(result, why != null)
        if (why == null) Text(ended.getOrThrow()).storeAt(result + 4) else storeFailure(result + 4, failureOf(why))
        result
    }
}

private fun failureOf(why: Throwable): Failure =
    why as? Failure ?: Failure(why::class.simpleName ?: "Exception", why.message ?: "it failed and did not say why")

private fun storeFailure(at: Int, failure: Failure) {
    Text(failure.errorType).storeAt(at)
    Text(failure.message).storeAt(at + 8)
    storeByte(at + 16, failure.details != null)
    failure.details?.let { Text(it).storeAt(at + 20) }
    storeByte(at + 28, failure.retriable)
}

private const val ORCHESTRATION = "dacapo:guest/orchestration@0.1.0"

@WasmImport(ORCHESTRATION, "call-activity")
private external fun hostCallActivity(
    name: Int, nameLength: Int, input: Int, inputLength: Int,
    hasRetry: Boolean, maxAttempts: Int, firstInterval: Double, backoffCoefficient: Double,
    hasMaxInterval: Boolean, maxInterval: Double, hasTimeout: Boolean, timeout: Double,
    nonRetriable: Int, nonRetriableCount: Int,
): Int

@WasmImport(ORCHESTRATION, "create-timer")
private external fun hostCreateTimer(fireAt: Double): Int

@WasmImport(ORCHESTRATION, "wait-for-external-event")
private external fun hostWaitForExternalEvent(name: Int, nameLength: Int): Int

@WasmImport(ORCHESTRATION, "wait")
private external fun hostWait(tasks: Int, count: Int, returned: Int)

@WasmImport(ORCHESTRATION, "[method]task.outcome")
private external fun hostOutcome(task: Int, returned: Int)

@WasmImport(ORCHESTRATION, "[method]task.cancel")
private external fun hostCancel(task: Int): Boolean

@WasmImport(ORCHESTRATION, "current-time")
private external fun hostCurrentTime(): Double

private const val CLIENT = "dacapo:guest/client@0.1.0"

@WasmImport(CLIENT, "start-orchestration")
private external fun clientStart(
    name: Int, nameLength: Int, input: Int, inputLength: Int, hasId: Boolean, id: Int, idLength: Int,
    hasVersion: Boolean, version: Int, versionLength: Int, hasStartAt: Boolean, startAt: Double, returned: Int,
)

@WasmImport(CLIENT, "get-status")
private external fun clientGetStatus(id: Int, idLength: Int, options: Int, optionsLength: Int, returned: Int)

@WasmImport(CLIENT, "list-instances")
private external fun clientListInstances(filter: Int, filterLength: Int, returned: Int)

@WasmImport(CLIENT, "raise-event")
private external fun clientRaiseEvent(
    id: Int, idLength: Int, name: Int, nameLength: Int, data: Int, dataLength: Int, returned: Int,
)

@WasmImport(CLIENT, "terminate")
private external fun clientTerminate(id: Int, idLength: Int, reason: Int, reasonLength: Int, returned: Int)

@WasmImport(CLIENT, "suspend")
private external fun clientSuspend(id: Int, idLength: Int, reason: Int, reasonLength: Int, returned: Int)

@WasmImport(CLIENT, "resume")
private external fun clientResume(id: Int, idLength: Int, reason: Int, reasonLength: Int, returned: Int)

@WasmImport(CLIENT, "rewind")
private external fun clientRewind(id: Int, idLength: Int, reason: Int, reasonLength: Int, returned: Int)

@WasmImport(CLIENT, "restart")
private external fun clientRestart(id: Int, idLength: Int, hasNewId: Boolean, newId: Int, newIdLength: Int, returned: Int)

@WasmImport(CLIENT, "purge")
private external fun clientPurge(id: Int, idLength: Int, returned: Int)

@WasmImport(CLIENT, "purge-instances")
private external fun clientPurgeInstances(filter: Int, filterLength: Int, returned: Int)

@WasmImport(CLIENT, "wait-for-completion")
private external fun clientWait(id: Int, idLength: Int, timeout: Double, returned: Int)

@WasmImport(CLIENT, "signal-entity")
private external fun clientSignalEntity(
    name: Int, nameLength: Int, key: Int, keyLength: Int, operation: Int, operationLength: Int,
    input: Int, inputLength: Int, hasDeliverAt: Boolean, deliverAt: Double, returned: Int,
)

@WasmImport(CLIENT, "read-entity")
private external fun clientReadEntity(name: Int, nameLength: Int, key: Int, keyLength: Int, returned: Int)

@WasmImport(CLIENT, "list-entities")
private external fun clientListEntities(filter: Int, filterLength: Int, returned: Int)

@WasmImport(CLIENT, "links")
private external fun clientLinks(id: Int, idLength: Int, returned: Int)

@WasmImport("dacapo:guest/logging@0.1.0", "log")
private external fun hostLog(level: Int, message: Int, messageLength: Int)
