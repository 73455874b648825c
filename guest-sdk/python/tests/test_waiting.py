"""Taking many results as they arrive waits for all remaining tasks each time: a thousand were too many for one turn."""

import asyncio
import unittest
from datetime import timedelta

from dacapo import waiting
from dacapo.testing import Script

FIRST = asyncio.FIRST_COMPLETED


def run(orchestrator, script=None):
    return (script or Script().activity("one", lambda n: n)).run(orchestrator).output


class Waiting(unittest.TestCase):
    def test_results_are_taken_as_they_come(self):
        def drain(wait):
            async def orchestrator(context):
                left = {asyncio.ensure_future(context.call_activity("one", n)) for n in range(50)}
                rounds = []
                while left:
                    done, left = await wait(left, return_when=FIRST)
                    rounds.append(sorted(task.result() for task in done))
                return rounds

            return run(orchestrator)

        self.assertEqual(drain(waiting.wait), drain(asyncio.wait))

    def test_it_waits_as_asyncio_does(self):
        def outcomes(wait):
            async def orchestrator(context):
                loop = asyncio.get_running_loop()
                slow, done, other = loop.create_future(), loop.create_future(), loop.create_future()
                done.set_result("done")
                seen = [[future in part for part in await wait([slow, done], return_when=FIRST)] for future in (slow, done)]
                # A second time, with futures that are done, and with one that is not done before the timeout.
                seen.append(len((await wait([slow, done], return_when=FIRST))[0]))
                seen.append([len(part) for part in await wait([slow, other], return_when=FIRST, timeout=5)])
                # Two flows wait for the same future.
                flows = [asyncio.create_task(wait({slow, other}, return_when=FIRST)) for _ in range(2)]
                await asyncio.sleep(1)
                other.set_exception(KeyError("broken"))
                seen.append([[future is other for future in (await flow)[0]] for flow in flows])
                seen.append([type(future.exception()).__name__ for future in (await flows[0])[0]])
                slow.cancel()
                seen.append(len((await wait(iter([slow]), return_when=FIRST))[0]))
                return seen

            result = Script().run(orchestrator)
            return result.output, result.elapsed

        self.assertEqual(outcomes(waiting.wait), outcomes(asyncio.wait))
        self.assertEqual(outcomes(waiting.wait)[1], timedelta(seconds=6))

    def test_a_wait_that_is_cancelled_leaves_nothing(self):
        async def orchestrator(context):
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            flow = asyncio.create_task(waiting.wait([future], return_when=FIRST))
            await asyncio.sleep(1)
            flow.cancel()
            try:
                await flow
            except asyncio.CancelledError:
                future.set_result(1)
                await asyncio.sleep(1)
            return [future.result(), len(loop.waits._open), len(loop.waits._observed)]

        self.assertEqual(run(orchestrator), [1, 0, 0])

    def test_what_is_wrong_is_said_as_asyncio_says_it(self):
        async def ready():
            return 1

        def refusal(wait, make):
            async def orchestrator(context):
                what = make()
                try:
                    await wait(what, return_when=FIRST)
                except (TypeError, ValueError) as error:
                    return f"{type(error).__name__}: {error}"
                finally:
                    for coroutine in what if isinstance(what, list) else [what]:
                        if asyncio.iscoroutine(coroutine):
                            coroutine.close()

            return run(orchestrator)

        for make in (lambda: [], lambda: [ready()], ready, lambda: asyncio.get_running_loop().create_future()):
            self.assertEqual(refusal(waiting.wait, make), refusal(asyncio.wait, make))
            self.assertIn("Error: ", refusal(waiting.wait, make))

    def test_other_loops_have_that_of_asyncio(self):
        async def main():
            return await waiting.wait([asyncio.ensure_future(asyncio.sleep(0, 5))], return_when=FIRST)

        done, _ = asyncio.run(main())
        self.assertEqual([future.result() for future in done], [5])


if __name__ == "__main__":
    unittest.main()
