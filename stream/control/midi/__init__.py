"""MIDI controllers: ports, what their messages mean, what they move, and their lights.

`controllers` plays them beside a session; `bindings` says which knob moves what.
"""
