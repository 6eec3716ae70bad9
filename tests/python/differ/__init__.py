"""Waypost's Saver and TensorFlow's do the same things, and what they did is compared: judge_saver.py.

    sequence.py         random sequences of commands
    variables.py        random variables, and the values that a number stands for
    trees.py            the two directory trees: what is in them, hand edits, deletions
    tensorflow_side.py  runs a command on TensorFlow
    waypost_side.py     runs it on Waypost, by the program saver_driver
    run.py              both sides through one sequence, compared after each command
    differences.py      where the two are meant to differ, and why: difference.py, refusals.py, readings.py, leavings.py
    scenarios.py        sequences that show each of them
    shrink.py           the shortest sequence that still fails

A command is a dict with "op"; "{root}" in its texts is the root of a side's own tree.
"""
