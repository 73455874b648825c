"""Counts the words of several texts in parallel, and adds them up. The custom status shows the progress."""

import json

import azure.durable_functions as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def count_words(context: df.DurableOrchestrationContext):
    texts = context.get_input()
    context.set_custom_status({"texts": len(texts)})

    parallel_tasks = [context.call_activity("count_words_of", json.dumps({"text": text})) for text in texts]
    counts = yield context.task_all(parallel_tasks)

    context.set_custom_status("done")
    return {"total": sum(counts), "counts": counts}


@bp.activity_trigger(input_name="payload")
def count_words_of(payload: str) -> int:
    text = json.loads(payload)["text"]
    return len(text.split())
