"""A beating heart: the frames of a cine, and the volumes over its cycle.

A *frame* here is a moment of the cycle; :class:`vecsetx.anatomy.frame.Frame`, which places a heart
in space, is something else.
"""
