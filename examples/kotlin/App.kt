// The tour of Dacapo, in Kotlin.

val app = App {
    // Calls activities one after the other.
    orchestrator("hello_sequence") {
        val greetings = listOf("Tokyo", "Seattle", "London").map { city -> callActivity("say_hello", quote(city)).wait() }
        greetings.joinToString(",", "[", "]")
    }

    // Calls activities in parallel and adds up their results.
    orchestrator("fan_out") { input ->
        val squares = (1..input.toInt()).map { n -> callActivity("square", "$n") }
        squares.sumOf { it.wait().toLong() }.toString()
    }

    // Waits for an approval, with a timeout.
    orchestrator("approval") { input ->
        val event = waitForExternalEvent("Approval")
        val timer = createTimer(currentTime() + input.toDouble())
        if (waitAny(event, timer) == timer) {
            event.cancel()
            quote("expired")
        } else {
            timer.cancel()
            quote(if (event.wait() == "true") "approved" else "rejected")
        }
    }

    // Retries an activity, and reports the last failure if every attempt fails.
    orchestrator("stubborn") { input ->
        val retry = RetryPolicy(maxAttempts = 3, firstInterval = 10.0, backoffCoefficient = 2.0)
        try {
            callActivity("flaky", input, retry).wait()
        } catch (failure: Failure) {
            quote("gave up: ${failure.message}")
        }
    }

    activity("say_hello") { call -> quote("Hello ${unquote(call.input)}!") }

    activity("square") { call ->
        val n = call.input.toLong()
        "${n * n}"
    }

    // Succeeds on attempt `k`.
    activity("flaky") { call ->
        val k = call.input.toInt()
        if (call.attempt < k) throw Failure("NotYet", "attempt ${call.attempt} of $k", retriable = true)
        "${call.attempt}"
    }
}
