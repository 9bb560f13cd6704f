"""ARM64: how its instructions are read when the package is built, and filled in at run time."""
