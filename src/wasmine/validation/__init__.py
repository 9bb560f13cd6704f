"""Validation: the closed view of a module (`Context`), the rules, and the typed walk, the only reader of instructions."""

from wasmine.validation.context import Context
from wasmine.validation.module import features_used, validate
from wasmine.validation.walk import Visitor, walk_expression, walk_function

__all__ = ["Context", "Visitor", "features_used", "validate", "walk_expression", "walk_function"]
