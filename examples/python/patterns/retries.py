"""Retries a failing activity, and cancels the order if it keeps failing."""

import azure.durable_functions as df

bp = df.Blueprint()


class Order:
    """A payload that is an object: the class converts it to and from JSON."""

    def __init__(self, item: str, quantity: int):
        self.item = item
        self.quantity = quantity

    @staticmethod
    def to_json(order: "Order") -> str:
        return f"{order.quantity} {order.item}"

    @staticmethod
    def from_json(text: str) -> "Order":
        quantity, item = text.split(" ", 1)
        return Order(item, int(quantity))


@bp.orchestration_trigger(context_name="context")
def place_order(context: df.DurableOrchestrationContext):
    request = context.get_input()
    order = Order(request["item"], request["quantity"])
    retry_options = df.RetryOptions(first_retry_interval_in_milliseconds=100, max_number_of_attempts=3)
    try:
        receipt = yield context.call_activity_with_retry("charge", retry_options, order)
    except Exception as error:
        yield context.call_activity("cancel", order)
        return f"cancelled: {error}"
    return receipt


@bp.activity_trigger(input_name="order")
def charge(order: Order, context) -> str:
    # The card works on the second attempt, but never for more than nine items.
    if order.quantity > 9 or context.attempt < 2:
        raise ValueError(f"the card was declined for {order.quantity} {order.item}")
    return f"paid for {order.quantity} {order.item}"


@bp.activity_trigger(input_name="order")
def cancel(order: Order):
    pass
