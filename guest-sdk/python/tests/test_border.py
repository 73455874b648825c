"""Values passed to the host: which wait gets an event, values of the wrong type, and lone surrogates."""

import json
import unittest
import uuid
from datetime import timedelta
from decimal import Decimal

import azure.durable_functions as df
from dacapo import payload
from dacapo.action import CallSubOrchestrator, entity_of
from dacapo.border import well_formed
from dacapo.testing import Script, run_activity, run_entity
from dacapo.web_address import web_address

SECOND = timedelta(seconds=1)
HALF = "received \ud83d"


def rounds(context):
    """Each round makes a new wait, and cancels none."""
    got = []
    for _ in range(4):
        event = context.wait_for_external_event("Go")
        timer = context.create_timer(context.current_utc_datetime + SECOND)
        winner = yield context.task_any([event, timer])
        got.append(event.result if winner == event else "timeout")
    return got


class Events(unittest.TestCase):
    def test_an_event_goes_to_the_wait_of_its_round(self):
        script = Script().event("Go", 1, after=SECOND * 1.5).event("Go", 2, after=SECOND * 1.6)
        self.assertEqual(script.run(rounds).output, ["timeout", 1, 2, "timeout"])

    def test_an_event_that_came_right_behind_what_won_goes_to_the_next_round(self):
        self.assertEqual(Script().event("Go", 1, after=SECOND).run(rounds).output[:2], ["timeout", 1])

    def test_an_event_that_comes_while_nobody_waits_for_it_is_left_to_the_next_wait(self):
        def busy(context):
            lost = context.wait_for_external_event("Go")
            timer = context.create_timer(context.current_utc_datetime + SECOND)
            yield context.task_any([lost, timer])
            yield context.call_activity("long")
            return [(yield context.wait_for_external_event("Go")), lost.is_completed]

        script = Script().activity("long", 0, takes=SECOND).event("Go", 1, after=SECOND * 1.5)
        self.assertEqual(script.run(busy).output, [1, False])

    def test_a_wait_for_all_rounds_keeps_its_place(self):
        def patient(context):
            event = context.wait_for_external_event("Go")
            for n in range(5):
                timer = context.create_timer(context.current_utc_datetime + SECOND)
                if (yield context.task_any([timer, event])) is event:
                    return [n, event.result]

        self.assertEqual(Script().event("Go", 1, after=SECOND * 2.5).run(patient).output, [2, 1])

    def test_results_are_taken_as_they_come_from_a_race_of_all_that_are_left(self):
        def drain(context):
            pending, order = [context.call_activity("one", n) for n in range(100)], []
            while pending:
                winner = yield context.task_any(pending)
                order.append(winner.result)
                pending.remove(winner)
            return order

        self.assertEqual(Script().activity("one", lambda n: n).run(drain).output, list(range(100)))


class WrongTypes(unittest.TestCase):
    def refusal(self, act):
        def orchestrator(context):
            try:
                yield act(context)
            except TypeError as error:
                return str(error)

        return Script().run(orchestrator).output

    def test_they_are_refused_where_they_are_passed_by_the_name_of_the_argument(self):
        box = df.EntityId("box", "k")
        for argument, act in {
            "instance_id": lambda c: c.call_sub_orchestrator("child", None, 1700),
            "instance_id ": lambda c: c.call_sub_orchestrator("child", None, uuid.UUID(int=5)),
            "version": lambda c: c.call_sub_orchestrator("child", None, "v", 2),
            "operationName": lambda c: c.call_entity(box, 7),
            "entityId": lambda c: c.call_entity("@box@k", "get"),
            "the key of an entity": lambda c: c.call_entity(df.EntityId("box", 42), "get"),
            "a function": lambda c: c.call_activity(5),
            "the name of an event": lambda c: c.wait_for_external_event(None),
            "method": lambda c: c.call_http(None, "http://localhost/"),
            "the header a": lambda c: c.call_http("GET", "http://localhost/", headers={"a": 1}),
            "retry_options": lambda c: c.call_activity_with_retry("a", 3),
            "first_retry_interval_in_milliseconds": lambda c: df.RetryOptions(SECOND, 2),
            "instance_id  ": lambda c: c.start_orchestration("child", None, 1800),
            "instance_id   ": lambda c: c.send_event(1800, "X"),
            "deliver_at": lambda c: c.signal_entity(box, "x", 1, SECOND),
            "fire_at": lambda c: c.create_timer(SECOND),
        }.items():
            self.assertIn(argument.strip(), self.refusal(act) or "nothing was raised", argument)

    def refusals(self, acts):
        """The error of each call: raised at once, or where its task is yielded."""

        def orchestrator(context):
            said = []
            for act in acts:
                try:
                    yield act(context)
                    said.append("nothing was raised")
                except Exception as error:
                    said.append(f"{type(error).__name__}: {error}")
            return said

        return Script().activity("a", 1).run(orchestrator).output

    def check(self, cases):
        for said, (_, words) in zip(self.refusals([act for act, _ in cases]), cases, strict=True):
            self.assertIn(words, said)

    # The host ends an orchestrator that makes such a call, without an error that its code could catch. So the SDK
    # refuses the call with one.
    def test_what_the_host_would_end_an_orchestrator_for_is_refused_where_it_is_called(self):
        def box(key):
            return df.EntityId("box", key)

        def get(uri="http://localhost/", **options):
            return lambda c: c.call_http("GET", uri, **options)

        address = "ValueError: uri must be an absolute http or https URL, and is "
        self.check(
            [
                (lambda c: c.call_activity(""), "ValueError: the name of a function must be a non-empty string"),
                (lambda c: c.call_activity("a b"), "ValueError: the name of a function must not contain ' '"),
                (lambda c: c.call_activity("x" * 129), "ValueError: the name of a function must have at most 128"),
                (lambda c: c.call_sub_orchestrator(""), "ValueError: the name of a function"),
                (lambda c: c.call_sub_orchestrator("child", 1, "a/b"), "ValueError: instance_id must not contain '/'"),
                (lambda c: c.call_sub_orchestrator("child", 1, "@b@k"), "ValueError: instance_id must not begin with"),
                (lambda c: c.call_sub_orchestrator("child", 1, " "), "ValueError: instance_id must not begin with"),
                (lambda c: c.call_sub_orchestrator("child", 1, ".."), "ValueError: instance_id must not be '.' or"),
                (lambda c: c.call_sub_orchestrator("child", 1, "x" * 257), "ValueError: instance_id must have at most"),
                (lambda c: c.call_sub_orchestrator("child", 1, "id", "9" * 257), "ValueError: version must have at most 256"),
                (lambda c: c.call_entity(box("k"), "o" * 257), "ValueError: operationName must have at most 256 characters"),
                (lambda c: c.start_orchestration(""), "ValueError: the name of a function"),
                (lambda c: c.start_orchestration("child", 1, "a#b"), "ValueError: instance_id must not contain '#'"),
                (lambda c: c.send_event("", "x"), "ValueError: instance_id must be a non-empty string"),
                (lambda c: c.send_event("a", ""), "ValueError: the name of an event must be a non-empty string"),
                (lambda c: c.wait_for_external_event(""), "ValueError: the name of an event must be a non-empty"),
                (lambda c: c.call_entity(box("a/b"), "get"), "ValueError: the id of an entity must not contain '/'"),
                (lambda c: c.call_entity(df.EntityId("b x", "k"), "get"), "ValueError: the name of an entity must not"),
                (lambda c: c.lock_entities(), "ValueError: lock_entities needs at least one EntityId"),
                (lambda c: c.task_all(None), "TypeError: task_all takes a list of tasks, not None"),
                (lambda c: c.task_any(5), "TypeError: task_any takes a list of tasks, not int (5)"),
                (get("/x"), address + "'/x'"),
                (get("ftp://localhost/"), address),
                (get("http://"), address),
                (get("http://localhost:99999/"), address),
                (get("http://[::1"), address),
                (get("http://[1::2::3]/"), address),
                (get("http://1.2.3.4.5/"), address),
                (get("http://ho st/"), address),
                (get(None), "TypeError: uri must be a str, not None"),
                (get(enable_polling="yes"), "TypeError: enable_polling must be a bool, not str ('yes')"),
                (get(headers="a: b"), "TypeError: headers must be a Mapping, not str"),
            ]
        )

    def test_retry_options_are_checked_when_they_are_made(self):
        nan, inf = float("nan"), float("inf")
        self.check(
            [
                (lambda c: c.call_activity_with_retry("a", None), "TypeError: retry_options must be a RetryOptions, not None"),
                (lambda c: df.RetryOptions(20, nan), "ValueError: max_number_of_attempts must be a number, not nan"),
                (lambda c: df.RetryOptions(20, inf), "ValueError: max_number_of_attempts must be at least 1 and finite"),
                (lambda c: df.RetryOptions(nan, 2), "ValueError: first_retry_interval_in_milliseconds must be a number"),
                (lambda c: df.RetryOptions(10**400, 2), "ValueError: first_retry_interval_in_milliseconds must be a"),
                (lambda c: df.RetryOptions(20, Decimal("sNaN")), "ValueError: max_number_of_attempts must be a number"),
                (lambda c: df.RetryOptions(1, 2, backoff_coefficient=-1), "ValueError: backoff_coefficient must not be neg"),
                (lambda c: df.RetryOptions(1, 2, backoff_coefficient=nan), "ValueError: backoff_coefficient must be a num"),
                (lambda c: df.RetryOptions(1, 2, retry_timeout_in_milliseconds=-1), "ValueError: retry_timeout_in_millis"),
                (
                    lambda c: df.RetryOptions(1, 2, non_retriable_error_types="ValueError"),
                    "TypeError: non_retriable_error_types must be a list of str, not str ('ValueError')",
                ),
                (
                    lambda c: df.RetryOptions(1, 2, non_retriable_error_types=None),
                    "TypeError: non_retriable_error_types must be a list of str, not None",
                ),
            ]
        )

    # Attributes that were changed later were passed on unchecked, and the bindings ended the guest.
    def test_what_was_changed_since_it_was_made_is_checked_when_it_is_used(self):
        def changed(thing, **attributes):
            for name, value in attributes.items():
                setattr(thing, name, value)
            return thing

        def retry(**attributes):
            return lambda c: c.call_activity_with_retry("a", changed(df.RetryOptions(20, 2), **attributes))

        def box(**attributes):
            return changed(df.EntityId("box", "k"), **attributes)

        self.check(
            [
                (retry(max_number_of_attempts=-1), "ValueError: max_number_of_attempts must be at least 1"),
                (retry(max_number_of_attempts="2"), "TypeError: max_number_of_attempts must be a number"),
                (retry(non_retriable_error_types=[5]), "TypeError: each of non_retriable_error_types must be a str"),
                (retry(first_retry_interval_in_milliseconds=None), "TypeError: first_retry_interval_in_milliseconds"),
                (lambda c: c.call_entity(box(key=5), "get"), "TypeError: the key of an entity must be a str, not int (5)"),
                (lambda c: c.signal_entity(box(key=5), "get"), "TypeError: the key of an entity must be a str"),
                (lambda c: c.lock_entities(box(key=5)), "TypeError: the key of an entity must be a str"),
                (lambda c: c.call_entity(box(name=None), "get"), "TypeError: the name of an entity must be a str"),
            ]
        )
        run = run_entity(lambda context: context.signal_entity(box(key=HALF), "get"), "any")
        self.assertEqual(run.actions[0].entity.key, "received \ufffd")
        with self.assertRaisesRegex(df.Failure, "TypeError: the key of an entity must be a str, not int"):
            run_entity(lambda context: context.signal_entity(box(key=5), "get"), "any")

    def test_what_is_changed_after_a_call_changes_nothing_of_it(self):
        def orchestrator(context):
            box, retry = df.EntityId("box", "k"), df.RetryOptions(20, 2, non_retriable_error_types=["A"])
            tasks = [context.call_entity(box, "get"), context.call_activity_with_retry("a", retry)]
            box.key, retry.max_number_of_attempts = 5, -1
            yield context.task_all(tasks)

        run = Script().entity("box", 1).activity("a", 1).run(orchestrator)
        self.assertEqual((run.failure, run.actions[0].entity.key), (None, "k"))
        self.assertEqual((run.actions[1].retry.max_number_of_attempts, run.actions[1].retry.non_retriable_error_types), (2, ("A",)))

    def test_an_entity_with_an_empty_key_may_name_itself(self):
        def entity(context):
            context.signal_entity(context.entity_id, "again")

        self.assertEqual(str(run_entity(entity, "any", key="k").actions[0].entity), "@entity@k")
        self.assertEqual(entity_of(df.EntityId.named("box", ""), "it").key, "")

    def test_addresses_are_taken_as_the_host_takes_them(self):
        addresses = [
            "HTTP://localhost",
            "http://b\u00fccher.example/\u00fc",
            "http://u:p@127.0.0.1:1?x=1",
            "https://[::1]:3000/a b",
            " http:\\\\localhost/\n",
            "http://0x7f.1/",
        ]
        self.assertEqual([web_address(text, "it") for text in addresses], addresses)

    def test_a_failure_of_anything_is_a_failure(self):
        class Wordless:
            def __str__(self):
                raise ValueError("no text")

        def raises(*fields):
            def orchestrator(context):
                raise df.Failure(*fields)

            failure = Script().run(orchestrator).failure
            return failure.error_type, failure.message, failure.details.splitlines()[0]

        self.assertEqual(raises(5, 6, 7), ("5", "6", "7"))
        self.assertEqual(
            raises(Wordless(), Wordless(), Wordless()),
            ("Failure", "the exception has no text: its __str__ fails", "the details have no text: their __str__ fails"),
        )

    def test_numbers_of_any_kind_are_numbers(self):
        for options in (df.RetryOptions(20.5, 2), df.RetryOptions(Decimal(20), 2.0), df.RetryOptions(20, 2**40)):
            run = Script().activity("a", 1).run(lambda c, o=options: (yield c.call_activity_with_retry("a", o)))
            self.assertIsNone(run.failure)


class Surrogates(unittest.TestCase):
    def test_half_a_pair_becomes_the_replacement_character_and_a_whole_one_a_character(self):
        self.assertEqual(well_formed("a\ud83db\ude00"), "a\ufffdb\ufffd")
        self.assertEqual(well_formed("\ud83d\ude00"), "\U0001f600")
        self.assertEqual(well_formed(b"\xff.txt".decode("utf-8", "surrogateescape")), "\ufffd.txt")

    def test_wherever_text_leaves(self):
        def orchestrator(context):
            yield context.call_sub_orchestrator("child", None, HALF)
            raise ValueError(HALF)

        run = Script().sub_orchestrator("child", 1).run(orchestrator)
        self.assertEqual(run.actions, [CallSubOrchestrator("child", "null", "received \ufffd")])
        self.assertEqual((run.failure.error_type, run.failure.message), ("ValueError", "received \ufffd"))

    def test_in_requests(self):
        def orchestrator(context):
            yield context.call_http("GET", f"http://localhost/{HALF}", headers={HALF: HALF})

        whole = "received \ufffd"
        (action,) = Script().http(1).run(orchestrator).actions
        self.assertEqual(
            json.loads(action.request), {"method": "GET", "uri": f"http://localhost/{whole}", "headers": {whole: whole}}
        )

    def test_a_payload_keeps_it_as_the_escape_that_it_came_as(self):
        self.assertEqual(payload.encode({"text": HALF}, "it"), '{"text":"received \\ud83d"}')
        self.assertEqual(run_activity(lambda text: text, HALF).result, HALF)
