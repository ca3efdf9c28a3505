"""Text in, tokens out: requests, blocks, the scheduler and the native stepper."""
