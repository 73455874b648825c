"""Drives the real Python client of Durable Functions against a running host, and checks every outcome."""

import argparse
import asyncio
import importlib
import sys

import aiohttp

from checks import CHECKS
from world import World

# Each module adds its checks, which run in this order.
for subject in ["starting", "reading", "events", "steering", "waiting", "links", "entities", "listing"]:
    importlib.import_module(subject)


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="the address of the host")
    parser.add_argument("--binding", required=True, help="what the host would hand to a function as its durable client, in JSON")
    parser.add_argument("--switch", required=True, help="the address of a service that can be switched on")
    parser.add_argument("--only", default="", help="only checks whose name matches this regular expression")
    options = parser.parse_args()
    async with aiohttp.ClientSession() as session:
        world = World(options.url, options.binding, options.switch, session)
        try:
            return await CHECKS.run(world, options.only)
        finally:
            await world.close()


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(main()) else 1)
