"""`azure.functions`, as existing apps import it: another name for parts of the package `dacapo`.

Types of triggers and bindings that Dacapo does not have exist too, so that modules load and annotations resolve.
"""

import enum
import json
import sys
import types
from collections import UserDict, UserList

from dacapo.app import AuthLevel, Blueprint, Cardinality, HttpMethod
from dacapo.app import DFApp as FunctionApp
from dacapo.calls import Context
from dacapo.declaration import FunctionBuilder
from dacapo.declaration import FunctionBuilder as Function
from dacapo.http_messages import HttpRequest, HttpResponse
from dacapo.messages import (
    CloudEvent,
    EventGridEvent,
    EventGridOutputEvent,
    EventHubEvent,
    Out,
    QueueMessage,
    TimerRequest,
)
from dacapo.middleware import AsgiFunctionApp, AsgiMiddleware, WsgiFunctionApp, WsgiMiddleware

__all__ = [
    "AccessRights",
    "AsgiFunctionApp",
    "AsgiMiddleware",
    "AuthLevel",
    "Blueprint",
    "Cardinality",
    "CloudEvent",
    "Context",
    "DataType",
    "EventGridEvent",
    "EventGridOutputEvent",
    "EventHubEvent",
    "Function",
    "FunctionApp",
    "HttpMethod",
    "HttpRequest",
    "HttpResponse",
    "Out",
    "QueueMessage",
    "TimerRequest",
    "WsgiFunctionApp",
    "WsgiMiddleware",
]


class AccessRights(enum.Enum):
    MANAGE = "manage"
    LISTEN = "listen"


class DataType(enum.Enum):
    UNDEFINED = None
    STRING = "string"
    BINARY = "binary"
    STREAM = "stream"


class _NotRun:
    """A type of a trigger or binding that Dacapo does not have."""

    def __init__(self, *_: object, **__: object) -> None:
        raise NotImplementedError(
            f"azure.functions.{type(self).__name__} belongs to a trigger or binding that Dacapo does not have"
        )

    def __class_getitem__(cls, _: object) -> type:
        return cls


_TYPES = "BlobSource EntityContext InputStream KafkaEvent OrchestrationContext ServiceBusMessage WarmUpContext".split()

for _name in _TYPES:
    globals()[_name] = type(_name, (_NotRun,), {"__module__": __name__})
__all__ += _TYPES



class _Row(UserDict):
    """A value of an output that Dacapo does not have. Functions make them, and the log says that they are not sent."""

    @classmethod
    def from_json(cls, json_data: str) -> "_Row":
        return cls(json.loads(json_data))

    @classmethod
    def from_dict(cls, dct: dict) -> "_Row":
        return cls(dct)

    def to_json(self) -> str:
        return json.dumps(self.data)

    def to_dict(self) -> dict:
        return dict(self.data)


for _name in ("Document", "MySqlRow", "SqlRow"):
    globals()[_name] = type(_name, (_Row,), {"__module__": __name__})
    globals()[f"{_name}List"] = type(f"{_name}List", (UserList,), {"__module__": __name__})
    __all__ += [_name, f"{_name}List"]

_ENUMS = {kind.__name__: kind for kind in (AccessRights, AuthLevel, Cardinality, DataType)}
_APPS = {"Blueprint": Blueprint, "Function": Function, "FunctionApp": FunctionApp, "FunctionBuilder": FunctionBuilder}

_MODULES = {
    "decorators": {**_ENUMS, **_APPS, "HttpMethod": HttpMethod},
    "decorators.core": _ENUMS,
    "decorators.function_app": _APPS,
    "decorators.http": {"HttpMethod": HttpMethod},
}
"""The modules of the original whose names apps and their tests import, and what they take from them."""

for _name, _members in _MODULES.items():
    _module = types.ModuleType(f"{__name__}.{_name}")
    _module.__dict__.update(_members)
    _module.__path__ = []
    sys.modules[_module.__name__] = _module
    if "." not in _name:
        globals()[_name] = _module
