"""Sound in and out: devices and their clocks, channels, files, recordings.

`devices` finds, `streams` opens, `line` keeps them for a session; `recording` keeps what is played.
"""
