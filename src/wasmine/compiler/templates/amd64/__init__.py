"""x86-64: how its instructions are read and encoded when the package is built, and filled in at run time."""
