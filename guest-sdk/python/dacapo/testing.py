"""placeholder"""
def orchestrator_generator_wrapper(generator):
    yield from generator
