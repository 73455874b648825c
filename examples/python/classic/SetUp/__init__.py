import logging


def main(name: str) -> str:
    logging.info(name)
    return f"{name} done"
