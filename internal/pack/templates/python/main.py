"""Greets, and leaves a file behind."""

import os

name = os.environ.get("NAME", "world")
print(f"Hello, {name}!")
with open(os.path.join(os.environ["LOCAL_JOB_OUT_DIR"], "greeting.txt"), "w") as f:
    f.write(f"Hello, {name}!\n")
