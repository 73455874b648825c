import logging

import azure.durable_functions as df


async def main(device: str, starter: str) -> str:
    client = df.DurableOrchestrationClient(starter)
    instance_id = await client.start_new("ProvisionDevice", f"provision-{device}", device)
    logging.info(f"Started orchestration with ID = '{instance_id}'.")
    return instance_id
