"""What dev.py does: standard library only, since it runs before anything is installed.

system       what the machine must bring: a compiler, Python's headers, PortAudio
environment  .venv and the stamp that says what it holds, so that nothing is done twice
commands     the command line
"""
