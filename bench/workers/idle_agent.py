"""Stands in for a helper that Ray's raylet must start and nobody uses in a Ray of our own; ends with the raylet."""

import os
import time

if __name__ == "__main__":
    raylet = os.getppid()
    while os.getppid() == raylet:
        time.sleep(1)
