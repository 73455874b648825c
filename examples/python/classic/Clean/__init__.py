def main(name: str) -> int:
    return len(name)
