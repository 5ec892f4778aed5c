"""A synthetic heart: ten structures, parametric, random, with exactly known surfaces."""

from vecsetx.anatomy.phantom.heart import STRUCTURES, PhantomHeart
from vecsetx.anatomy.phantom.parameters import Parameters

__all__ = ["STRUCTURES", "Parameters", "PhantomHeart"]
