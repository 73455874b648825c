def steps_of(device):
    return [f"{device}: {step}" for step in ("format", "install", "register")]
