"""What only this course needs: exercises, failures, toy GANs, the ranking, its widgets, and its authors' tools.

It uses the toolkit around it, and the toolkit never imports it.
"""
