"""Defines and runs checks.

Each prints one line: `ok NAME` or `FAIL NAME: WHY`. The last line is `done COUNT`.
"""

import asyncio
import re
import time
import traceback

SECONDS_MAX = 60
AT_ONCE = 12


class Failed(Exception):
    """An expectation was not met."""


class Checks:
    def __init__(self):
        self.together = []
        self.alone = []

    def check(self, name, *arguments):
        """Adds a check that is independent of others: it runs concurrently with them."""
        return lambda function: self._add(self.together, name, function, arguments)

    def check_alone(self, name, *arguments):
        """Adds a check that depends on all instances: it runs after the others, one at a time, in order."""
        return lambda function: self._add(self.alone, name, function, arguments)

    @staticmethod
    def _add(checks, name, function, arguments):
        checks.append((name, function, arguments))
        return function

    async def run(self, world, only, seconds=SECONDS_MAX):
        wanted = lambda checks: [check for check in checks if re.search(only, check[0])]
        together, alone = wanted(self.together), wanted(self.alone)
        places = asyncio.Semaphore(AT_ONCE)

        async def in_a_place(check):
            async with places:
                return await self._run_one(world, check, seconds)

        passed = list(await asyncio.gather(*[in_a_place(check) for check in together]))
        for check in alone:
            passed.append(await self._run_one(world, check, seconds))
        print(f"done {len(passed)}", flush=True)
        return all(passed)

    @staticmethod
    async def _run_one(world, check, seconds):
        name, function, arguments = check
        begun = time.monotonic()
        try:
            await asyncio.wait_for(function(world, *arguments), seconds)
        except Exception as why:
            if isinstance(why, (asyncio.TimeoutError, TimeoutError)):
                text = f"not done within {seconds} seconds"
            elif isinstance(why, Failed):
                text = str(why)
            else:
                text = f"{type(why).__name__}: {why} at {traceback.extract_tb(why.__traceback__)[-1]}"
            print(f"FAIL {name}: {' '.join(text.split())}", flush=True)
            return False
        print(f"ok {name} ({time.monotonic() - begun:.2f} s)", flush=True)
        return True


CHECKS = Checks()
check = CHECKS.check
check_alone = CHECKS.check_alone


def equal(seen, expected, what="it"):
    if seen != expected or type(seen) is not type(expected):
        raise Failed(f"{what} is {shown(seen)}, expected {shown(expected)}")


def true(condition, what):
    if not condition:
        raise Failed(what)


async def refused(call, pattern):
    """Checks that the call raises an exception whose text matches."""
    try:
        answer = await call
    except Exception as why:
        if not re.search(pattern, str(why)):
            raise Failed(f"it was refused with {shown(str(why))}, expected /{pattern}/")
        return
    raise Failed(f"it was not refused, but answered {shown(answer)}; expected /{pattern}/")


def shown(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}... ({len(text)} characters)"
