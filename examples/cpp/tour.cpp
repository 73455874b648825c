// The tour: a chain, a fan-out, a race of an event against a timer, and a retry.
#include <string>
#include <vector>

#include "dacapo.hpp"

using dacapo::fail, dacapo::milliseconds, dacapo::result;

result<std::vector<std::string>> hello_sequence() {
    std::vector<std::string> greetings;
    for (const char *city : {"Tokyo", "Seattle", "London"}) {
        result<std::string> greeting = dacapo::call_activity<std::string>("say_hello", city).await();
        if (!greeting) return fail(greeting.error());
        greetings.push_back(*greeting);
    }
    return greetings;
}

result<int> fan_out(int n) {
    std::vector<dacapo::task<int>> tasks;
    for (int i = 1; i <= n; i++) tasks.push_back(dacapo::call_activity<int>("square", i));
    return dacapo::wait_all(tasks).transform([](const std::vector<int> &squares) {
        int sum = 0;
        for (int square : squares) sum += square;
        return sum;
    });
}

result<std::string> approval(int timeout) {
    return dacapo::wait_for_external_event<bool>("Approval").await_for(milliseconds(timeout)).transform(
        [](std::optional<bool> approved) { return std::string(!approved ? "expired" : *approved ? "approved" : "rejected"); });
}

result<dacapo::raw> stubborn(int k) {
    dacapo::retry_policy policy{.max_attempts = 3, .first_interval = milliseconds(10), .backoff = 2};
    return dacapo::call_activity<dacapo::raw>("flaky", k, policy).await().or_else([](const dacapo::failure &why) {
        return result<dacapo::raw>({dacapo::to_json("gave up: " + why.message)});
    });
}

result<std::string> say_hello(std::string city) {
    return "Hello " + city + "!";
}

result<int> square(int n) {
    return n * n;
}

result<int> flaky(const dacapo_activity_call &call, int k) {
    const int attempt = static_cast<int>(call.attempt);
    if (attempt < k) return fail({"NotYet", "attempt " + std::to_string(attempt) + " of " + std::to_string(k)});
    return attempt;
}

DACAPO_APP(
    dacapo::orchestrator<hello_sequence>("hello_sequence"), dacapo::orchestrator<fan_out>("fan_out"),
    dacapo::orchestrator<approval>("approval"), dacapo::orchestrator<stubborn>("stubborn"),
    dacapo::activity<say_hello>("say_hello"), dacapo::activity<square>("square"), dacapo::activity<flaky>("flaky")
)
