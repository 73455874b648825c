"""`azure.functions`: the part that durable apps import.

Dacapo does not run the triggers and bindings of Azure Functions other than the durable ones. Their decorators are
accepted, and their types exist so that modules load and annotations resolve.
"""

import enum

from dacapo.app import Blueprint
from dacapo.app import DFApp as FunctionApp
from dacapo.http_messages import HttpRequest, HttpResponse
from dacapo.runner import ActivityCall as Context

__all__ = [
    "AccessRights",
    "AuthLevel",
    "Blueprint",
    "Cardinality",
    "Context",
    "DataType",
    "FunctionApp",
    "HttpMethod",
    "HttpRequest",
    "HttpResponse",
]


class AuthLevel(enum.Enum):
    FUNCTION = "function"
    ANONYMOUS = "anonymous"
    ADMIN = "admin"


class HttpMethod(enum.Enum):
    GET = "GET"
    POST = "POST"
    DELETE = "DELETE"
    HEAD = "HEAD"
    PATCH = "PATCH"
    PUT = "PUT"
    OPTIONS = "OPTIONS"


class Cardinality(enum.Enum):
    ONE = "one"
    MANY = "many"


class AccessRights(enum.Enum):
    MANAGE = "manage"
    LISTEN = "listen"


class DataType(enum.Enum):
    UNDEFINED = None
    STRING = "string"
    BINARY = "binary"
    STREAM = "stream"


class _NotRun:
    """A type of a trigger or binding that Dacapo does not run."""

    def __init__(self, *_: object, **__: object) -> None:
        raise NotImplementedError(
            f"azure.functions.{type(self).__name__} belongs to a trigger that Dacapo does not run"
        )

    def __class_getitem__(cls, _: object) -> type:
        return cls  # as in the annotation `func.Out[str]`


_TYPES = (
    "AsgiFunctionApp AsgiMiddleware BlobSource CloudEvent Document DocumentList EntityContext EventGridEvent "
    "EventGridOutputEvent EventHubEvent InputStream KafkaEvent MySqlRow MySqlRowList "
    "OrchestrationContext Out QueueMessage ServiceBusMessage SqlRow SqlRowList TimerRequest WsgiFunctionApp "
    "WsgiMiddleware"
).split()

for _name in _TYPES:
    globals()[_name] = type(_name, (_NotRun,), {"__module__": __name__})
__all__ += _TYPES
