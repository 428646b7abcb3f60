"""A recipe is the whole experiment: `Recipe` says what it may hold, `RECIPES` are those of the course."""

from .recipe import BUDGETS, FIELDS, Recipe
from .registry import RECIPES, get

__all__ = ["BUDGETS", "FIELDS", "RECIPES", "Recipe", "get"]
